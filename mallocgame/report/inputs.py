"""From the arguments of ``report`` and ``explain`` to what they show."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.plan.named_plan import FILE_OPTION, NamedPlan
from mallocgame.plan.options_file import load_answer
from mallocgame.problem.given import recorded_in
from mallocgame.programs.loading import load
from mallocgame.programs.readers.capture import of_capture
from mallocgame.report.comparison import Comparison, compare
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, Stage

if TYPE_CHECKING:
    from mallocgame.compiler.child import Compile


@dataclass(frozen=True)
class Confirm:
    """That the plan is to be recompiled first; ``compile`` does it, e.g. a cache."""

    compile: Compile


def read_comparison(
    plan: str | os.PathLike[str],
    file: str | os.PathLike[str] | None,
    confirm: Confirm | None,
    progress: Progress,
) -> Comparison:
    """A plan beside XLA's default.

    Args:
        plan: a plan file.
        file: of the program: whatever ``solve`` takes; None for the one that the plan says it was solved from.
        confirm: to recompile the plan first, and show what the compiler makes of it; needs a capture.
        progress: is told what takes long.

    Raises:
        BadInputError: a file cannot be used, is no plan, or is for another program.
        CompilerRefusedError, NoAnswerError: as ``verify``.
        xla_dump_parser.ParseError: the file is damaged.
    """
    named = load_answer(plan)
    if not isinstance(named, NamedPlan):
        raise BadInputError(f"{plan}: has compiler options ({named.about}), not a plan: there is no placement to show")
    path = Path(file) if file is not None else _recorded_file(Path(plan), named)
    progress(Stage(f"reading {path}"))
    given = recorded_in(named.options, str(plan))
    if confirm is None:
        return compare(named, load(path, named.target, given=given))
    from mallocgame.compiler.capture_file import is_capture, load_capture
    from mallocgame.compiler.verify import verify

    if not (path.is_file() and is_capture(path)):
        raise BadInputError(
            f"{path}: is no capture (.mgz), so it cannot be compiled: make one with `mallocgame capture`"
        )
    capture = replace(load_capture(path), given=given)
    verification = verify(named, capture, compile=confirm.compile, progress=progress, msa_off=False)
    return compare(named, of_capture(capture, path), verification)


def _recorded_file(plan: Path, named: NamedPlan) -> Path:
    """The file that a plan was solved from: where it says, or beside the plan."""
    recorded = named.options.get(FILE_OPTION)
    if not isinstance(recorded, str):
        raise BadInputError(f"{plan}: does not say which file it was solved from: give it as the second argument")
    for path in (Path(recorded), plan.parent / Path(recorded).name):
        if path.exists():
            return path
    raise BadInputError(f"{plan}: was solved from {recorded}, which is not here: give it as the second argument")
