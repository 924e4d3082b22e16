"""Buffers to be packed, and what a packer answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mallocgame.system.errors import BadInputError

LARGEST = 2**53
"""Times, sizes, alignments, offsets and capacities have to be smaller than this, and so has the sum of all sizes."""

Status = Literal["optimal", "feasible", "infeasible", "time limit"]


@dataclass(frozen=True)
class Buffer:
    """One buffer: while it is live it occupies the bytes [offset, offset + size).

    Attributes:
        id: a name of its own.
        lower: the first time at which it is live.
        upper: the first time after ``lower`` at which it is no longer live (the live range is half-open).
        size: bytes.
        alignment: its offset is a multiple of this many bytes.
        gaps: half-open ranges of time within the live range in which its bytes may hold another buffer.
        hint: an offset in bytes to try first; not binding.
        offset: the only offset that it may have; None if the packer decides.
        colocation: a name; all buffers that have it are at one offset. No two of them are live at once.
        separations: names; no two buffers that have one in common share a byte, whenever they are live.
        cost: what is lost if it is spilled (`spill`), in any unit; None for its size.
    """

    id: str
    lower: int
    upper: int
    size: int
    alignment: int = 1
    gaps: tuple[tuple[int, int], ...] = ()
    hint: int | None = None
    offset: int | None = None
    colocation: str = ""
    separations: tuple[str, ...] = ()
    cost: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no packing can mean.

        Raises:
            BadInputError: the message names the buffer and the value.
        """
        cause = self._fault()
        if cause is not None:
            raise BadInputError(f"buffer {self.id!r}: {cause}")

    def live(self) -> tuple[tuple[int, int], ...]:
        """The half-open ranges of time in which it is live, in order: the live range without the gaps."""
        ranges = []
        start = self.lower
        for low, high in sorted(self.gaps):
            if start < low:
                ranges.append((start, low))
            start = max(start, high)
        if start < self.upper:
            ranges.append((start, self.upper))
        return tuple(ranges)

    def _fault(self) -> str | None:
        for name in ("lower", "upper"):
            if abs(getattr(self, name)) >= LARGEST:
                return f"{name} {getattr(self, name)} is out of range"
        if self.lower >= self.upper:
            return f"its live range is empty: lower {self.lower}, upper {self.upper}"
        if not 0 <= self.size < LARGEST:
            return f"size {self.size} is out of range"
        if not 1 <= self.alignment < LARGEST:
            return f"alignment {self.alignment} is out of range"
        for low, high in self.gaps:
            if not self.lower <= low < high <= self.upper:
                return f"gap {low}-{high} is empty or outside of its live range {self.lower}-{self.upper}"
        for name in ("hint", "offset", "cost"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < LARGEST:
                return f"{name} {value} is out of range"
        if self.offset is not None and self.offset % self.alignment:
            return f"its fixed offset {self.offset} is not a multiple of its alignment {self.alignment}"
        return None


@dataclass(frozen=True)
class Core:
    """Buffers that do not fit even without all others.

    Attributes:
        ids: in the order given.
        minimal: proven that without any one of them the others fit.
    """

    ids: tuple[str, ...]
    minimal: bool


@dataclass(frozen=True)
class Packing:
    """What a packer found.

    Attributes:
        status: ``"feasible"``: it fits into the capacity that was given; ``"optimal"``: proven that no smaller capacity
            does (`minimise` only); ``"infeasible"``: proven that nothing fits; ``"time limit"``: `pack` found nothing,
            `minimise` did not prove that its packing is the smallest.
        offsets: bytes, one a buffer in the order given; None if nothing was found.
        capacity: bytes: what was asked for, or of `minimise` the largest offset + size.
        lower_bound: bytes: no packing is smaller (the largest sum of sizes that are live at once, at least).
        seconds: wall time.
        nodes: states of the exact search.
        core: buffers that are in the way, where there are no offsets and somebody looked for them (`find_core`).
    """

    status: Status
    offsets: tuple[int, ...] | None
    capacity: int
    lower_bound: int
    seconds: float
    nodes: int
    core: Core | None = None
