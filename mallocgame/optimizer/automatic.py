"""`solve --solver auto`: the loop where there is a capture and a compiler, else a plan that nothing has confirmed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import is_capture, load_capture
from mallocgame.compiler.child import Compile
from mallocgame.compiler.export.options import compiler_options
from mallocgame.compiler.verification import Row
from mallocgame.compiler.versions import COMPILERS, installed_versions
from mallocgame.optimizer.foresight import Foresight, foresight_of
from mallocgame.optimizer.improve import Improved, improve
from mallocgame.optimizer.knowledge.candidates import Tried
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.optimizer.start import Start
from mallocgame.optimizer.trials import against
from mallocgame.plan.confirmation import Confirmation, Stated
from mallocgame.plan.named_plan import FILE_OPTION, NamedPlan, name_plan
from mallocgame.plan.options_file import ProgramOptions
from mallocgame.plan.validate import validate
from mallocgame.plan.verdict import Verdict, verdict_words
from mallocgame.programs.loaded import Loaded
from mallocgame.solvers import solve
from mallocgame.system.errors import BadInputError, CompilerRefusedError, MallocgameError
from mallocgame.system.progress import Progress

if TYPE_CHECKING:
    from mallocgame.probe.measure import Probe


@dataclass(frozen=True, slots=True)
class Asked:
    """Where an answer's program and compiles are found again; see ``Confirmation``."""

    file: str
    sha256: str | None
    cache: str


@dataclass(frozen=True)
class Automatic:
    """The answer of ``solve --solver auto``.

    Attributes:
        loaded: what was solved.
        answer: a plan, or the options of a program that is none, as a file holds it.
        improved: what the loop found; None where nothing could be compiled.
        predicted: (E, M) in seconds of a plan that is not confirmed; None where it is.
        status: why it ended.
        notes: what a reader should know, one line each.
        seconds: wall time, reading the program included.
        foresight: what an answer that is not confirmed is compared with; None where it is confirmed.
        verdict: of that comparison.
        probed: the answer against XLA's default on the device, where that was asked for.
    """

    loaded: Loaded
    answer: NamedPlan | ProgramOptions
    improved: Improved | None
    predicted: tuple[float, float] | None
    status: str
    notes: tuple[str, ...]
    seconds: float
    foresight: Foresight | None = None
    verdict: Verdict | None = None
    probed: Probe | None = None

    @property
    def is_written(self) -> bool:
        """Whether the answer is worth a file: confirmed, chosen by the device, or predicted better."""
        return self.verdict in (None, "better") or self.probed is not None or isinstance(self.answer, ProgramOptions)


def solve_automatically(
    loaded: Loaded,
    compile: Compile,
    *,
    asked: Asked | None = None,
    time_limit: float,
    compiles: int,
    compile_time: float | None = None,
    seed: int,
    choice: Choice,
    start: Start | None = None,
    progress: Progress,
) -> Automatic:
    """The best program for a loaded file; other arguments as ``improve``.

    Args:
        asked: where the answer finds its program and compiles again; None where nothing is kept.

    Raises:
        BadInputError: ``start`` is for another target, or there is nothing to compile.
        MallocgameError: the file's texts do not hold together.
    """
    started = monotonic()
    reason = _why_nothing_compiles(loaded)
    if start is not None and (reason is not None or compiles == 0):
        raise BadInputError(
            f"{start.name}: only a compile tells what an answer is worth here: {reason or 'no compiles were allowed'}"
        )
    if reason is not None or compiles == 0:
        return _unconfirmed(loaded, reason or "no compiles were allowed", time_limit, seed, choice, progress, started)
    capture = _capture(loaded)
    here = installed_versions()
    notes = [
        f"captured with {name} {capture.versions.get(name)}, compiled with {here[name]}"
        for name in COMPILERS
        if capture.versions.get(name) != here[name]
    ]
    if capture.init_args:
        notes.append(f"compiled with LIBTPU_INIT_ARGS='{' '.join(capture.init_args)}', as captured")
    found = improve(
        capture,
        start=start,
        compile=compile,
        time_limit=time_limit,
        compiles=compiles,
        compile_time=compile_time,
        seed=seed,
        choice=choice,
        progress=progress,
    )
    if start is not None and found.carried is not None:
        notes.append(f"{found.carried.about} ({start.made_by})")
    return Automatic(
        loaded, proven(found, loaded, asked), found, None, found.status, tuple(notes), monotonic() - started
    )


