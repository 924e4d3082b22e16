"""The best plan so far, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass

from mallocgame.plan.plan import Plan


@dataclass(frozen=True)
class Best:
    """A point of the best-of-n curve.

    Attributes:
        episodes: finished when it was found.
        seconds: of the best plan under model M.
        after: seconds since the call, without what compiling took.
        searched: whether its episode was played with search; False for the policy alone.
    """

    episodes: int
    seconds: float
    after: float
    searched: bool


@dataclass(frozen=True)
class Answer:
    """What ``answer`` gives.

    Attributes:
        plan: valid for the problem.
        seconds: of the plan under model M, by replay.
        episodes: finished ones.
        status: ``"time limit"``, ``"step limit"`` (of episodes), ``"interrupted"``, or ``"converged"``: there was
            nothing to decide.
        curve: best of n: one point for each better plan, the first two for everything in HBM and the best
            known one, after 0 episodes.
    """

    plan: Plan
    seconds: float
    episodes: int
    status: str
    curve: tuple[Best, ...]
