"""What is known while the loop runs: the schedules, what was tried, and what of the budgets is left."""

from __future__ import annotations

from dataclasses import dataclass, field

from mallocgame.compiler.verification import Row
from mallocgame.optimizer.knowledge.base import Base
from mallocgame.optimizer.knowledge.candidates import Tried
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.plan.verdict import Figures
from mallocgame.system.progress import Progress

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
        compiles_left: of the budgets of compiles and of their seconds, as far as these are foreseen.
        seconds_left: of the search time.
        progress: is told what the searches do.
        searches: whether plans are searched at all.
        splits: whether other splits are proposed: the target has some.
        tried: what was compiled, in order; XLA's default first.
        dropped: proposers whose programs take far longer to compile than the default; they are not asked again.
    """

    first: Base
    bases: list[Base]
    choice: Choice
    seed: int
    compiles_left: int
    seconds_left: float
    progress: Progress
    searches: bool = True
    splits: bool = False
    tried: list[Tried] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)

    @property
    def default(self) -> Row:
        """Figures of XLA's default."""
        return self.first.default

    @property
    def incumbent(self) -> Tried:
        """The answer so far."""
        return self.choice.best(self.tried)

    def most_promising(self) -> Base | None:
        """Of the schedules that are not exhausted the one that has the best program, whatever its verdict.

        Where none of its plans was compiled, the one that a search found counts.
        """
        values: list[tuple[float, int]] = []
        for number, base in enumerate(self.bases):
            if not base.exhausted:
                found: list[Figures] = [*self.rows_of(base)]
                if base.outlook is not None and base.plans == 0:
                    found.append(base.outlook)
                values.append((min(map(self.choice.value, found)), number))
        return self.bases[min(values)[1]] if values else None

    def rows_of(self, base: Base) -> list[Row]:
        """Figures of XLA's own placement on a schedule, and of all that was confirmed there."""
        return [base.default, *(tried.row for tried in self.tried if tried.row and self.base_of(tried) is base)]

    def plans_are_open(self) -> bool:
        """Whether a search on some schedule may still find a plan that is worth a compile."""
        searches = self.searches and "plans" not in self.dropped and self.seconds_left > 0
        return searches and any(not base.exhausted for base in self.bases)

    @property
    def opens_with_splits(self) -> bool:
        """Whether nothing is compiled yet, and a split can be."""
        return self.splits and len(self.tried) == 1

    def slice(self) -> float:
        """Seconds for the next search."""
        return self.seconds_left / max(1, min(SLICES, self.compiles_left))

    def where(self, base: Base) -> str:
        """The memory split of a schedule, in words that follow others; nothing for XLA's own."""
        return "" if base is self.first else f" at {base.capture.scoped_vmem_kib} KiB"

    def base_of(self, tried: Tried) -> Base | None:
        """The schedule that a program belongs to, if it was captured."""
        for base in self.bases:
            if (base.capture.scoped_vmem_kib, base.problem.fingerprint) == (tried.scoped_vmem_kib, tried.fingerprint):
                return base
        return None
