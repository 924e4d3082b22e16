"""What is known while the loop runs: the schedules, what was tried, and what of the budgets is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mallocgame.compiler.verification import Row
from mallocgame.loop.base import Base
from mallocgame.loop.choice import Choice
from mallocgame.loop.programs import Tried

SLICES = 3
"""A search takes this part of what is left of the search time, or all of it before the last compile."""


@dataclass
class Knowledge:
    """Shared by all proposers.

    Attributes:
        first: the schedule of XLA's default.
        bases: all schedules, ``first`` included, in the order in which they were captured.
        choice: how the answer is chosen.
        seed: of all random choices.
        compiles_left: of the budget.
        seconds_left: of the search time.
        progress: is told what the searches do.
        tried: what was compiled, in order; XLA's default first.
    """

    first: Base
    bases: list[Base]
    choice: Choice
    seed: int
    compiles_left: int
    seconds_left: float
    progress: Callable[[str], None]
    tried: list[Tried] = field(default_factory=list)

    @property
    def default(self) -> Row:
        """Figures of XLA's default."""
        return self.first.default

    @property
    def incumbent(self) -> Tried:
        """The answer so far."""
        return self.choice.best(self.tried[0], self.tried[1:])

    def slice(self) -> float:
        """Seconds for the next search."""
        return self.seconds_left / max(1, min(SLICES, self.compiles_left))

    def relative(self, e_seconds: float, m_seconds: float) -> float:
        """Value of some figures in units of XLA's default, by the objective; less is better."""
        e, m = e_seconds / self.default.e_seconds, m_seconds / self.default.m_seconds
        return {"E": e, "M": m, "both": e * m}[self.choice.objective]
