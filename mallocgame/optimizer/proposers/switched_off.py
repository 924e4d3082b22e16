"""Proposes memory space assignment switched off: a candidate by itself, and the cycles of everything in HBM."""

from __future__ import annotations

from mallocgame.compiler.confirm import MSA_OFF_OPTIONS
from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge


class SwitchedOff:
    """One candidate in all, of the schedule that the first plan is going to be for: it teaches its cycles."""

    def __init__(self) -> None:
        self._done = False

    def propose(self, known: Knowledge) -> Candidate | None:
        """The program of the most promising schedule without MSA."""
        base = known.most_promising()
        if self._done or base is None:
            return None
        self._done = True
        return Candidate("msa off", "msa off", f"MSA switched off{known.where(base)}", base, MSA_OFF_OPTIONS)
