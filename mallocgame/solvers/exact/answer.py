"""What a back end answers about a model, and what is answered about a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mallocgame.plan.plan import Plan

Status = Literal["optimal", "feasible", "infeasible", "time limit", "unsupported"]
"""``"optimal"``: proven best; ``"feasible"``: an answer, and no proof in the time; ``"infeasible"``: proven that there
is none; ``"time limit"``: no answer in the time; ``"unsupported"``: no formulation of such a problem or plan."""


@dataclass(frozen=True)
class ModelAnswer:
    """What a back end found.

    Attributes:
        status: of the model.
        values: of its variables; None where there is no answer.
        bound: no answer is below, in units.
    """

    status: Status
    values: list[float] | None
    bound: float


@dataclass(frozen=True)
class Exact:
    """What is known about the best plan of a problem.

    Attributes:
        plan: the best one found; None where there is none.
        seconds: of the plan, under M; infinite without a plan.
        bound: no plan that was asked for is quicker, in seconds.
        status: of all that was asked.
        reason: what is unsupported; else empty.
    """

    plan: Plan | None
    seconds: float
    bound: float
    status: Status
    reason: str = ""
