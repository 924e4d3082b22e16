"""The search for an answer: the loop with the compiler, or the solver alone where there is nothing to compile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from time import monotonic

from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import save_capture
from mallocgame.compiler.capturing import keep
from mallocgame.compiler.child import Request, compile_in_child
from mallocgame.compiler.export.options import compiler_options
from mallocgame.compiler.verification import Row
from mallocgame.compiler.versions import versions_here
from mallocgame.optimizer.answer import Estimate, Optimized
from mallocgame.optimizer.automatic import Asked, Automatic, proven, solve_automatically
from mallocgame.optimizer.improve import Improved, improve
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.optimizer.settings import Settings
from mallocgame.optimizer.store import warn
from mallocgame.plan.answer_file import Answer
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.programs.file_program import File
from mallocgame.programs.loading import load
from mallocgame.programs.program import Program
from mallocgame.programs.readers.capture import of_capture
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import digest_of_file
from mallocgame.system.progress import Progress, Stage

MAX_NOTE = 1000

PROGRAM = "program.mgz"
"""The program's capture, beside its finished compiles."""


def search_program(program: Program, work: Path, settings: Settings, progress: Progress) -> Optimized:
    """Capture a program as it is compiled anyway, and improve it.

    Args:
        program: what is compiled.
        work: folder for finished compiles; made.
        settings: of the search.
        progress: called with one line at each step.

    Raises:
        BadInputError, CompilerRefusedError, NoAnswerError: the program as it is does not compile.
    """
    started = monotonic()
    compile = _Compiles(work, compile_in_child)
    progress(Stage(f"compiling {program.module} for {program.target} as XLA does"))
    request = Request(program.topology, lowered=program.lowered, options=program.options, init_args=program.init_args)
    compiled = compile(request, None)
    capture = keep(compiled, program.target, program.topology, program.module, program.options, program.init_args)
    settings.given.check(capture.problem())
    capture = replace(capture, given=settings.given)
    found = improve(
        capture,
        compile=compile,
        time_limit=settings.time_limit,
        compiles=settings.compiles,
        compile_time=settings.compile_time,
        seed=settings.seed,
        choice=Choice(settings.objective, settings.strict),
        start=settings.start,
        progress=progress,
    )
    return _confirmed(program, capture, found, _proof(capture, found, work), monotonic() - started)


def _proof(capture: Capture, found: Improved, work: Path) -> Answer | None:
    """The answer as a file holds it, with the program kept beside its compiles; None where that cannot be written."""
    path = work / PROGRAM
    try:
        save_capture(capture, path)
    except BadInputError as error:
        warn("%s; the answer does not carry what was confirmed", error)
        return None
    loaded = replace(of_capture(capture, path), given=capture.given)
    return proven(found, loaded, Asked(str(path), digest_of_file(path), str(work)))


class _Compiles(CompileCache):
    """Finished compiles; one that cannot be written is told in one line, and the search goes on."""

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            super()._keep(path, data)
        except BadInputError as error:
            warn("%s; the compile is not kept", error)


def _confirmed(program: Program, capture: Capture, found: Improved, proof: Answer | None, seconds: float) -> Optimized:
    answer, problem = found.answer, capture.problem()
    row = answer.row
    assert row is not None
    return Optimized(
        module=problem.module,
        target=program.target,
        program=program.digest,
        fingerprint=problem.fingerprint,
        versions=versions_here(),
        kind=answer.kind,
        about=answer.about,
        options=dict(answer.options),
        default=_of_row(found.default),
        answer=_of_row(row),
        verdict=found.choice.verdict(answer),
        confirmed=True,
        status=found.status,
        compiles=found.compiles + 1,
        seconds=seconds,
        notes=_lines([*program.notes, *problem.notes, *([] if found.carried is None else [found.carried.about])]),
        init_args=program.init_args,
        proof=proof,
    )


def search_file(file: File, _: Path, settings: Settings, progress: Progress) -> Optimized:
    """A plan for a file that holds no module, by the costs of the file; nothing is compiled.

    Raises:
        BadInputError, xla_dump_parser.ParseError: the file cannot be used.
    """
    found = solve_automatically(
        load(file.path, file.target, module=file.module, given=settings.given, progress=progress),
        compile_in_child,
        time_limit=settings.time_limit,
        compiles=0,
        seed=settings.seed,
        choice=Choice(settings.objective, settings.strict),
        start=settings.start,
        progress=progress,
    )
    return _predicted(file, found)


def _predicted(file: File, found: Automatic) -> Optimized:
    """The plan, unless it is not predicted to beat XLA's own placement, foreseen where the file does not have it."""
    assert isinstance(found.answer, NamedPlan)
    assert found.predicted is not None
    assert found.foresight is not None
    problem, expected = found.loaded.problem, found.foresight.default
    default, answer = Estimate(expected.e_seconds, expected.m_seconds), Estimate(*found.predicted)
    beaten = found.verdict != "better"
    return Optimized(
        module=problem.module,
        target=problem.target.name,
        program=file.digest,
        fingerprint=problem.fingerprint,
        versions=versions_here(),
        kind="xla default" if beaten else "plan",
        about="XLA's default" if beaten else "plan of the local search",
        options={} if beaten else compiler_options(found.answer),
        default=default,
        answer=default if beaten else answer,
        verdict="equal" if beaten else "better",
        confirmed=False,
        status=found.status,
        compiles=0,
        seconds=found.seconds,
        notes=_lines([*problem.notes, *found.notes]),
        proof=None if beaten else found.answer,
    )


def _of_row(row: Row) -> Estimate:
    return Estimate(row.e_seconds, row.m_seconds)


def _lines(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(" ".join(note.split())[:MAX_NOTE] for note in notes)
