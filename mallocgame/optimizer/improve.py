"""Runs the loop: proposes, compiles, reads back, learns, until a budget is spent or nothing is left to try."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf, isfinite

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.child import Compile, Limits
from mallocgame.compiler.meter import Meter
from mallocgame.compiler.verification import Row
from mallocgame.optimizer.knowledge import agent
from mallocgame.optimizer.knowledge.base import Base, base_of
from mallocgame.optimizer.knowledge.candidates import Candidate, Tried
from mallocgame.optimizer.knowledge.choice import Choice, pareto
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.optimizer.proposers.carried import Carried, carried
from mallocgame.optimizer.proposers.order import PROPOSERS, turn
from mallocgame.optimizer.start import Start
from mallocgame.optimizer.trials import Trials, against
from mallocgame.plan.carry_over import carry_over
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.problem.chips import CHIPS
from mallocgame.solvers.annealing.warm_up import compile_native
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, Stage, silent

SLOW, PATIENCE = 15.0, 60.0
"""A compile is ended after so many times the default's seconds, and as many seconds more. Of 30 compiles of nine
programs the slowest took 2.8 times the default's; one of Gemma 3 with 239 KB of overrides for 2,060 instructions 10."""

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
        compile_time: seconds that they might take; None where there was no such bound.
        search_seconds: wall time of the searches.
        peak_memory: resident bytes of the largest compile.
        base: the schedule of the answer, with XLA's own figures and the bound under M; None where it was not captured.
        carried: what was found again of the answer that it started from; None where it started from none.
        status: why it ended: ``"compiles spent"``, ``"compile time spent"``, ``"time limit"``,
            ``"nothing left to try"`` or ``"interrupted"``.
    """

    answer: Tried
    tried: tuple[Tried, ...]
    pareto: tuple[Tried, ...]
    choice: Choice
    default: Row
    compiles: int
    compile_seconds: float
    compile_time: float | None
    search_seconds: float
    peak_memory: int
    status: str
    base: Base | None
    carried: Carried | None = None


def improve(
    capture: Capture,
    *,
    compile: Compile,
    time_limit: float,
    compiles: int,
    compile_time: float | None = None,
    seed: int = 0,
    choice: Choice | None = None,
    start: Start | None = None,
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
        compile_time: seconds that all of them may take; None for no such bound. None is started that is foreseen, by
            the default's seconds, to end later, and a running one is ended.
        seed: of all random choices.
        choice: how the answer is chosen.
        start: an answer for another compiler, or for the program as it was: what fits of it is compiled first.
        without: names of ``PROPOSERS`` to leave out, or ``"agent"``.
        limits: of each compile.
        progress: is told one line at each step.

    Raises:
        BadInputError: ``start`` is for another target.
        BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
    """
    if start is not None:
        start.check(capture.target)
    meter = Meter(
        compile,
        budget=inf if compile_time is None else compile_time,
        foreseen=capture.seconds,
        longest=SLOW * capture.seconds + PATIENCE,
    )
    loop = _Loop(capture, meter, time_limit, compiles, seed, choice or Choice(), start, without, limits, progress)
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
        start: Start | None,
        without: Collection[str],
        limits: Limits | None,
        progress: Progress,
    ) -> None:
        self.start = start
        self.carried: Carried | None = None
        self.meter, self.progress = meter, progress
        self.compiles, self.time_limit = compiles, time_limit
        self.playing = ExitStack()
        self.plays = AGENT not in without and agent.is_available()
        first = base_of(capture)
        self.proposers = {name: make() for name, make in PROPOSERS.items() if name not in without}
        self.known = Knowledge(
            first,
            [first],
            choice,
            seed,
            meter.left(compiles),
            time_limit,
            progress,
            searches="plans" in self.proposers,
            splits="splits" in self.proposers and CHIPS[capture.target].splits is not None,
        )
        self.trials = Trials(self.known, meter, compiles, limits, self._begin, progress)
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
            )
        )

    def run(self) -> str:
        """Bound, and try candidates; returns why it ended."""
        self.progress(
            Stage("loading the search's native code; the first run of an installation compiles it, a minute or two")
        )
        compile_native()
        self._begin(self.known.first)
        self._prove(self.known.first)
        if self.start is not None:
            self._carry_over(self.start)
        status = self._try_all()
        base = self.known.base_of(self.known.incumbent)
        if base is not None and base is not self.known.first:
            self._prove(base)
        return status

    def _carry_over(self, start: Start) -> None:
        """Try what of an answer is found again: its plan, or its memory split and then its plan."""
        for _ in range(min(2, self.known.compiles_left)):
            self.carried = carried(self.known, start)
            if self.carried.candidate is None:
                self.progress(self.carried.about)
            else:
                self._try(self.carried.candidate)
            if not self.carried.more or self.known.tried[-1].failure is not None:
                break

    def _try(self, candidate: Candidate) -> None:
        self.progress(Stage(self._standing(candidate)))
        self.trials.carry_out(candidate)

    def _try_all(self) -> str:
        number = idle = 0
        while self.known.compiles_left > 0:
            name = turn(number)
            proposer = None if name in self.known.dropped else self.proposers.get(name)
            number += 1
            candidate = None if proposer is None else proposer.propose(self.known)
            idle = 0 if candidate is not None else idle + 1
            if candidate is not None:
                self._try(candidate)
            elif idle > 2 * len(PROPOSERS):
                return "time limit" if self.known.seconds_left <= 0 else "nothing left to try"
        return "compiles spent" if self.meter.compiles >= self.compiles else "compile time spent"

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
            compile_time=self.meter.budget if isfinite(self.meter.budget) else None,
            search_seconds=self.time_limit - known.seconds_left,
            peak_memory=self.meter.peak_memory,
            status=status,
            base=known.base_of(known.incumbent),
            carried=self.carried,
        )

    def _begin(self, base: Base) -> None:
        """Take a new schedule in: what the answer to start from says of it; and the agent plays it, if there is one."""
        if self.start is not None and isinstance(self.start.answer, NamedPlan):
            base.carried = carry_over(self.start.answer, base.problem)
        seconds = agent.SHARE * self.time_limit
        if self.plays and self.known.searches and seconds >= agent.LEAST_SECONDS:
            base.agent = self.playing.enter_context(agent.playing(base.capture, seconds, self.known.seed))

    def _prove(self, base: Base) -> None:
        share = BOUND_SHARE * self.time_limit
        try:
            self.known.seconds_left -= min(share, base.prove(share, self.known.seed))
        except BadInputError as error:
            self.progress(f"no proven bound: {error}")

    def _standing(self, candidate: Candidate) -> str:
        """What is compiled beside the default's seconds, and the best so far beside the bound."""
        known = self.known
        best, default = known.incumbent, known.default
        row, base = best.row or default, known.base_of(best) or known.first
        gap = f", bound {100 * (1 - base.bound_m / row.m_seconds):.1f} % below (M)" if row.m_seconds else ""
        gain = f": {against(row, default)}" if best.row is not default else ""
        beside = f"(XLA's default took {known.first.capture.seconds:.0f} s)"
        compile = f"compile {self.meter.compiles + 1} of {self.compiles} {beside}, {candidate.about}"
        return f"{compile}; best so far {best.about}{gain}{gap}"
