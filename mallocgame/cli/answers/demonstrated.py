"""The main job of the README: one model, two targets, from capture to a confirmed table and two memory maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame import api
from mallocgame.cli.answers import captured, solved, verified
from mallocgame.cli.show import Document, Value, noted
from mallocgame.report.comparison import placed, slices_of
from mallocgame.report.memory_map import Panel, draw_memory_map
from mallocgame.report.table import plain_table
from mallocgame.report.units import duration
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, Stage, within

if TYPE_CHECKING:
    from mallocgame.compiler.verification import Row
    from mallocgame.problem.schema import Problem


def run(workload: str, targets: Sequence[str], time_limit: float, out: Path, progress: Progress) -> Document:
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


def _one_target(workload: str, target: str, time_limit: float, out: Path, progress: Progress) -> Document:
    name = f"{workload} for {target}"
    stem = f"{workload}-{target.replace(' ', '')}"
    capture_file, plan_file, picture = (out / f"{stem}{suffix}" for suffix in (".mgz", ".plan.json", ".png"))

    tell = within(name, progress)
    tell(Stage("compiling"))
    capture = api.capture(workload, target=target, out=capture_file, workload=True)
    problem = capture.problem()
    plan = api.solve(capture_file, objective="both", time_limit=time_limit, out=plan_file, progress=tell)
    verification = api.verify(plan.named, capture, progress=tell)
    default, planned = verification.row("xla default"), verification.row("plan")
    panels = (
        _panel(_title(name, "XLA's default", default), problem, capture.final, capture.buffer_assignment),
        _panel(_title(name, "the plan", planned), problem, verification.final, verification.buffer_assignment),
    )
    draw_memory_map(problem, panels, picture)
    return {
        "target": target,
        "capture": captured.of_capture(capture, capture_file),
        "solve": solved.of_solved(plan, plan_file),
        "verify": verified.of_verification(verification),
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


def lines(document: Value) -> list[str]:
    """The answer in words: one table of all targets, then what became of each."""
    rows = [
        (f"{part['target']}: {row[0]}", *row[1:])
        for part in document["targets"]
        for row in verified.verify_rows(part["verify"])
    ]
    title = f"{document['workload']}: every row compiled, read back and replayed"
    found = plain_table(title, ("", *verified.VERIFY_HEADER[1:]), rows)
    for part in document["targets"]:
        kept, plan, confirmed = part["capture"], part["solve"], part["verify"]
        found += [
            "",
            f"{part['target']}: {kept['instructions']} instructions, {kept['tensors']} tensors; compiled in "
            f"{kept['seconds']:.0f} s by libtpu {kept['versions'].get('libtpu')}, solved in {plan['seconds']:.0f} s",
            *verified.outcome(confirmed),
            *noted(confirmed),
            f"capture {kept['out']}, plan {plan['out']}, memory maps {part['picture']}",
        ]
    return found
