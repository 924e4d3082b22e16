"""Recompiles a plan, reads back what the compiler did, and replays it beside XLA's default and MSA switched off."""

from __future__ import annotations

import time

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.changes import changes
from mallocgame.compiler.child import Compile, Limits, compile_in_child
from mallocgame.compiler.compare import compare, last_timed, takes_time
from mallocgame.compiler.confirm import MSA_OFF_OPTIONS, Confirmed, confirm, confirm_other
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.relax import Relaxation
from mallocgame.compiler.verification import Miss, Row, Verification, best_of, replayed
from mallocgame.models.replay import read_back
from mallocgame.plan.compiler_options import split_of
from mallocgame.plan.named_plan import NamedPlan, check_plan
from mallocgame.plan.options_file import ProgramOptions
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from mallocgame.system.progress import Progress, Stage, silent
from xla_dump_parser import hlo, parse_hlo

MAX_COMPILES = 12
"""Recompiles of one plan before giving up on refusals."""


def verify(
    named: NamedPlan,
    capture: Capture,
    *,
    limits: Limits | None = None,
    max_compiles: int = MAX_COMPILES,
    progress: Progress = silent,
    compile: Compile = compile_in_child,
    msa_off: bool = True,
    first: Capture | None = None,
) -> Verification:
    """Confirm a plan with the real compiler, or with ``compile`` in its place, e.g. a cache.

    Where the plan is for another memory split than the program is compiled with anyway, ``first`` is its capture there:
    the plan is compared with XLA's default of that, and XLA's own placement at the plan's split is a row of its own.

    A refused override gets its tensor allocated first, then left in HBM, at most ``max_compiles`` compiles in all; so
    is what no override can express. MSA switched off takes one compile more, where ``msa_off`` asks for it.

    Raises:
        BadInputError: the plan is for another program, target or memory split, or has names that cannot be written.
        CompilerRefusedError: the compiler refuses for another reason, or schedules another program.
        NoAnswerError: a limit was reached.
    """
    started = time.monotonic()
    problem = capture.problem()
    check_plan(named, problem)
    if named.scoped_vmem_kib != capture.scoped_vmem_kib:
        raise BadInputError(
            f"the plan is for a memory split of {named.scoped_vmem_kib} KiB, the capture has {capture.scoped_vmem_kib}"
        )
    relaxation = Relaxation(named)
    progress(Stage("compiling with the plan's options"))
    planned, compiles = carry_out(
        relaxation, capture, compile, limits=limits, max_compiles=max_compiles, progress=progress
    )
    compiled, final = planned.compiled, planned.final
    default = parse_hlo(capture.final, "final of XLA's default")
    rows = [replayed("xla default" if first is None else "split", problem, default, capture.peak_hbm)]
    if first is not None:
        rows.insert(0, default_row(first))
    notes = list(changes(default, final))
    if msa_off:
        progress(Stage("compiling with MSA switched off"))
        try:
            rows.append(without_msa(capture, compile, limits))
        except (CompilerRefusedError, NoAnswerError) as error:
            notes.append(f"MSA off is left out: {error}")
    rows.append(planned.row)
    if not planned.row.fits:
        notes.append(
            f"the plan needs {planned.row.peak_hbm} bytes of HBM, {problem.target.name} has {problem.target.hbm_bytes}"
        )
    if compiled.versions["libtpu"] != capture.versions.get("libtpu"):
        notes.append(
            f"captured with libtpu {capture.versions.get('libtpu')}, verified with {compiled.versions['libtpu']}"
        )
    honoured, sites, misses = judge_sites(problem, relaxation, named.plan, final)
    return Verification(
        problem=problem,
        rows=tuple(rows),
        honoured=honoured,
        sites=sites,
        misses=misses,
        relaxed=tuple(relaxation.relaxed),
        best=best_of(tuple(rows), split_changed=first is not None),
        compiles=compiles + msa_off,
        seconds=time.monotonic() - started,
        options=planned.options,
        versions=compiled.versions,
        final=compiled.final,
        buffer_assignment=compiled.buffer_assignment,
        notes=tuple(notes),
        split_changed=first is not None,
    )


