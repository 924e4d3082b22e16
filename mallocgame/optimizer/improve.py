"""Runs the loop: proposes, compiles, reads back, learns, until a budget is spent or nothing is left to try."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from time import monotonic

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import recapture
from mallocgame.compiler.child import Compile, Limits
from mallocgame.compiler.confirm import Confirmed, confirm, confirm_other
from mallocgame.compiler.meter import Meter
from mallocgame.compiler.relax import Relaxation
from mallocgame.compiler.verification import Row
from mallocgame.compiler.verify import carry_out, judge_sites
from mallocgame.optimizer.knowledge import agent
from mallocgame.optimizer.knowledge.base import Base, base_of
from mallocgame.optimizer.knowledge.candidates import Candidate, Tried
from mallocgame.optimizer.knowledge.choice import Choice, pareto
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.optimizer.proposers.order import PROPOSERS, turn
from mallocgame.plan.compiler_options import SCOPED_VMEM, split_of
from mallocgame.plan.verdict import verdict
from mallocgame.solvers.annealing.warm_up import compile_native
from mallocgame.system.errors import BadInputError, CompilerRefusedError, MallocgameError
from mallocgame.system.printable import one_line
from mallocgame.system.progress import Progress, silent
from xla_dump_parser import ParseError

REFUSALS = 2
"""Compiles of one plan; if refused until then, the groups are barred and the next plan does without them."""

ROOM = 0.93
"""Share of the fast memory that the next plan may fill, of what the one before might for which there was no room: the
compiler's allocator is foreseen by simulation, which is not exact."""

AGENT = "agent"
"""Its name among what can be left out."""

BOUND_SHARE = 0.1
"""Part of the search time for the proven bound, at first for XLA's schedule, at last for the answer's if another."""


@dataclass(frozen=True)
class Improved:
    """What the loop found.

    Attributes:
        answer: the best of all confirmed programs, XLA's default if none beats it.
        tried: XLA's default, and what was compiled, in order.
        pareto: of these, those that no other beats under E and M.
        choice: how the answer was chosen.
        default: figures of XLA's default.
        compiles: how many it took.
        compile_seconds: of them; a cached one counts as long as it took.
        search_seconds: wall time of the searches.
        peak_memory: resident bytes of the largest compile.
        base: the schedule of the answer, with XLA's own figures and the bound under M; None where it was not captured.
        status: why it ended: ``"compiles spent"``, ``"time limit"``, ``"nothing left to try"`` or ``"interrupted"``.
    """

    answer: Tried
    tried: tuple[Tried, ...]
    pareto: tuple[Tried, ...]
    choice: Choice
    default: Row
    compiles: int
    compile_seconds: float
    search_seconds: float
    peak_memory: int
    status: str
    base: Base | None


def improve(
    capture: Capture,
    *,
    compile: Compile,
    time_limit: float,
    compiles: int,
    seed: int = 0,
    choice: Choice | None = None,
    without: Collection[str] = (),
    limits: Limits | None = None,
    progress: Progress = silent,
) -> Improved:
    """The best program that the compiler confirms within the budgets, never worse than XLA's default.

    Ctrl-C ends the loop with the best so far.

    Args:
        capture: of XLA's default.
        compile: who compiles, e.g. a cache: then the same call goes on where an interrupted one stopped.
        time_limit: seconds of search; compiles come on top.
        compiles: how many, refused ones, other splits and calibration included.
        seed: of all random choices.
        choice: how the answer is chosen.
        without: names of ``PROPOSERS`` to leave out, or ``"agent"``.
        limits: of each compile.
        progress: is told one line at each step.

    Raises:
        BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
    """
    loop = _Loop(capture, Meter(compile), time_limit, compiles, seed, choice or Choice(), without, limits, progress)
    with loop.playing:
        try:
            status = loop.run()
        except KeyboardInterrupt:
            status = "interrupted"
    return loop.improved(status)


