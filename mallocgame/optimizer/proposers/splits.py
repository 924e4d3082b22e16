"""Proposes other memory splits: first a large step, then the untried neighbours of the best one.

Of two neighbours the one between the compiler's default and the large step is first. On v5p, of 24 programs the large
step was better on 13; the rung below it on all of the 11 that tried it; the rung below the default on none of 11.
"""

from __future__ import annotations

from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.problem import chips


class Splits:
    """Climbs the ladder of a target's splits by the objective."""

    def __init__(self) -> None:
        self._tried: set[int] = set()

    def propose(self, known: Knowledge) -> Candidate | None:
        """XLA's own placement at another split."""
        splits = chips.CHIPS[known.first.capture.target].splits
        if splits is None:
            return None
        kib = self._next(known, splits)
        if kib is None:
            return None
        self._tried.add(kib)
        return Candidate("splits", "split", f"split of {kib} KiB", known.first, {SCOPED_VMEM: str(kib)})

    def _next(self, known: Knowledge, splits: chips.Splits) -> int | None:
        values = {
            base.capture.scoped_vmem_kib or splits.default: known.choice.value(base.default) for base in known.bases
        }
        if not self._tried and splits.first not in values:
            return splits.first
        ladder = splits.ladder
        best = min(values, key=lambda kib: values[kib])
        place = min(range(len(ladder)), key=lambda rung: abs(ladder[rung] - best))
        neighbours = [ladder[rung] for rung in (place - 1, place + 1) if 0 <= rung < len(ladder)]
        neighbours.sort(key=lambda kib: not splits.default <= kib <= splits.first)
        return next((kib for kib in neighbours if kib not in self._tried and kib not in values), None)
