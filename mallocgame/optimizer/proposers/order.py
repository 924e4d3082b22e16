"""Who proposes programs to compile: one class for each kind. Leaving one out is dropping it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.optimizer.proposers.flags import Flags
from mallocgame.optimizer.proposers.least_m import LeastM
from mallocgame.optimizer.proposers.plans import Plans
from mallocgame.optimizer.proposers.soft_plans import SoftPlans
from mallocgame.optimizer.proposers.splits import Splits
from mallocgame.optimizer.proposers.switched_off import SwitchedOff


class Proposer(Protocol):
    """Proposes candidates of one kind."""

    def propose(self, known: Knowledge) -> Candidate | None:
        """The next candidate, or None if there is none worth a compile with what is known now."""


PROPOSERS: Mapping[str, type[Proposer]] = {
    "msa off": SwitchedOff,
    "splits": Splits,
    "plans": Plans,
    "least m": LeastM,
    "soft plans": SoftPlans,
    "flags": Flags,
}
"""By name; a proposer has no state beside what it takes from ``Knowledge`` and what it has proposed."""

OPENING = ("plans", "splits", "plans", "plans")
"""Whose turn it is at first: a plan of XLA's own schedule comes before a split, unless it promises little."""

ROUND = ("splits", "plans", "msa off", "least m", "plans", "soft plans", "flags")
"""Whose turn it is after that, again and again; who has nothing is passed over. MSA off is seldom the answer, and
teaches what plans show, too."""


def turn(number: int) -> str:
    """The name of the proposer whose turn it is."""
    if number < len(OPENING):
        return OPENING[number]
    return ROUND[(number - len(OPENING)) % len(ROUND)]