def _why_nothing_compiles(loaded: Loaded) -> str | None:
    if not is_capture(loaded.source):
        return "the file is no capture, so there is no program to compile"
    try:
        installed_versions()
    except CompilerRefusedError as error:
        return str(error)
    return None


def proven(found: Improved, loaded: Loaded, asked: Asked | None) -> NamedPlan | ProgramOptions:
    """The plan, if its export gives what was confirmed, else the options; with what was confirmed.

    Which file the plan is for is recorded where it is the loaded one: a plan of another split is for another schedule.

    Args:
        found: by the loop.
        loaded: the program.
        asked: where that and its compiles are found again; None where nothing is kept.
    """
    answer, confirmation = found.answer, None if asked is None else _confirmation(found, loaded, asked)
    if answer.plan is not None and compiler_options(answer.plan).items() == answer.options.items():
        options = {**answer.plan.options, **loaded.given.recorded()}
        if answer.plan.fingerprint == loaded.problem.fingerprint:
            options[FILE_OPTION] = loaded.source
        return replace(answer.plan, options=options, confirmation=confirmation)
    return ProgramOptions(
        kind=answer.kind,
        about=answer.about,
        module=loaded.problem.module,
        target=loaded.problem.target.name,
        fingerprint=loaded.problem.fingerprint,
        versions=dict(loaded.versions),
        options=dict(answer.options),
        confirmation=confirmation,
    )


def _confirmation(found: Improved, loaded: Loaded, asked: Asked) -> Confirmation | None:
    """The figures of the search, for the answer's file."""
    answer = found.answer
    if answer.row is None or answer.verdict is None:
        return None
    return Confirmation(
        default=_stated(found.default),
        answer=_stated(answer.row),
        verdict=found.choice.verdict(answer) or answer.verdict,
        scoped_vmem_kib=answer.scoped_vmem_kib,
        honoured=answer.honoured,
        sites=answer.sites,
        misses=answer.misses,
        tried=(found.tried[0].about, *(_told(tried, found.default) for tried in found.tried[1:])),
        status=found.status,
        file=asked.file,
        sha256=asked.sha256,
        capture=str(Path(loaded.source).absolute()),
        cache=asked.cache,
    )


def _stated(row: Row) -> Stated:
    return Stated(row.e_seconds, row.e_stall, row.m_seconds, row.m_stall, row.peak_fast, row.peak_hbm)


def _told(tried: Tried, default: Row) -> str:
    """What became of a program, in one line."""
    if tried.row is None:
        return f"{tried.about}: {tried.failure}"
    honoured = "" if tried.sites is None else f", {tried.honoured}/{tried.sites} honoured"
    return f"{tried.about}: {against(tried.row, default)}, {verdict_words(tried.verdict)}{honoured}"


def _unconfirmed(
    loaded: Loaded, reason: str, time_limit: float, seed: int, choice: Choice, progress: Progress, started: float
) -> Automatic:
    """The best plan by the costs of the file."""
    problem = loaded.problem
    compared = _foresight(loaded, seed)
    solution = solve(
        problem,
        "local",
        time_limit,
        seed,
        loaded.final,
        progress,
        default=loaded.default,
        objective=choice.objective,
        cycles=compared.cycles,
        default_seconds=(compared.default.e_seconds, compared.default.m_seconds),
        evict_products=True,
    )
    violations = validate(problem, solution.plan)
    if violations:
        raise MallocgameError(f"solver local gave an invalid plan ({violations[0].message}); please report this")
    named = name_plan(
        problem,
        solution.plan,
        solver="auto",
        seed=seed,
        options={
            "time_limit": time_limit,
            "objective": choice.objective,
            "costs": problem.costs,
            FILE_OPTION: loaded.source,
            **loaded.given.recorded(),
        },
        versions=loaded.versions,
        scoped_vmem_kib=loaded.scoped_vmem_kib,
    )
    figures = compared.figures(solution.plan)
    return Automatic(
        loaded=loaded,
        answer=named,
        improved=None,
        predicted=(figures.e_seconds, figures.m_seconds),
        status=solution.status,
        notes=(f"nothing is confirmed: {reason}",),
        seconds=monotonic() - started,
        foresight=compared,
        verdict=compared.verdict(solution.plan),
    )


def _foresight(loaded: Loaded, seed: int) -> Foresight:
    """What the plan is compared with; of a capture more is known than of its final text."""
    found = foresight_of(loaded, seed)
    return replace(found, cycles=_capture(loaded).cycles()) if is_capture(loaded.source) else found


def _capture(loaded: Loaded) -> Capture:
    """The capture that was loaded, with what the user says of it."""
    return replace(load_capture(loaded.source), given=loaded.given)