def verify_options(
    answer: ProgramOptions, capture: Capture, *, compile: Compile = compile_in_child, limits: Limits | None = None
) -> tuple[Verification, Confirmed]:
    """Confirm an answer that is no plan: the program compiled with its options, beside XLA's default.

    Returns:
        The verification, which has no sites, and the compile.

    Raises:
        BadInputError: the answer is for another program.
        CompilerRefusedError, NoAnswerError: as ``verify``.
    """
    started = time.monotonic()
    if answer.fingerprint != capture.problem().fingerprint:
        raise BadInputError(
            f"the options are for another program or schedule than {capture.function}: `mallocgame solve FILE --from "
            "ANSWER` starts from them"
        )
    how = confirm if answer.kind in ("msa off", "soft plan") else confirm_other
    found = how(capture, answer.kind, {**capture.options, **answer.options}, compile, limits)
    rows, changed = (default_row(capture), found.row), split_of(found.options) != capture.scoped_vmem_kib
    return Verification(
        problem=found.problem,
        rows=rows,
        honoured=0,
        sites=0,
        misses=(),
        relaxed=(),
        best=best_of(rows, changed),
        compiles=1,
        seconds=time.monotonic() - started,
        options=found.options,
        versions=found.compiled.versions,
        final=found.compiled.final,
        buffer_assignment=found.compiled.buffer_assignment,
        split_changed=changed,
    ), found


def default_row(capture: Capture) -> Row:
    """Figures of XLA's default."""
    return replayed("xla default", capture.problem(), parse_hlo(capture.final, "final"), capture.peak_hbm)


def without_msa(capture: Capture, compile: Compile = compile_in_child, limits: Limits | None = None) -> Row:
    """Figures of the program without MSA: everything in HBM.

    Raises:
        CompilerRefusedError, NoAnswerError: it does not compile, or its schedule is another, so it cannot be compared.
    """
    return confirm(capture, "msa off", {**capture.options, **MSA_OFF_OPTIONS}, compile, limits).row


def carry_out(
    relaxation: Relaxation,
    capture: Capture,
    compile: Compile,
    *,
    limits: Limits | None = None,
    max_compiles: int = MAX_COMPILES,
    cut: bool = False,
    progress: Progress = silent,
) -> tuple[Confirmed, int]:
    """Compile with a plan's options until none is refused.

    Args:
        relaxation: of the plan; afterwards it says what was refused.
        capture: of the plan's schedule; or at another memory split than the plan's, where that is foreseen to be the
            same. Then the compile's problem says what it is.
        compile: who compiles.
        limits: of each compile.
        max_compiles: after how many to give up.
        cut: whether to leave out more and more of a plan that is refused, so that the last compile is likely accepted.
        progress: is told of each refusal and of the compile after it.

    Returns:
        The last compile, and how many there were.

    Raises:
        CompilerRefusedError, NoAnswerError: as ``verify``.
    """
    how = confirm if relaxation.named.scoped_vmem_kib == capture.scoped_vmem_kib else confirm_other
    for number in range(1, max_compiles + 1):
        options = {**capture.options, **relaxation.options()}
        if number > 1:
            progress(Stage(f"compiling the plan without what was refused, compile {number} of it"))
        try:
            return how(capture, "plan", options, compile, limits), number
        except OverrideRefusedError as refusal:
            progress(str(refusal))
            taken = relaxation.refuse(refusal)
            if cut and number < max_compiles:
                relaxation.cut(refusal, max_compiles - number)
                progress(f"left in HBM: {len(relaxation.relaxed)} groups")
            elif not taken:
                raise
    raise NoAnswerError(f"the compiler still refuses overrides after {max_compiles} compiles")


def judge_sites(
    problem: Problem, relaxation: Relaxation, plan: Plan, final: hlo.HloModule
) -> tuple[int, int, tuple[Miss, ...]]:
    """How many sites of a plan a final text honours, of how many, and which it does not; see ``compare``.

    Args:
        problem: of the plan.
        relaxation: says what was refused.
        plan: as it was before that.
        final: text of the compile.
    """
    return compare(problem, plan, read_back(problem, final), _starts(problem, final), relaxation.relaxed)


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
