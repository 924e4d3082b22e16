"""Counts what compiles cost."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from mallocgame.compiler.child import Compile, Compiled, Limits, Request
from mallocgame.system.errors import MallocgameError


@dataclass
class Meter:
    """Compiles, and counts.

    Attributes:
        compile: who compiles.
        compiles: how many were asked for, refused ones included.
        seconds: that they took; a cached one counts as long as it took.
        peak_memory: resident bytes of the largest.
    """

    compile: Compile
    compiles: int = 0
    seconds: float = 0.0
    peak_memory: int = 0

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        """As ``compile``."""
        self.compiles += 1
        started = monotonic()
        try:
            compiled = self.compile(request, limits)
        except MallocgameError:
            self.seconds += monotonic() - started
            raise
        self.seconds += compiled.seconds
        self.peak_memory = max(self.peak_memory, compiled.peak_memory)
        return compiled
