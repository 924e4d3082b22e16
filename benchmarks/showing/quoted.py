"""Figures that README, docs and RESULTS.md quote of the rows: each between two comments, the first of which names it.

    better on <!--= better -->116<!--/--> of <!--= programs -->139<!--/--> programs

``figures`` writes them anew; a test fails where a page says another one, or names one that there is not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.compiler.real_programs import table
from benchmarks.showing.gains import ROOT, Gain, targets_of
from mallocgame.bench.rows import FLAG_TUNING, BenchRow
from mallocgame.bench.statistics import count, geometric_mean, ratios
from mallocgame.system.errors import BadInputError
from mallocgame.system.lines_file import read_lines

XLA_PROGRAMS = ROOT / "benchmarks" / "results" / "real-programs" / "programs.jsonl"
QUOTE = re.compile(r"<!--= (?P<name>[^>]*?) -->(?P<text>.*?)<!--/-->", re.DOTALL)


def pages() -> list[Path]:
    """Files that may quote."""
    return [ROOT / "README.md", ROOT / "benchmarks" / "RESULTS.md", *sorted((ROOT / "docs").rglob("*.md"))]


def renewed(text: str, quotes: dict[str, str], where: str) -> str:
    """A page with the figures that the rows say today.

    Raises:
        BadInputError: it names a figure that there is not.
    """

    def figure(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in quotes:
            raise BadInputError(f"{where}: there is no figure {name!r}; there are {', '.join(quotes)}")
        return f"<!--= {name} -->{quotes[name]}<!--/-->"

    return QUOTE.sub(figure, text)


def quotes_of(gains: Sequence[Gain]) -> dict[str, str]:
    """All figures by name: of all targets, of each by its name first (``v5p better``), and the table by target."""
    quotes = _counted(gains, "")
    for target in targets_of(gains):
        quotes |= _counted([gain for gain in gains if gain.target == target], f"{target} ")
    tuned = [gain for gain in gains if FLAG_TUNING in gain.methods]
    if tuned:
        quotes["tuned programs"] = str(len(tuned))
        quotes |= _means([gain.row for gain in tuned], "tuned auto ")
        quotes |= _means([gain.methods[FLAG_TUNING] for gain in tuned], "tuned flags ")
    quotes["compiles"] = _between([gain.row.compiles for gain in gains])
    quotes["summary"] = _table(gains, quotes)
    return quotes


def quotes_of_suites() -> dict[str, str]:
    """The table of XLA's own programs, which are in rows of another kind.

    Raises:
        BadInputError: the file cannot be read.
    """
    rows = [json.loads(line) for line in read_lines(XLA_PROGRAMS)]
    return {"xla programs": "\n\n" + "\n".join(table(rows)) + "\n\n"}


def _counted(gains: Sequence[Gain], before: str) -> dict[str, str]:
    rows = [gain.row for gain in gains]
    counts = count(rows)
    figures = {
        "programs": len(rows),
        "better": counts.better,
        "better under E": counts.better_under_e,
        "equal": counts.equal,
        "worse": counts.worse,
        "failed": counts.failed,
    }
    honoured = sum(row.honoured or 0 for row in rows)
    sites = sum(row.sites or 0 for row in rows)
    quotes = {before + name: str(figure) for name, figure in figures.items()}
    quotes[f"{before}honoured"] = f"{honoured / sites:.2%}".replace("%", " %") if sites else "no plans"
    return quotes | _means(rows, before)


def _means(rows: Sequence[BenchRow], before: str) -> dict[str, str]:
    pairs = [pair for row in rows if (pair := ratios(row))]
    found = {}
    for number, name in enumerate("EM"):
        mean = geometric_mean([pair[number] for pair in pairs])
        found[before + name] = f"{mean.mean:.3f}"
        found[f"{before}{name} interval"] = f"{mean.low:.3f} to {mean.high:.3f}"
    return found


def _between(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def _table(gains: Sequence[Gain], quotes: dict[str, str]) -> str:
    """By target: programs, verdicts, means with their intervals."""
    header = ["target", "programs", "better", "better under E", "equal", "worse", "E, mean (95 %)", "M, mean (95 %)"]
    lines = ["", "", f"| {' | '.join(header)} |", "| --- | " + "---: | " * (len(header) - 1)]
    for before in [*(f"{target} " for target in targets_of(gains)), ""]:
        counts = [quotes[before + name] for name in header[1:6]]
        means = [f"{quotes[before + model]} ({quotes[f'{before}{model} interval']})" for model in "EM"]
        lines.append(f"| {' | '.join([before.strip() or 'all', *counts, *means])} |")
    return "\n".join(line.rstrip() for line in lines) + "\n\n"
