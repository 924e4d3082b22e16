"""Recompiles a plan, reads back what the compiler did, and replays it beside XLA's default and MSA switched off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from mallocgame.compiler.capture import Capture, peak_hbm, schedule_of
from mallocgame.compiler.changes import changes
from mallocgame.compiler.child import QUIET_VMODULE, Compile, Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.compare import compare, last_timed, takes_time
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.relax import Relaxation
from mallocgame.compiler.verification import Row, RowName, Verification, best_of
from mallocgame.errors import BadInputError, CompilerRefusedError, NoAnswerError
from mallocgame.export.options import compiler_options
from mallocgame.export.overrides import InexpressibleError
from mallocgame.named_plan import NamedPlan, check_plan
from mallocgame.problem.schema import Problem
from mallocgame.replay import read_back, replay_final
from xla_dump_parser import hlo, parse_hlo

MAX_COMPILES = 12
"""Recompiles of one plan before giving up on refusals."""

MSA_OFF: Mapping[str, str] = {"xla_msa_enable": "false"}

_Run = Callable[[Mapping[str, str]], Compiled]
"""Compiles the captured module with these options."""


def verify(
    named: NamedPlan,
    capture: Capture,
    *,
    limits: Limits | None = None,
    max_compiles: int = MAX_COMPILES,
    progress: Callable[[str], None] | None = None,
    compile: Compile = compile_in_child,
    msa_off: bool = True,
) -> Verification:
    """Confirm a plan with the real compiler, or with ``compile`` in its place, e.g. a cache.

    A refused override gets its tensor allocated first, then left in HBM, at most ``max_compiles`` compiles in all; so
    is what no override can express. MSA switched off takes one compile more, where ``msa_off`` asks for it.

    Raises:
        BadInputError: the plan is for another program, target or memory split, or has names that cannot be written.
        CompilerRefusedError: the compiler refuses for another reason, or schedules another program.
        NoAnswerError: a limit was reached.
    """
    started = time.monotonic()
    tell = progress or _silent
    problem = capture.problem()
    check_plan(named, problem)
    if named.scoped_vmem_kib != capture.scoped_vmem_kib:
        raise BadInputError(
            f"the plan is for a memory split of {named.scoped_vmem_kib} KiB, the capture has {capture.scoped_vmem_kib}"
        )
    relaxation = Relaxation(named)

    def run(options: Mapping[str, str]) -> Compiled:
        request = Request(capture.topology, lowered=capture.lowered, options=options, vmodule=QUIET_VMODULE)
        return compile(request, limits)

    compiled, options, compiles = _compile_plan(relaxation, capture, run, max_compiles, tell)
    check_schedule(compiled, capture, "with the plan's options")
    default, final = parse_hlo(capture.final, "final of XLA's default"), parse_hlo(compiled.final, "final of the plan")
    rows = [replayed("xla default", problem, default, capture.peak_hbm)]
    notes = list(changes(default, final))
    if msa_off:
        tell("compiling with MSA switched off")
        rows += _msa_off(problem, capture, run, notes)
    rows.append(replayed("plan", problem, final, peak_hbm(compiled.memory_usage)))
    if not rows[-1].fits:
        notes.append(
            f"the plan needs {rows[-1].peak_hbm} bytes of HBM, {problem.target.name} has {problem.target.hbm_bytes}"
        )
    if compiled.versions["libtpu"] != capture.versions.get("libtpu"):
        notes.append(
            f"captured with libtpu {capture.versions.get('libtpu')}, verified with {compiled.versions['libtpu']}"
        )
    honoured, sites, misses = compare(
        problem, named.plan, read_back(problem, final), _starts(problem, final), relaxation.relaxed
    )
    return Verification(
        rows=tuple(rows),
        honoured=honoured,
        sites=sites,
        misses=misses,
        relaxed=tuple(relaxation.relaxed),
        best=best_of(tuple(rows)),
        compiles=compiles + msa_off,
        seconds=time.monotonic() - started,
        options=options,
        versions=compiled.versions,
        final=compiled.final,
        buffer_assignment=compiled.buffer_assignment,
        notes=tuple(notes),
    )


def _compile_plan(
    relaxation: Relaxation, capture: Capture, run: _Run, max_compiles: int, tell: Callable[[str], None]
) -> tuple[Compiled, dict[str, str], int]:
    for number in range(1, max_compiles + 1):
        options = {**capture.options, **_expressible(relaxation)}
        tell(f"compiling with the plan's options ({number})")
        try:
            return run(options), options, number
        except OverrideRefusedError as refusal:
            tell(str(refusal))
            if not relaxation.refuse(refusal):
                raise
    raise NoAnswerError(f"the compiler still refuses overrides after {max_compiles} compiles")


def _expressible(relaxation: Relaxation) -> dict[str, str]:
    """The options of the plan, less the groups that no override can express."""
    for _ in relaxation.named.tensors:
        try:
            return compiler_options(relaxation.named, relaxation.first)
        except InexpressibleError as error:
            relaxation.leave(error.tensor, str(error))
    return compiler_options(relaxation.named, relaxation.first)


def _msa_off(problem: Problem, capture: Capture, run: _Run, notes: list[str]) -> list[Row]:
    """The program without MSA; nothing, with a note, where it cannot be compared."""
    try:
        compiled = run({**capture.options, **MSA_OFF})
        check_schedule(compiled, capture, "with MSA switched off")
    except (CompilerRefusedError, NoAnswerError) as error:
        notes.append(f"MSA off is left out: {error}")
        return []
    final = parse_hlo(compiled.final, "final with MSA off")
    return [replayed("msa off", problem, final, peak_hbm(compiled.memory_usage))]


def check_schedule(compiled: Compiled, capture: Capture, how: str) -> None:
    """Costs and times are those of the capture's schedule, so another one cannot be judged.

    Raises:
        CompilerRefusedError: the compile has another schedule; ``how`` it was compiled goes into the message.
    """
    if schedule_of(compiled.before_msa) != capture.schedule:
        raise CompilerRefusedError(f"the compiler schedules another program {how}; capture again with this libtpu")


def replayed(name: RowName, problem: Problem, final: hlo.HloModule, hbm: int) -> Row:
    """The figures of a final text; ``hbm`` is the bytes of HBM that it needs."""
    e, m = replay_final(problem, final, "E"), replay_final(problem, final, "M")
    return Row(
        name=name,
        e_seconds=e.total,
        e_stall=e.stall,
        m_seconds=m.total,
        m_stall=m.stall,
        peak_fast=m.peak_fast,
        peak_hbm=hbm,
        missing=m.missing,
        fits=hbm <= problem.target.hbm_bytes,
    )


def _starts(problem: Problem, final: hlo.HloModule) -> dict[str, int]:
    """For each copy of the final text, by its starting instruction: ``last_timed`` of where it starts."""
    times = {instruction.name: time for time, instruction in enumerate(problem.instructions)}
    found = {}
    for number, computation in enumerate(problem.computations):
        body = final.computations.get(computation.name)
        last = -1 - number
        for instruction in body.instructions if body is not None else ():
            at = times.get(instruction.name)
            if at is not None and takes_time(problem, at):
                last = last_timed(problem, at)
            elif instruction.opcode.endswith("-start"):
                found[instruction.name] = last
    return found


def _silent(_: str) -> None:
    return None
