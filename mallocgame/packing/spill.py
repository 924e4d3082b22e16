"""Which buffers to leave out, at the least cost, where not all fit."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from time import monotonic
from typing import Literal

import numpy as np

from mallocgame.packing.block import Block, blocks_of
from mallocgame.packing.buffer import Buffer
from mallocgame.packing.core import NODES, shrink
from mallocgame.packing.fit_most import fit_most
from mallocgame.packing.pack import check_answer, check_time_limit, decide
from mallocgame.packing.state import runs_of

FIRST_SHARE, DIVE_SHARE = 0.1, 0.5
"""Of the time limit: for the first answer, and until the end of the second one."""


@dataclass(frozen=True)
class Spilling:
    """Offsets for some of the buffers.

    Attributes:
        status: ``"optimal"``: proven that nothing cheaper can be spilled; else ``"time limit"``.
        offsets: bytes, one a buffer in the order given; None for one that is spilled.
        spilled: ids of those.
        capacity: bytes.
        cost: of all that is spilled.
        lower_bound: proven: it costs at least this much.
        seconds: wall time.
        nodes: sets of spilled buffers that were looked at.
    """

    status: Literal["optimal", "time limit"]
    offsets: tuple[int | None, ...]
    spilled: tuple[str, ...]
    capacity: int
    cost: int
    lower_bound: int
    seconds: float
    nodes: int


def spill(
    buffers: Sequence[Buffer],
    capacity: int,
    *,
    time_limit: float = 60.0,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Spilling:
    """Leave buffers out so that the others fit, for a small cost; Ctrl-C ends the search as the time limit does.

    `fit_most` gives the first answer. As long as something is in the way, that is more is live at once than there is
    room or a core is proven not to fit, the second one spills one of that, and then takes back what it need not have.
    Then sets of spilled buffers are looked at, the one with the lowest bound first: one more of what is in the way has
    to be spilled, and each choice is a set of its own (R. Reiter's tree of hitting sets, 1987).

    Args:
        buffers: what to pack; every id once. Those with a fixed offset are never spilled; those of a colocation are
            all spilled or none.
        capacity: bytes.
        time_limit: seconds.
        seed: the same seed and buffers give the same answer, unless the time limit ends the search.
        progress: called with one line for each better answer.

    Raises:
        BadInputError: the buffers do not make a problem, the fixed ones alone do not fit, or a limit is out of range.
        KeyboardInterrupt: Ctrl-C before the first answer.
    """
    check_time_limit(time_limit)
    start = monotonic()
    costs = [buffer.size if buffer.cost is None else buffer.cost for buffer in buffers]
    first = fit_most(buffers, costs, capacity, time_limit=FIRST_SHARE * time_limit, seed=seed)
    tree = _Tree(buffers, costs, first, capacity, seed, progress or (lambda line: None))
    with suppress(KeyboardInterrupt):
        tree.dive(start + DIVE_SHARE * time_limit)
        tree.run(start + time_limit)
    kept = [index for index, offset in enumerate(tree.offsets) if offset is not None]
    check_answer([buffers[k] for k in kept], [at for at in tree.offsets if at is not None], capacity)
    return Spilling(
        status="optimal" if tree.bound >= tree.cost else "time limit",
        offsets=tree.offsets,
        spilled=tuple(buffer.id for buffer, offset in zip(buffers, tree.offsets, strict=True) if offset is None),
        capacity=capacity,
        cost=tree.cost,
        lower_bound=min(tree.bound, tree.cost),
        seconds=monotonic() - start,
        nodes=tree.nodes,
    )


@dataclass(frozen=True, order=True)
class _Node:
    """Blocks that are spilled, and others that are not, as the sets beside this one spill them.

    Of the same bound, deeper ones go first (``depth`` is negative), then older ones.
    """

    bound: float
    depth: int
    number: int
    spilled: frozenset[int]
    kept: frozenset[int]


class _Tree:
    """Sets of spilled blocks, and the best answer.

    Attributes:
        offsets: bytes, one a buffer; None for one that is spilled.
        cost: of those.
        bound: proven: no answer costs less, once `run` has returned.
        nodes: sets that were looked at.
    """

    def __init__(
        self,
        buffers: Sequence[Buffer],
        costs: Sequence[int],
        offsets: tuple[int | None, ...],
        capacity: int,
        seed: int,
        progress: Callable[[str], None],
    ) -> None:
        self._buffers, self._capacity, self._seed, self._progress = buffers, capacity, seed, progress
        self._blocks = blocks_of(buffers)
        self._costs = [sum(costs[member] for member in block.members) for block in self._blocks]
        self._crowds = _crowds(self._blocks, self._costs, capacity)
        self._cores: list[tuple[int, ...]] = []
        self._fixed = frozenset(index for index, block in enumerate(self._blocks) if block.fixed is not None)
        self.offsets = offsets
        self.cost = sum(cost for cost, at in zip(costs, offsets, strict=True) if at is None)
        self.bound = self.nodes = 0
        self._numbers = count(1)

    def run(self, deadline: float) -> None:
        """Until the best answer is proven to be, or the deadline (`monotonic`) has passed."""
        queue = [_Node(0, 0, 0, frozenset(), self._fixed)]
        undecided: float = self.cost
        while True:
            self.bound = int(min(queue[0].bound if queue else self.cost, undecided, self.cost))
            if not queue or self.bound == self.cost or monotonic() >= deadline:
                return
            node = heapq.heappop(queue)
            bound = self._at_least(node)
            if bound > node.bound:
                self._push(queue, replace(node, bound=bound))
                continue
            self.nodes += 1
            conflict = self._conflict(node, deadline)
            if conflict is None:
                undecided = min(undecided, node.bound)
                continue
            for number, block in enumerate(conflict):
                spilled, kept = node.spilled | {block}, node.kept | set(conflict[:number])
                cost = max(node.bound, sum(self._costs[each] for each in spilled))
                self._push(queue, _Node(cost, node.depth - 1, next(self._numbers), spilled, kept))

    def dive(self, deadline: float) -> None:
        """Spill one after the other until the rest fits, or until the deadline; then take back what can be."""
        node = _Node(0, 0, 0, frozenset(), self._fixed)
        while (conflict := self._conflict(node, deadline)) != () and monotonic() < deadline:
            left = range(len(self._blocks)) if conflict is None else conflict
            free = [block for block in left if block not in node.spilled and block not in node.kept]
            crowded = [crowd for crowd in self._crowds if crowd.lacking(node.spilled, self._capacity) > 0]
            node = replace(node, spilled=node.spilled | {min(free, key=lambda block: self._dearness(block, crowded))})
        spilled = set(node.spilled)
        for block in sorted(spilled, key=lambda block: (-self._costs[block], block)):
            left = [other for other in range(len(self._blocks)) if other == block or other not in spilled]
            if monotonic() < deadline and self._fits(left, deadline):
                spilled.remove(block)

    def _dearness(self, block: int, crowded: Sequence[_Crowd]) -> float:
        """The cost of a block by the room that it gives where there is too little, or else by what it takes."""
        room = sum(crowd.sizes.get(block, 0) for crowd in crowded)
        taken = sum((high - low) * size for low, high, size in self._blocks[block].ranges)
        return self._costs[block] / max(room if crowded else taken, 0.5)

    def _push(self, queue: list[_Node], node: _Node) -> None:
        """Unless nothing below the node is better than the best answer."""
        if node.bound < self.cost:
            heapq.heappush(queue, node)

    def _conflict(self, node: _Node, deadline: float) -> Sequence[int] | None:
        """Blocks of which one more has to be spilled; none if the others fit or none may be; None if nobody knows."""
        for crowd in self._crowds:
            if crowd.lacking(node.spilled, self._capacity) > 0:
                return [block for block in crowd.sizes if block not in node.spilled and block not in node.kept]
        core = next((core for core in self._cores if node.spilled.isdisjoint(core)), None)
        if core is None:
            left = [index for index in range(len(self._blocks)) if index not in node.spilled]
            fit = self._fits(left, deadline)
            if fit is not False:
                return () if fit else None
            sizes = [block.size for block in self._blocks]
            shrink(left, lambda members: self._fits(members, deadline), sizes)
            core = tuple(sorted(left, key=lambda index: (self._costs[index], index)))
            self._cores.append(core)
        return [block for block in core if block not in node.kept]

    def _fits(self, members: Sequence[int], deadline: float) -> bool | None:
        """Whether these blocks fit; if the others may be spilled for less, they are the best answer."""
        if monotonic() >= deadline:
            return None
        indices = sorted(member for index in members for member in self._blocks[index].members)
        buffers = [self._buffers[index] for index in indices]
        decision = decide(blocks_of(buffers), self._capacity, deadline, self._seed, NODES)
        cost = sum(self._costs) - sum(self._costs[index] for index in members)
        if decision.offsets is not None and cost < self.cost and self._fixed.issubset(members):
            check_answer(buffers, decision.offsets, self._capacity)
            found = dict(zip(indices, decision.offsets, strict=True))
            self.cost, self.offsets = cost, tuple(found.get(index) for index in range(len(self._buffers)))
            self._progress(f"found: {cost} spilled, at least {self.bound} have to be")
        return None if decision.status == "time limit" else decision.status == "feasible"

    def _at_least(self, node: _Node) -> float:
        """What the answers below a node cost at least: what is spilled, and of crowds and cores that share no block."""
        cost: float = sum(self._costs[block] for block in node.spilled)
        decided = node.spilled | node.kept
        used: set[int] = set()
        for crowd in self._crowds:
            if used.isdisjoint(crowd.sizes.keys() - decided):
                cost += crowd.least(node.spilled, node.kept, self._capacity)
                used |= crowd.sizes.keys() - decided
        for core in self._cores:
            if node.spilled.isdisjoint(core) and used.isdisjoint(core):
                cost += min((self._costs[block] for block in core if block not in node.kept), default=math.inf)
                used |= set(core) - decided
        return max(node.bound, cost)


@dataclass(frozen=True)
class _Crowd:
    """A section in which more is live than there is room.

    Attributes:
        sizes: bytes of each block that is live then, the least cost a byte first.
        costs: of all blocks.
    """

    sizes: dict[int, int]
    costs: Sequence[int]

    def lacking(self, spilled: Collection[int], capacity: int) -> int:
        """Bytes that are still too many."""
        return sum(size for block, size in self.sizes.items() if block not in spilled) - capacity

    def least(self, spilled: Collection[int], kept: Collection[int], capacity: int) -> float:
        """What spilling enough of the others costs at least.

        Two bounds: if parts of blocks could be spilled; and as many of the cheapest as it takes of the largest.
        """
        lacking = lacking_by_number = self.lacking(spilled, capacity)
        free = [block for block in self.sizes if block not in spilled and block not in kept]
        cost = 0
        for block in free:
            if lacking > 0:
                cost += -(-self.costs[block] * min(self.sizes[block], lacking) // self.sizes[block])
            lacking -= self.sizes[block]
        if lacking > 0:
            return math.inf
        number = 0
        for size in sorted((self.sizes[block] for block in free), reverse=True):
            number += lacking_by_number > 0
            lacking_by_number -= size
        return max(cost, sum(sorted(self.costs[block] for block in free)[:number]))


def _crowds(blocks: Sequence[Block], costs: Sequence[int], capacity: int) -> list[_Crowd]:
    """Sections in which more is live than there is room, the one that costs most first."""
    runs = runs_of(blocks)
    found = []
    for section in np.nonzero(runs.loads > capacity)[0]:
        live = np.nonzero((runs.first <= section) & (section < runs.end))[0]
        sizes = dict(zip(runs.owner[live].tolist(), runs.size[live].tolist(), strict=True))
        cheapest = sorted(sizes, key=lambda block: (Fraction(costs[block], sizes[block]), block))
        found.append(_Crowd({block: sizes[block] for block in cheapest}, costs))
    return sorted(found, key=lambda crowd: -crowd.least((), (), capacity))
