"""Proposes memory space assignment switched off: a candidate by itself, and the cycles of everything in HBM."""

from __future__ import annotations

from mallocgame.compiler.confirm import MSA_OFF_OPTIONS
from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge


class SwitchedOff:
    """One candidate in all, of the schedule where plans promise most, else of the answer's: it teaches its cycles."""

    def __init__(self) -> None:
        self._done = False

    def propose(self, known: Knowledge) -> Candidate | None:
        """The program of the most promising schedule without MSA."""
        if self._done:
            return None
        self._done = True
        base = known.most_promising() or known.base_of(known.incumbent) or known.first
        return Candidate("msa off", "msa off", f"MSA switched off{known.where(base)}", base, MSA_OFF_OPTIONS)
