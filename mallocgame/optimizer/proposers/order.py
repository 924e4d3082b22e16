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

OPENING = ("splits", "msa off", "plans", "plans")
"""Whose turn it is at first: another split is worth most where there are any, then plans on the best of them."""

ROUND = ("splits", "plans", "least m", "plans", "soft plans", "flags")
"""Whose turn it is after that, again and again; who has nothing is passed over."""


def turn(number: int) -> str:
    """The name of the proposer whose turn it is."""
    if number < len(OPENING):
        return OPENING[number]
    return ROUND[(number - len(OPENING)) % len(ROUND)]
