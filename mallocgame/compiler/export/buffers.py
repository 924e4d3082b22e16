"""The buffers of a plan or a problem as CSV for packers, with the columns of MiniMalloc (``packing.csv_file``).

A row is live in the times of the schedule in which its bytes are taken. What an alias group has in fast memory is one
row, with gaps; where it is not always equally large, a row for each size, which have a colocation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mallocgame.packing import Buffer, format_buffers
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.plan import Stay
from mallocgame.problem.reserved import fixed_reservations
from mallocgame.problem.schema import Problem, Reservation
from mallocgame.problem.targets import get_target


@dataclass(frozen=True)
class Piece:
    """A tensor while it is in fast memory.

    Attributes:
        name: of the tensor.
        start: first time, inclusive.
        end: last time, inclusive.
        size: bytes.
    """

    name: str
    start: int
    end: int
    size: int


def buffers_of_plan(plan: NamedPlan) -> str:
    """What a plan has in fast memory, for as long as it stays there, with its offsets as hints.

    Raises:
        BadInputError: the plan's target is unknown.
    """
    members = Counter(tensor.group for tensor in plan.tensors)
    parts: dict[tuple[int, int, Stay | None], list[Piece]] = {}
    for stay in plan.plan.stays:
        tensor = plan.tensors[stay.tensor]
        piece = Piece(tensor.name, stay.start, stay.end, tensor.size)
        alone = stay if members[tensor.group] == 1 else None
        parts.setdefault((tensor.group, stay.offset, alone), []).append(piece)
    hints = [offset for _, offset, _ in parts]
    return _csv(parts.values(), hints, plan.reserved, get_target(plan.target).alignment)


def buffers_of_problem(problem: Problem) -> str:
    """All alias groups that could be in fast memory, for as long as they live."""
    groups = [[problem.tensors[id] for id in group.tensors] for group in problem.groups]
    parts = [
        [Piece(tensor.name, *tensor.live, tensor.size) for tensor in group]
        for group in groups
        if all(tensor.fixed is None for tensor in group)
    ]
    return _csv(parts, [None] * len(parts), fixed_reservations(problem), problem.target.alignment)


def _csv(
    parts: Iterable[Sequence[Piece]], hints: Iterable[int | None], reserved: Iterable[Reservation], alignment: int
) -> str:
    found: dict[str, Buffer] = {}
    for part, hint in zip(parts, hints, strict=True):
        sizes = _ranges_by_size(part)
        colocation = ""
        for size, ranges in sizes.items():
            id = min(part, key=lambda piece: piece.start).name
            while id in found:
                id = f"{id}@{ranges[0][0]}"
            if len(sizes) > 1:
                colocation = colocation or id
            gaps = tuple((high, low) for (_, high), (low, _) in pairwise(ranges))
            found[id] = Buffer(id, ranges[0][0], ranges[-1][1], size, alignment, gaps, hint, colocation=colocation)
    fixed = [Buffer(f"reserved {one.start}", one.start, one.end + 1, one.size, offset=one.offset) for one in reserved]
    return format_buffers([*found.values(), *fixed])


def _ranges_by_size(part: Sequence[Piece]) -> dict[int, list[tuple[int, int]]]:
    """For each size of a part, the half-open ranges of time in which it has that, in order."""
    found: dict[int, list[tuple[int, int]]] = {}
    times = sorted({time for piece in part for time in (piece.start, piece.end + 1)})
    for low, high in pairwise(times):
        size = max((piece.size for piece in part if piece.start <= low <= piece.end), default=0)
        if not size:
            continue
        ranges = found.setdefault(size, [])
        if ranges and ranges[-1][1] == low:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    return found
