"""A schedule that plans are made for: a capture at one memory split, and what its compiles have taught."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.verification import Row, replayed
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.replay import relaxed_bound, replay_plan
from mallocgame.models.replay.observe import observe_final
from mallocgame.optimizer.knowledge.agent import Playing
from mallocgame.plan.carry_over import CarriedOver
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.exact import proven_bound
from xla_dump_parser import hlo, parse_hlo


@dataclass(frozen=True, slots=True)
class Outlook:
    """A plan that is not compiled, and what is predicted for it.

    Attributes:
        plan: of one schedule.
        e_seconds: under E.
        m_seconds: under M.
        fits: plans leave the HBM as it is.
        uncounted: what kernels and collectives of which nothing is known have in fast memory.
    """

    plan: NamedPlan
    e_seconds: float
    m_seconds: float
    fits: bool = True
    uncounted: tuple[str, ...] = ()


@dataclass
class Base:
    """One schedule.

    Attributes:
        capture: of XLA's own placement.
        final: its final text.
        default: figures of XLA's own placement.
        cycles: what E is predicted from; every compile of this schedule is observed.
        bound_m: no plan of this schedule is quicker under M, in seconds; the relaxed bound until ``prove``.
        barred: alias groups that the compiler did not bring to fast memory as it was told.
        room: the share of fast memory that plans may fill: less each time that the compiler found no room.
        plan: the best confirmed plan, or None.
        rank: of that plan; see ``Choice.rank``.
        plans: plans compiled, in all.
        outlook: what a search found before any plan was compiled.
        exhausted: whether the search finds nothing more that is worth a compile.
        agent: who plays this schedule meanwhile; None where no agent does.
        carried: what is found again of an answer for another compiler or program; None where there is none.
    """

    capture: Capture
    final: hlo.HloModule
    default: Row
    cycles: CycleTable
    bound_m: float
    barred: set[int] = field(default_factory=set)
    room: float = 1.0
    plan: Plan | None = None
    rank: tuple[bool, float] = (True, inf)
    plans: int = 0
    outlook: Outlook | None = None
    exhausted: bool = False
    agent: Playing | None = None
    carried: CarriedOver | None = None

    @property
    def problem(self) -> Problem:
        """Of the schedule, with the costs of its log."""
        return self.capture.problem()

    @property
    def roomy_problem(self) -> Problem:
        """The same with no more fast memory than plans may fill; a plan of it is one of ``problem``."""
        target = self.problem.target
        fast_bytes = int(target.fast_bytes * self.room) // target.alignment * target.alignment
        return replace(self.problem, target=replace(target, fast_bytes=fast_bytes))

    def whole(self, plan: Plan) -> Plan:
        """A plan of ``roomy_problem`` as one of ``problem``: its reach is a share of all the fast memory."""
        if plan.reach is None:
            return plan
        share = self.roomy_problem.target.fast_bytes / self.problem.target.fast_bytes
        return replace(plan, reach=plan.reach * share)

    def observe(self, final: hlo.HloModule) -> None:
        """Learn the cycles of a final text of this schedule."""
        observe_final(self.problem, final, self.cycles)

    def predict(self, plan: Plan) -> tuple[float, float]:
        """(E, M) in seconds of a valid plan, as far as is known."""
        under_e = replay_plan(self.problem, plan, "E", cycles=self.cycles)
        return under_e.total, replay_plan(self.problem, plan, "M").total

    def start(self) -> Plan | None:
        """Where a search begins: the best confirmed plan, else what was carried over, else the agent's, if any."""
        known = self.plan if self.plan is not None or self.carried is None else self.carried.plan
        return known if known is not None or self.agent is None else self.agent.plan()

    def prove(self, time_limit: float, seed: int) -> float:
        """Raise ``bound_m`` to the proven bound; returns the seconds that it took."""
        found = proven_bound(self.problem, time_limit=time_limit, seed=seed)
        self.bound_m = max(self.bound_m, found.seconds)
        return found.seconds_spent


def base_of(capture: Capture) -> Base:
    """A schedule of which XLA's own placement is known.

    Raises:
        BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
    """
    problem, final = capture.problem(), parse_hlo(capture.final, "final of XLA's default")
    default = replayed("xla default", problem, final, capture.peak_hbm)
    return Base(capture, final, default, capture.cycles(), relaxed_bound(problem, "M"))
