"""The columns of the benchmark: what each method does with one captured program, as a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mallocgame.bench.programs import of_tried
from mallocgame.bench.rows import AUTO, FLAG_TUNING, MSA_OFF, XLA_DEFAULT, BenchRow
from mallocgame.bench.store import module_sha256
from mallocgame.bench.tuning import tune
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.child import Compile, Limits
from mallocgame.compiler.confirm import MSA_OFF_OPTIONS, confirm
from mallocgame.compiler.meter import Meter
from mallocgame.compiler.verification import Row, replayed
from mallocgame.compiler.verify import verify
from mallocgame.models.replay import relaxed_bound
from mallocgame.optimizer.improve import improve
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.optimizer.proposers.order import PROPOSERS
from mallocgame.plan.compiler_options import split_of
from mallocgame.plan.named_plan import name_plan
from mallocgame.plan.validate import validate
from mallocgame.plan.verdict import verdict
from mallocgame.problem.schema import Problem
from mallocgame.solvers import solve
from mallocgame.system.checked_json import Scalar
from mallocgame.system.errors import MallocgameError
from mallocgame.system.progress import Progress
from mallocgame.system.version import __version__
from xla_dump_parser import hlo, parse_hlo


@dataclass(frozen=True)
class Settings:
    """What a run asks of every method.

    Attributes:
        seed: of all random choices.
        time_limit: seconds for a solver on one program.
        compiles: how many compiles a solver's plan, the loop or flag tuning may take on one program.
        choice: how the loop chooses its answer.
    """

    seed: int = 0
    time_limit: float = 30.0
    compiles: int = 6
    choice: Choice = field(default_factory=Choice)

    def options(self, method: str) -> dict[str, Scalar]:
        """Those that a method depends on."""
        if method in (XLA_DEFAULT, MSA_OFF):
            return {}
        if method == FLAG_TUNING:
            return {"compiles": self.compiles}
        searched: dict[str, Scalar] = {"compiles": self.compiles, "time_limit": self.time_limit}
        if is_auto(method):
            searched |= {"objective": self.choice.objective, "strict": self.choice.strict}
        return searched


@dataclass(frozen=True)
class Program:
    """One captured program with what its rows share.

    Attributes:
        workload: its name.
        capture: by XLA's default, at the compiler's own split.
        problem: of the capture.
        final: of the capture.
        default: figures of XLA's default.
        bound_e: relaxed bound under E, seconds.
        bound_m: relaxed bound under M, seconds.
        module: digest of the lowered module.
    """

    workload: str
    capture: Capture
    problem: Problem
    final: hlo.HloModule
    default: Row
    bound_e: float
    bound_m: float
    module: str


def program_of(workload: str, capture: Capture) -> Program:
    """Parse a capture and replay XLA's default.

    Raises:
        BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
    """
    problem, final = capture.problem(), parse_hlo(capture.final, "final of XLA's default")
    return Program(
        workload=workload,
        capture=capture,
        problem=problem,
        final=final,
        default=replayed("xla default", problem, final, capture.peak_hbm),
        bound_e=relaxed_bound(problem, "E"),
        bound_m=relaxed_bound(problem, "M"),
        module=module_sha256(capture.lowered),
    )


def run_method(
    method: str, program: Program, settings: Settings, compile: Compile, limits: Limits | None, progress: Progress
) -> BenchRow:
    """The row of one method.

    Raises:
        MallocgameError: there are no figures, with the reason.
        KeyboardInterrupt: the solver was interrupted.
    """
    meter = Meter(compile)
    if method == XLA_DEFAULT:
        return _default_row(program, settings)
    if method == MSA_OFF:
        return _msa_off_row(program, settings, meter, limits)
    if method == FLAG_TUNING:
        return _tuned_row(program, settings, compile, limits, progress)
    if is_auto(method):
        return _auto_row(method, program, settings, compile, limits, progress)
    return _solver_row(method, program, settings, meter, limits, progress)


def _default_row(program: Program, settings: Settings) -> BenchRow:
    capture = program.capture
    row = _figures(program, XLA_DEFAULT, settings, program.default, capture.options)
    return replace(row, compiles=1, seconds=capture.seconds, peak_memory=capture.peak_memory)


def _msa_off_row(program: Program, settings: Settings, meter: Meter, limits: Limits | None) -> BenchRow:
    capture = program.capture
    found = confirm(capture, "msa off", {**capture.options, **MSA_OFF_OPTIONS}, meter, limits)
    return _metered(_figures(program, MSA_OFF, settings, found.row, found.options), meter)


def _tuned_row(
    program: Program, settings: Settings, compile: Compile, limits: Limits | None, progress: Progress
) -> BenchRow:
    tuned = tune(
        program.capture,
        compiles=settings.compiles,
        seed=settings.seed,
        compile=compile,
        limits=limits,
        progress=progress,
    )
    row = _figures(program, FLAG_TUNING, settings, tuned.figures, tuned.compiler_options)
    return replace(
        row,
        fingerprint=tuned.fingerprint,
        compiles=tuned.compiles,
        seconds=tuned.seconds,
        peak_memory=tuned.peak_memory,
    )


WITHOUT = " without "


def is_auto(method: str) -> bool:
    """Whether a method is the loop, whole or without one of its proposers (``"auto without splits"``)."""
    name, _, left_out = method.partition(WITHOUT)
    return name == AUTO and (method == AUTO or left_out in PROPOSERS)


def _auto_row(
    method: str,
    program: Program,
    settings: Settings,
    compile: Compile,
    limits: Limits | None,
    progress: Progress,
) -> BenchRow:
    found = improve(
        program.capture,
        compile=compile,
        time_limit=settings.time_limit,
        compiles=settings.compiles,
        seed=settings.seed,
        choice=settings.choice,
        without=[left_out for left_out in (method.partition(WITHOUT)[2],) if left_out],
        limits=limits,
        progress=progress,
    )
    if found.status == "interrupted":
        raise KeyboardInterrupt
    answer = found.answer
    assert answer.row is not None, "the answer is XLA's default or better"
    row = _figures(program, method, settings, answer.row, answer.options)
    return replace(
        row,
        fingerprint=answer.fingerprint,
        split_m=None if found.base is None else found.base.default.m_seconds,
        proven_m=None if found.base is None else found.base.bound_m,
        proposer=answer.proposer,
        programs=tuple(map(of_tried, found.tried)),
        honoured=answer.honoured,
        sites=answer.sites,
        compiles=found.compiles,
        seconds=found.compile_seconds + found.search_seconds,
        peak_memory=found.peak_memory,
    )


def _solver_row(
    solver: str, program: Program, settings: Settings, meter: Meter, limits: Limits | None, progress: Progress
) -> BenchRow:
    problem, capture = program.problem, program.capture
    solution = solve(problem, solver, settings.time_limit, settings.seed, program.final)
    if solution.status == "interrupted":
        raise KeyboardInterrupt
    violations = validate(problem, solution.plan)
    if violations:
        raise MallocgameError(f"solver {solver} gave an invalid plan ({violations[0].message})")
    named = name_plan(
        problem,
        solution.plan,
        solver=solver,
        seed=settings.seed,
        options=settings.options(solver),
        versions=capture.versions,
        scoped_vmem_kib=capture.scoped_vmem_kib,
    )
    verification = verify(
        named,
        capture,
        limits=limits,
        max_compiles=settings.compiles,
        progress=progress,
        compile=meter,
        msa_off=False,
    )
    found = verification.row("plan")
    if found is None:
        raise MallocgameError("the verification has no row of the plan")
    row = _metered(_figures(program, solver, settings, found, verification.options), meter)
    return replace(
        row,
        honoured=verification.honoured,
        sites=verification.sites,
        seconds=row.seconds + solution.seconds_spent,
    )


def _figures(program: Program, method: str, settings: Settings, found: Row, options: Mapping[str, str]) -> BenchRow:
    capture, default = program.capture, program.default
    split = split_of(options)
    changed = split != capture.scoped_vmem_kib
    return BenchRow(
        workload=program.workload,
        target=capture.target,
        method=method,
        seed=settings.seed,
        options=settings.options(method),
        versions={**capture.versions, "mallocgame": __version__},
        module_sha256=program.module,
        fingerprint=program.problem.fingerprint,
        compiler_options=dict(options),
        scoped_vmem_kib=split,
        e_seconds=found.e_seconds,
        e_stall=found.e_stall,
        m_seconds=found.m_seconds,
        m_stall=found.m_stall,
        peak_fast=found.peak_fast,
        peak_hbm=found.peak_hbm,
        fits=found.fits,
        default_e=default.e_seconds,
        default_m=default.m_seconds,
        bound_e=program.bound_e,
        bound_m=program.bound_m,
        split_m=None if changed else default.m_seconds,
        verdict=verdict(found, default, changed),
        kind=found.name,
    )


def _metered(row: BenchRow, meter: Meter) -> BenchRow:
    return replace(row, compiles=meter.compiles, seconds=meter.seconds, peak_memory=meter.peak_memory)
