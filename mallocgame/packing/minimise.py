"""The smallest capacity that can be found within a time limit, and how small it can be at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import gcd
from time import monotonic

from mallocgame.packing.block import blocks_of, by_buffer
from mallocgame.packing.buffer import Buffer, Packing
from mallocgame.packing.first_fit import FirstFit
from mallocgame.packing.joint import check_jointly
from mallocgame.packing.pack import Search, check_answer, check_time_limit
from mallocgame.packing.state import max_load

FIRST_LIMIT = 2000
FIRST_FIT_ROUNDS = 300


def minimise(
    buffers: Sequence[Buffer],
    *,
    time_limit: float = 60.0,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Packing:
    """Find a packing of small capacity; Ctrl-C ends it as the time limit does.

    First fit gives the first one. Then capacities between the proven bound and the best one are searched, each for some
    nodes, the smallest first; when none of them ends, each gets twice as many.

    Args:
        buffers: what to pack; every id once.
        time_limit: seconds.
        seed: the same seed and buffers give the same answer, unless the time limit ends the search.
        progress: called with one line for each better packing and bound.

    Returns:
        Status ``"optimal"`` or ``"time limit"``; offsets always.

    Raises:
        BadInputError: the buffers do not make a problem, or the time limit is out of range.
        KeyboardInterrupt: Ctrl-C before anything was found.
    """
    check_jointly(buffers)
    check_time_limit(time_limit)
    start = monotonic()
    descent = _Descent(buffers, seed, progress or (lambda line: None))
    with suppress(KeyboardInterrupt):
        descent.run(start + time_limit)
    if descent.offsets is None:
        raise KeyboardInterrupt
    offsets = by_buffer(descent.blocks, descent.offsets)
    check_answer(buffers, offsets, descent.height)
    proven = descent.bound >= descent.height
    return Packing(
        status="optimal" if proven else "time limit",
        offsets=offsets,
        capacity=descent.height,
        lower_bound=min(descent.bound, descent.height),
        seconds=monotonic() - start,
        nodes=descent.nodes,
    )


class _Descent:
    """The best packing so far and the proven bound, which come together."""

    def __init__(self, buffers: Sequence[Buffer], seed: int, progress: Callable[[str], None]) -> None:
        self.blocks = blocks_of(buffers)
        self._seed = seed
        self._progress = progress
        self._step = _step(buffers)
        self.bound = -(-max_load(self.blocks) // self._step) * self._step
        self.height = -1
        self.offsets: tuple[int, ...] | None = None
        self.nodes = 0
        self._searches: dict[int, Search] = {}
        self._fit = FirstFit(self.blocks, seed)

    def run(self, deadline: float) -> None:
        """Until both meet or the deadline (`monotonic`) has passed."""
        self._take(self._fit.offsets())
        try:
            self._fit.improve(self.bound, FIRST_FIT_ROUNDS, deadline)
        finally:
            self._take(self._fit.offsets())
        limit = FIRST_LIMIT
        while self.bound < self.height and monotonic() < deadline:
            target = self.bound
            while target < self.height and monotonic() < deadline:
                self._search(target, limit, deadline)
                half = (self.height - target) // 2 // self._step * self._step
                target = max(target + max(half, self._step), self.bound)
            limit *= 2

    def _search(self, capacity: int, limit: int, deadline: float) -> None:
        """Go on searching this capacity for so many nodes."""
        search = self._searches.pop(capacity, None) or Search(self.blocks, capacity, self._seed)
        before = search.nodes
        try:
            status = search.run(deadline, limit)
        finally:
            self.nodes += search.nodes - before
        if status == "infeasible":
            self.bound = capacity + self._step
            self._progress(f"proven: at least {self.bound} bytes")
        elif search.offsets is not None:
            self._take(search.offsets)
        else:
            self._searches[capacity] = search

    def _take(self, offsets: tuple[int, ...]) -> None:
        ends = (offset + block.size for offset, block in zip(offsets, self.blocks, strict=True))
        height = max(ends, default=0)
        if self.height < 0 or height < self.height:
            self.height, self.offsets = height, offsets
            self._progress(f"found: {height} bytes, at least {self.bound} needed")


def _step(buffers: Sequence[Buffer]) -> int:
    """All offsets and ends of a packing without needless room are multiples of this."""
    numbers = [number for b in buffers for number in (b.size, b.offset or 0, b.alignment if b.alignment > 1 else 0)]
    return gcd(*numbers) or 1
