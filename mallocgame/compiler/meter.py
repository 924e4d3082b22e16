"""Counts what compiles cost, and starts none that is beyond a budget of seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite
from time import monotonic

from mallocgame.compiler.child import Compile, Compiled, Limits, Request, TookTooLongError
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.system.errors import MallocgameError, NoAnswerError


class TooSlowError(NoAnswerError):
    """A compile took longer than ``Meter.longest``."""


@dataclass
class Meter:
    """Compiles, and counts.

    Attributes:
        compile: who compiles.
        budget: seconds that all compiles may take; a running one is ended there.
        foreseen: seconds of a compile before it is started, by those of XLA's default.
        longest: seconds after which one compile is ended.
        compiles: how many were asked for, refused ones included.
        seconds: that they took; a cached one counts as long as it took, and is ended as if it were made now.
        peak_memory: resident bytes of the largest.
    """

    compile: Compile
    budget: float = inf
    foreseen: float = 0.0
    longest: float = inf
    compiles: int = 0
    seconds: float = 0.0
    peak_memory: int = 0

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        """As ``compile``.

        Raises:
            TooSlowError: it took longer than ``longest``.
            NoAnswerError: the budget has no room for another, or was spent before this one was done.
        """
        limits = limits or Limits()
        if self.budget - self.seconds < self.foreseen:
            raise NoAnswerError("the compile time has no room for another compile")
        allowed = min(self.longest, self.budget - self.seconds)
        self.compiles += 1
        started = monotonic()
        try:
            compiled = self.compile(request, replace(limits, seconds=min(limits.seconds, allowed)))
        except TookTooLongError:
            if allowed < limits.seconds:
                raise self._ended(allowed) from None
            self.seconds += limits.seconds
            raise
        except MallocgameError as error:
            took = error.seconds if isinstance(error, OverrideRefusedError) else None
            took = monotonic() - started if took is None else took
            if took > allowed:
                raise self._ended(allowed) from None
            self.seconds += took
            raise
        if compiled.seconds > allowed:
            raise self._ended(allowed)
        self.seconds += compiled.seconds
        self.peak_memory = max(self.peak_memory, compiled.peak_memory)
        return compiled

    def left(self, compiles: int) -> int:
        """How many more compiles a budget of so many in all, and that of seconds, are foreseen to allow."""
        more = max(0, compiles - self.compiles)
        left = self.budget - self.seconds
        if not isfinite(left) or more == 0:
            return more
        if left <= 0:
            return 0
        return min(more, int(left / self.foreseen)) if self.foreseen else more

    def _ended(self, allowed: float) -> NoAnswerError:
        """What a compile that took all that was allowed leaves: its seconds, and this error."""
        self.seconds += allowed
        if self.seconds >= self.budget:
            return NoAnswerError(f"the compile was ended after {allowed:.0f} s, when the compile time was spent")
        return TooSlowError(f"the compile was ended after {allowed:.0f} s; the default took {self.foreseen:.0f} s")
