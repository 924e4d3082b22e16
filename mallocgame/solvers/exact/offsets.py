"""Offsets for the stays of a plan whose sizes fit together at each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mallocgame.packing import Buffer, pack
from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.reserved import fixed_reservations
from mallocgame.problem.schema import Problem
from mallocgame.solvers.addresses import reserved_buffers

Part = tuple[Stay, ...]
"""Stays with one offset: all of an alias group of several tensors, else one."""

MOST_NODES = 20_000
"""Places that the search for groups of different sizes tries."""


@dataclass(frozen=True)
class Offsets:
    """What is known about offsets.

    Attributes:
        plan: with offsets, or None.
        proven: whether there are none; only where there is no plan.
        conflict: parts that do not go together, where that is proven.
    """

    plan: Plan | None
    proven: bool
    conflict: tuple[Part, ...] = ()


def parts_of(problem: Problem, plan: Plan) -> list[Part]:
    """The stays of a plan by what has one offset."""
    found: dict[tuple[int, Stay | None], list[Stay]] = {}
    for stay in plan.stays:
        group = problem.tensors[stay.tensor].group
        several = len(problem.groups[group].tensors) > 1
        found.setdefault((group, None if several else stay), []).append(stay)
    return [tuple(part) for part in found.values()]


def find_offsets(problem: Problem, plan: Plan, time_limit: float, seed: int) -> Offsets:
    """Give every stay an offset, or find a small set of parts that have none together."""
    parts = parts_of(problem, plan)
    offsets, proven = _pack(problem, parts, time_limit, seed)
    if offsets is not None:
        at = {stay: offset for part, offset in zip(parts, offsets, strict=True) for stay in part}
        stays = tuple(sorted(replace(stay, offset=at[stay]) for stay in plan.stays))
        return Offsets(replace(plan, stays=stays), False)
    if not proven:
        return Offsets(None, False)
    for part in list(parts):
        fewer = [other for other in parts if other is not part]
        offsets, proven = _pack(problem, fewer, time_limit, seed)
        if offsets is None and proven:
            parts = fewer
    return Offsets(None, True, tuple(parts))


def _pack(problem: Problem, parts: Sequence[Part], time_limit: float, seed: int) -> tuple[list[int] | None, bool]:
    """(Offsets or None, whether it is proven that there are none)."""
    buffers = [*(_buffer(problem, number, part) for number, part in enumerate(parts)), *reserved_buffers(problem)]
    packing = pack(buffers, problem.target.fast_bytes, time_limit=max(0.1, time_limit), seed=seed)
    if packing.offsets is not None:
        return list(packing.offsets[: len(parts)]), False
    if all(len({problem.tensors[stay.tensor].size for stay in part}) == 1 for part in parts):
        return None, packing.status == "infeasible"
    return _Search(problem, parts).run()


def _buffer(problem: Problem, number: int, part: Part) -> Buffer:
    """One part as large as the largest of its stays."""
    covered = sorted((stay.start, stay.end + 1) for stay in part)
    gaps, end = [], covered[0][1]
    for start, stop in covered:
        if start > end:
            gaps.append((end, start))
        end = max(end, stop)
    size = max(problem.tensors[stay.tensor].size for stay in part)
    return Buffer(str(number), covered[0][0], end, size, problem.target.alignment, tuple(gaps))


class _Search:
    """Offsets where a part is not always equally large: each part at 0 or on top of another, from the lowest up.

    Any packing can be pushed down until every part lies so, and then be built from the lowest offset up. What
    instructions reserve is there from the start, and parts may lie on top of it, too.
    """

    def __init__(self, problem: Problem, parts: Sequence[Part]) -> None:
        self.capacity, self.alignment = problem.target.fast_bytes, problem.target.alignment
        self.shapes = [[(stay.start, stay.end, problem.tensors[stay.tensor].size) for stay in part] for part in parts]
        self.heights = [max(size for _, _, size in shape) for shape in self.shapes]
        self.reserved = fixed_reservations(problem)
        self.left = MOST_NODES

    def run(self) -> tuple[list[int] | None, bool]:
        """(Offsets or None, whether it is proven that there are none)."""
        placed = self._place({})
        offsets = None if placed is None else [placed[number] for number in range(len(self.shapes))]
        return offsets, offsets is None and self.left > 0

    def _place(self, placed: dict[int, int]) -> dict[int, int] | None:
        if len(placed) == len(self.shapes):
            return placed
        floor = max(placed.values(), default=0)
        tops = {0, *(-(-(one.offset + one.size) // self.alignment) * self.alignment for one in self.reserved)}
        for number, offset in placed.items():
            tops.update(-(-(offset + size) // self.alignment) * self.alignment for _, _, size in self.shapes[number])
        for number in range(len(self.shapes)):
            if number in placed:
                continue
            for offset in sorted(tops):
                if not floor <= offset <= self.capacity - self.heights[number] or self._hits(placed, number, offset):
                    continue
                self.left -= 1
                if self.left <= 0:
                    return None
                found = self._place({**placed, number: offset})
                if found is not None:
                    return found
        return None

    def _hits(self, placed: dict[int, int], number: int, offset: int) -> bool:
        reserved = any(
            a <= one.end and one.start <= b and offset < one.offset + one.size and one.offset < offset + height
            for one in self.reserved
            for a, b, height in self.shapes[number]
        )
        return reserved or any(
            a <= d and c <= b and offset < low + size and low < offset + height
            for other, low in placed.items()
            for c, d, size in self.shapes[other]
            for a, b, height in self.shapes[number]
        )
