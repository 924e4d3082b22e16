"""The formats of ``report``: bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mallocgame.report.comparison import Comparison, Side
from mallocgame.report.units import duration

Format = Literal["html", "svg", "png", "trace"]

SUFFIXES: Mapping[str, str] = {"html": ".html", "svg": ".svg", "png": ".png", "trace": ".trace.json"}


def render(comparison: Comparison, format: Format, plan_file: str) -> bytes:
    """The report in one format.

    Args:
        comparison: what to show.
        format: a page, a picture or a trace.
        plan_file: path of the plan, for the page's provenance.

    Raises:
        BadInputError: a picture without matplotlib.
    """
    if format == "html":
        from mallocgame.report.explanation import of_comparison
        from mallocgame.report.page import to_html
        from mallocgame.report.page_data import of_page

        return to_html(of_page(comparison, of_comparison(comparison), plan_file), "plan").encode()
    if format == "trace":
        from mallocgame.report.trace import to_trace

        return to_trace(comparison).encode()
    from mallocgame.report.memory_map import memory_map

    panels = [side.panel(_title(comparison, side)) for side in (comparison.before, comparison.after)]
    return memory_map(comparison.problem, panels, format)


def _title(comparison: Comparison, side: Side) -> str:
    problem = comparison.problem
    e, m = side.replays["E"].total, side.replays["M"].total
    return (
        f"{problem.module} for {problem.target.name}, fast memory under {side.name}: E {duration(e)}, M {duration(m)}"
    )
