"""Proposes memory space assignment switched off: a candidate by itself, and the cycles of everything in HBM."""

from __future__ import annotations

from mallocgame.compiler.confirm import MSA_OFF_OPTIONS
from mallocgame.loop.knowledge import Knowledge
from mallocgame.loop.programs import Candidate


class SwitchedOff:
    """One candidate in all."""

    def __init__(self) -> None:
        self._done = False

    def propose(self, known: Knowledge) -> Candidate | None:
        """The program of XLA's default schedule without MSA."""
        if self._done:
            return None
        self._done = True
        return Candidate("msa off", "msa off", "MSA switched off", known.first, MSA_OFF_OPTIONS)