class _Loop:
    def __init__(
        self,
        capture: Capture,
        meter: Meter,
        time_limit: float,
        compiles: int,
        seed: int,
        choice: Choice,
        without: Collection[str],
        limits: Limits | None,
        progress: Progress,
    ) -> None:
        self.meter, self.limits, self.progress = meter, limits, progress
        self.compiles, self.time_limit = compiles, time_limit
        self.started = monotonic()
        self.playing = ExitStack()
        self.plays = AGENT not in without and agent.is_available()
        first = base_of(capture)
        self.proposers = {name: make() for name, make in PROPOSERS.items() if name not in without}
        self.known = Knowledge(
            first, [first], choice, seed, compiles, time_limit, progress, searches="plans" in self.proposers
        )
        self.known.tried.append(
            Tried(
                proposer="xla default",
                kind="xla default",
                about="XLA's default",
                options=dict(capture.options),
                scoped_vmem_kib=capture.scoped_vmem_kib,
                fingerprint=first.problem.fingerprint,
                row=first.default,
                verdict="equal",
                strict_verdict="equal",
            )
        )

    def run(self) -> str:
        """Bound, and try candidates; returns why it ended."""
        self.progress("loading the search's native code; the first run of an installation compiles it, a minute or two")
        compile_native()
        self._play(self.known.first)
        self._prove(self.known.first)
        status = self._try_all()
        base = self.known.base_of(self.known.incumbent)
        if base is not None and base is not self.known.first:
            self._prove(base)
        return status

    def _try_all(self) -> str:
        number = idle = 0
        while self.known.compiles_left > 0:
            proposer = self.proposers.get(turn(number))
            number += 1
            candidate = None if proposer is None else proposer.propose(self.known)
            idle = 0 if candidate is not None else idle + 1
            if candidate is not None:
                self._try(candidate)
            elif idle > 2 * len(PROPOSERS):
                return "time limit" if self.known.seconds_left <= 0 else "nothing left to try"
        return "compiles spent"

    def improved(self, status: str) -> Improved:
        known = self.known
        return Improved(
            answer=known.incumbent,
            tried=tuple(known.tried),
            pareto=pareto(known.tried),
            choice=known.choice,
            default=known.default,
            compiles=self.meter.compiles,
            compile_seconds=self.meter.seconds,
            search_seconds=self.time_limit - known.seconds_left,
            peak_memory=self.meter.peak_memory,
            status=status,
            base=known.base_of(known.incumbent),
        )

    def _play(self, base: Base) -> None:
        """Have the agent play a schedule, if plans are searched and there is an agent."""
        seconds = agent.SHARE * self.time_limit
        if self.plays and self.known.searches and seconds >= agent.LEAST_SECONDS:
            base.agent = self.playing.enter_context(agent.playing(base.capture, seconds, self.known.seed))

    def _prove(self, base: Base) -> None:
        share = BOUND_SHARE * self.time_limit
        try:
            self.known.seconds_left -= min(share, base.prove(share, self.known.seed))
        except BadInputError as error:
            self.progress(f"no proven bound: {error}")

    def _try(self, candidate: Candidate) -> None:
        """Compile, read back, learn."""
        self.progress(f"{self._standing()}: compiling {candidate.about}")
        before = self.meter.compiles
        known = self.known
        tried = Tried(
            proposer=candidate.proposer,
            kind=candidate.kind,
            about=candidate.about,
            options={**candidate.base.capture.options, **candidate.options},
            scoped_vmem_kib=candidate.base.capture.scoped_vmem_kib,
            fingerprint=candidate.base.problem.fingerprint,
            predicted=candidate.predicted,
            plan=candidate.plan,
        )
        try:
            tried = self._confirmed(candidate, tried)
        except (MallocgameError, ParseError) as error:
            tried = replace(tried, failure=one_line(error, 1000))
            self.progress(f"{candidate.about}: {tried.failure}")
        tried = replace(tried, compiles=self.meter.compiles - before)
        known.compiles_left = self.compiles - self.meter.compiles
        known.tried.append(tried)

    def _confirmed(self, candidate: Candidate, tried: Tried) -> Tried:
        if candidate.options.keys() == {SCOPED_VMEM}:
            return self._split(tried)
        if candidate.plan is not None:
            return self._plan(candidate, tried)
        how = confirm_other if candidate.kind in ("global flags", "split") else confirm
        found = how(candidate.base.capture, candidate.kind, tried.options, self.meter, self.limits)
        if found.problem is candidate.base.problem:
            candidate.base.observe(found.final)
        return self._judged(tried, found.row, found.options, found.problem.fingerprint)

    def _split(self, tried: Tried) -> Tried:
        capture = recapture(self.known.first.capture, tried.options, limits=self.limits, compile=self.meter)
        base = base_of(capture)
        if _offloaded(base) != _offloaded(self.known.first):
            raise CompilerRefusedError("this split gives work to another core, whose time is in neither model")
        self.known.bases.append(base)
        self._play(base)
        row = replace(base.default, name="split")
        return self._judged(tried, row, tried.options, base.problem.fingerprint)

    def _plan(self, candidate: Candidate, tried: Tried) -> Tried:
        assert candidate.plan is not None
        base, relaxation = candidate.base, Relaxation(candidate.plan)
        base.plans += 1
        try:
            found, _ = carry_out(
                relaxation,
                base.capture,
                self.meter,
                limits=self.limits,
                max_compiles=min(REFUSALS, self.known.compiles_left),
                progress=self.progress,
            )
        except MallocgameError:
            base.barred |= {*relaxation.first}
            if relaxation.first:
                base.room *= ROOM
            raise
        finally:
            base.barred |= {entry.group for entry in relaxation.relaxed}
        honoured, sites = self._learn(candidate, base, relaxation, found)
        tried = self._judged(tried, found.row, found.options, base.problem.fingerprint)
        return replace(tried, plan=relaxation.named, honoured=honoured, sites=sites)

    def _learn(self, candidate: Candidate, base: Base, relaxation: Relaxation, found: Confirmed) -> tuple[int, int]:
        """Cycles, what the compiler did otherwise, and the best plan."""
        assert candidate.plan is not None
        base.observe(found.final)
        honoured, sites, misses = judge_sites(base.problem, relaxation, candidate.plan.plan, found.final)
        groups = {tensor.name: tensor.group for tensor in base.problem.tensors}
        base.barred |= {groups[miss.tensor] for miss in misses if miss.planned != "HBM"}
        rank = self.known.choice.rank(found.row, self.known.default, base is not self.known.first)
        if base.plan is None or rank < base.rank:
            base.plan, base.rank = relaxation.named.plan, rank
        return honoured, sites

    def _judged(self, tried: Tried, row: Row, options: Mapping[str, str], fingerprint: str) -> Tried:
        default, split = self.known.default, split_of(options)
        changed = split != self.known.first.capture.scoped_vmem_kib
        tried = replace(
            tried,
            options=dict(options),
            scoped_vmem_kib=split,
            fingerprint=fingerprint,
            row=row,
            verdict=verdict(row, default, changed),
            strict_verdict=verdict(row, default, changed, strict=True),
        )
        self.progress(
            f"{tried.about}: E {_ratio(default.e_seconds, row.e_seconds)}, "
            f"M {_ratio(default.m_seconds, row.m_seconds)}, {tried.verdict}"
        )
        return tried

    def _standing(self) -> str:
        """Time, compiles, the incumbent, and how far it can be from the best, for a line of progress."""
        known = self.known
        best, default = known.incumbent, known.default
        row, base = best.row or default, known.base_of(best) or known.first
        gap = f", M bound {1 - base.bound_m / row.m_seconds:.1%} below" if row.m_seconds else ""
        return (
            f"{monotonic() - self.started:.0f} s, {self.meter.compiles} of {self.compiles} compiles, {best.about}: "
            f"E {_ratio(default.e_seconds, row.e_seconds)}, M {_ratio(default.m_seconds, row.m_seconds)}{gap}"
        )


def _offloaded(base: Base) -> int:
    """How many pieces of work a program gives to other cores (the SparseCore), asynchronously."""
    return sum(instruction.opcode == "async-start" for instruction in base.problem.instructions)


def _ratio(default: float, row: float) -> str:
    """XLA's default over a program, as text: above 1 is faster."""
    return f"{default / row:.4f}" if row else "-"
