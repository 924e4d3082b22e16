"""From the arguments of ``report`` and ``explain`` to what they show."""

from __future__ import annotations

import os
from pathlib import Path

from mallocgame.compiler.cache import CompileCache, NotFinishedError
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import compiled_of
from mallocgame.compiler.child import Compile, Compiled, Limits, Request
from mallocgame.compiler.verify import verify, verify_options
from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.confirmation import Confirmation
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.options_file import ProgramOptions
from mallocgame.programs.answered import Answered, program_of_answer
from mallocgame.report.comparison import Comparison, compare, compare_options
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, Stage, silent


def read_comparison(
    answer_file: str | os.PathLike[str],
    file: str | os.PathLike[str] | None,
    *,
    anew: bool,
    cache: str | os.PathLike[str] | None,
    progress: Progress,
) -> Comparison:
    """An answer beside XLA's default.

    What was confirmed when the answer was found is shown as the compiler made it, from the cache. Where the cache does
    not have it any more, the plan is shown as predicted, with the figures that were confirmed.

    Args:
        answer_file: a plan, or compiler options of ``solve``.
        file: of the program: whatever ``solve`` takes; None for the one that the answer says it was solved from.
        anew: compile the answer first, and show what the compiler makes of it now; needs a program to compile.
        cache: folder of finished compiles; None for the one that the answer says.
        progress: is told what takes long.

    Raises:
        BadInputError: a file cannot be used, or is for another program; options whose compile has gone.
        CompilerRefusedError, NoAnswerError: as ``verify``.
        xla_dump_parser.ParseError: the file is damaged.
    """
    answer, source = load_answer(answer_file), Path(answer_file)
    kept = answer.confirmation
    folder = cache or (None if kept is None else kept.cache) or "out/compiles"

    def compile() -> Compile:
        return CompileCache(folder)

    program = program_of_answer(answer, source, None if file is None else Path(file), compile, progress)
    if program.capture is None and anew:
        raise BadInputError(
            f"{program.loaded.source}: is no capture (.mgz), so it cannot be compiled: make one with "
            "`mallocgame capture`"
        )
    if program.capture is None or (kept is None and not anew):
        return _predicted(answer, program, source, ())
    progress(Stage("compiling with the answer's options" if anew else "reading what was confirmed"))
    try:
        compiles = CompileCache(folder)
        compile_or_not, told = (compiles, progress) if anew else (_finished(compiles, program.capture), silent)
        return _confirmed(answer, program, compile_or_not, told)
    except NotFinishedError:
        assert kept is not None
        return _predicted(answer, program, source, (gone(kept, str(folder)),))


def _finished(compiles: CompileCache, capture: Capture) -> Compile:
    """Gives what is finished: the capture is the compile of XLA's default."""
    alone = compiles.alone()

    def finished(request: Request, limits: Limits | None = None) -> Compiled:
        return compiled_of(capture) if dict(request.options) == dict(capture.options) else alone(request, limits)

    return finished


def gone(kept: Confirmation, folder: str) -> str:
    """What is told where the compile that an answer rests on has gone."""
    return (
        f"what the compiler made of it has gone from {folder}; when it was found it was confirmed with "
        f"E {1e3 * kept.answer.e_seconds:.6g} ms, M {1e3 * kept.answer.m_seconds:.6g} ms; --verify compiles it again"
    )


def _predicted(
    answer: NamedPlan | ProgramOptions, program: Answered, source: Path, notes: tuple[str, ...]
) -> Comparison:
    if isinstance(answer, NamedPlan):
        return compare(answer, program.loaded, notes=notes)
    raise BadInputError(
        f"{source}: has compiler options ({answer.about}), not a plan, and no compile of them is at hand: use --verify"
    )


def _confirmed(
    answer: NamedPlan | ProgramOptions, program: Answered, compile: Compile, progress: Progress
) -> Comparison:
    assert program.capture is not None
    if not isinstance(answer, NamedPlan):
        verification, found = verify_options(answer, program.capture, compile=compile)
        return compare_options(answer, program.loaded, verification, found)
    verification = verify(
        answer, program.capture, compile=compile, progress=progress, msa_off=False, first=program.first
    )
    return compare(answer, program.loaded, verification)
