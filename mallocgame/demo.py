"""The main job of the README: one model, two targets, from capture to a confirmed table and two memory maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mallocgame import api
from mallocgame.errors import BadInputError
from mallocgame.progress import Progress
from mallocgame.report import documents
from mallocgame.report.comparison import placed, slices_of
from mallocgame.report.memory_map import Panel, draw_memory_map
from mallocgame.report.text import duration

if TYPE_CHECKING:
    from mallocgame.compiler import Row
    from mallocgame.problem.schema import Problem


def run(workload: str, targets: Sequence[str], time_limit: float, out: Path, progress: Progress) -> dict[str, Any]:
    """Capture ``workload`` for each target, solve, verify, and draw the memory maps into the folder ``out``.

    Args:
        workload: a name of the registry.
        targets: e.g. ``("v4 lite", "v5p")``.
        time_limit: seconds for the solver, each target.
        out: made if it is missing; gets a capture, a plan and a picture for each target.
        progress: called with one line at each step.

    Returns:
        The JSON document of the command.

    Raises:
        MallocgameError: as the five commands do.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{out}: cannot be made: {error.strerror}") from None
    parts = [_one_target(workload, target, time_limit, out, progress) for target in targets]
    return {"command": "demo", "workload": workload, "targets": parts}


def _one_target(workload: str, target: str, time_limit: float, out: Path, progress: Progress) -> dict[str, Any]:
    name = f"{workload} for {target}"
    stem = f"{workload}-{target.replace(' ', '')}"
    capture_file, plan_file, picture = (out / f"{stem}{suffix}" for suffix in (".mgz", ".plan.json", ".png"))

    def tell(line: str) -> None:
        progress(f"{name}: {line}")

    tell("compiling")
    capture = api.capture(workload, target=target, out=capture_file, workload=True)
    problem = capture.problem()
    solved = api.solve(capture_file, objective="both", time_limit=time_limit, out=plan_file, progress=tell)
    verification = api.verify(solved.named, capture, progress=tell)
    default, planned = verification.row("xla default"), verification.row("plan")
    panels = (
        _panel(_title(name, "XLA's default", default), problem, capture.final, capture.buffer_assignment),
        _panel(_title(name, "the plan", planned), problem, verification.final, verification.buffer_assignment),
    )
    draw_memory_map(problem, panels, picture)
    return {
        "target": target,
        "capture": documents.of_capture(capture, capture_file),
        "solve": documents.of_solved(solved, plan_file),
        "verify": documents.of_verification(verification, target),
        "picture": str(picture),
    }


def _title(name: str, what: str, row: Row | None) -> str:
    figures = f": E {duration(row.e_seconds)}, M {duration(row.m_seconds)}" if row else ""
    return f"{name}, fast memory under {what}{figures}"


def _panel(title: str, problem: Problem, final: str, buffer_assignment: str) -> Panel:
    """A memory map of what the compiler made."""
    from xla_dump_parser import parse_hlo

    found = placed(problem, parse_hlo(final, "final"), buffer_assignment)
    return Panel(title, found.to_plan(), slices_of(found))
