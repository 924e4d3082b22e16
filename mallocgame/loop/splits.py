"""Proposes other memory splits: first a large step, then the untried neighbours of the best one.

Of two neighbours the one between the compiler's default and the large step is first. On v5p, of 24 programs the large
step was better on 13; the rung below it on all of the 11 that tried it; the rung below the default on none of 11.
"""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.compiler.capture import SCOPED_VMEM
from mallocgame.loop.knowledge import Knowledge
from mallocgame.loop.programs import Candidate

LADDERS: Mapping[str, tuple[int, ...]] = {
    "v5e": (8192, 16384, 24576, 32768, 49152, 65536, 98304),
    "v5p": (8192, 16384, 24576, 32768, 40960, 49152),
    "v6e": (16384, 24576, 32768, 49152, 65536, 81920, 98304),
    "tpu7x": (16384, 24576, 32768, 40960, 49152, 57344),
}
"""KiB of VMEM for the windows of fusions, by target, the compiler's default among them. CMEM targets have no split."""

FIRST_STEP: Mapping[str, int] = {"v5e": 49152, "v5p": 40960, "v6e": 49152, "tpu7x": 40960}
"""What is tried first: about half to two thirds of VMEM, which was best most often on v5p."""

DEFAULTS: Mapping[str, int] = {"v5e": 16384, "v5p": 16384, "v6e": 32768, "tpu7x": 32768}
"""The compiler's own."""


class Splits:
    """Climbs the ladder of a target's splits by the objective."""

    def __init__(self) -> None:
        self._tried: set[int] = set()

    def propose(self, known: Knowledge) -> Candidate | None:
        """XLA's own placement at another split."""
        target = known.first.capture.target
        if target not in LADDERS:
            return None
        kib = self._next(known, target)
        if kib is None:
            return None
        self._tried.add(kib)
        return Candidate("splits", "split", f"split of {kib} KiB", known.first, {SCOPED_VMEM: str(kib)})

    def _next(self, known: Knowledge, target: str) -> int | None:
        if not self._tried:
            return FIRST_STEP[target]
        values = {
            base.capture.scoped_vmem_kib or DEFAULTS[target]: known.choice.value(base.default) for base in known.bases
        }
        ladder = LADDERS[target]
        best = min(values, key=lambda kib: values[kib])
        place = min(range(len(ladder)), key=lambda rung: abs(ladder[rung] - best))
        neighbours = [ladder[rung] for rung in (place - 1, place + 1) if 0 <= rung < len(ladder)]
        neighbours.sort(key=lambda kib: not DEFAULTS[target] <= kib <= FIRST_STEP[target])
        return next((kib for kib in neighbours if kib not in self._tried and kib not in values), None)
