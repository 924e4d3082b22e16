"""The program of an answer, found again: where it was solved from, at the memory split that the answer is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import is_capture, load_capture
from mallocgame.compiler.capturing import recapture
from mallocgame.plan.compiler_options import SCOPED_VMEM, split_of
from mallocgame.plan.named_plan import FILE_OPTION, NamedPlan
from mallocgame.problem.given import recorded_in
from mallocgame.programs.loading import load
from mallocgame.programs.readers.capture import of_capture
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import digest_of_file
from mallocgame.system.progress import Progress, Stage

if TYPE_CHECKING:
    from mallocgame.compiler.child import Compile
    from mallocgame.plan.options_file import ProgramOptions
    from mallocgame.programs.loaded import Loaded


@dataclass(frozen=True)
class Answered:
    """The program of an answer.

    Attributes:
        loaded: at the answer's memory split.
        capture: the same, to compile it again; None where the file is no capture.
        first: the capture at the split that the program is compiled with anyway, where the answer is for another one.
    """

    loaded: Loaded
    capture: Capture | None
    first: Capture | None


def program_of_answer(
    answer: NamedPlan | ProgramOptions,
    source: Path,
    file: Path | None,
    compile: Callable[[], Compile],
    progress: Progress,
) -> Answered:
    """Find the program of an answer.

    Args:
        answer: a plan, or options.
        source: the file of the answer.
        file: of the program, as ``solve`` takes it; None for where the answer says it was.
        compile: gives who compiles it at another memory split, e.g. a cache.
        progress: is told what takes long.

    Raises:
        BadInputError: there is no such file, it has changed, or cannot be used.
        CompilerRefusedError, NoAnswerError: the program does not compile at the answer's split.
        xla_dump_parser.ParseError: the file is damaged.
    """
    path = recorded_program(answer, source) if file is None else file
    progress(Stage(f"reading {path}"))
    given = recorded_in(answer.options, str(source)) if isinstance(answer, NamedPlan) else None
    loaded = load(path, answer.target, given=given, progress=progress)
    if not is_capture(loaded.source):
        return Answered(loaded, None, None)
    capture = replace(load_capture(loaded.source), given=loaded.given)
    split = answer.scoped_vmem_kib if isinstance(answer, NamedPlan) else capture.scoped_vmem_kib
    if split == capture.scoped_vmem_kib:
        return Answered(loaded, capture, None)
    progress(Stage(f"the program at {split_words(split)}, compiled anew unless the cache has it"))
    options = {name: value for name, value in capture.options.items() if name != SCOPED_VMEM}
    other = recapture(capture, options | ({} if split is None else {SCOPED_VMEM: str(split)}), compile=compile())
    return Answered(replace(of_capture(other, Path(loaded.source)), given=loaded.given), other, capture)


def split_words(scoped_vmem_kib: int | None) -> str:
    """A memory split in words."""
    return "the default memory split" if scoped_vmem_kib is None else f"a memory split of {scoped_vmem_kib} KiB"


def split_of_answer(answer: NamedPlan | ProgramOptions) -> int | None:
    """KiB of fast memory for windows that an answer is compiled with; None for the compiler's default."""
    return answer.scoped_vmem_kib if isinstance(answer, NamedPlan) else split_of(answer.options)


def recorded_program(answer: NamedPlan | ProgramOptions, source: Path) -> Path:
    """Where an answer says that its program is: its capture, else what was asked for; or beside the answer.

    Raises:
        BadInputError: it does not say, or there is nothing there.
    """
    kept = answer.confirmation
    if kept is not None:
        for path in (Path(kept.capture), source.parent / Path(kept.capture).name):
            if path.is_file():
                return path
        if kept.sha256 is None:
            return Path(kept.file)  # MODULE:FUNCTION, or what ``load`` says is not there
        for path in (Path(kept.file), source.parent / Path(kept.file).name):
            if digest_of_file(path) == kept.sha256:
                return path
        raise BadInputError(
            f"{source}: was solved from {kept.file}, which is not here or has changed, and its capture {kept.capture} "
            "has gone: give the program as the second argument"
        )
    recorded = answer.options.get(FILE_OPTION) if isinstance(answer, NamedPlan) else None
    if not isinstance(recorded, str):
        raise BadInputError(f"{source}: does not say which file it was solved from: give it as the second argument")
    for path in (Path(recorded), source.parent / Path(recorded).name):
        if path.exists():
            return path
    raise BadInputError(f"{source}: was solved from {recorded}, which is not here: give it as the second argument")
