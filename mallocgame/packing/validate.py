"""The judge of a packing. It shares no code with the search and works from the definition of a buffer alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mallocgame.packing.buffer import Buffer

Cause = Literal["count", "capacity", "alignment", "fixed", "overlap", "colocation", "separation"]


@dataclass(frozen=True)
class PackingViolation:
    """One thing that is wrong with a packing.

    Attributes:
        cause: ``count``: not one offset a buffer; ``capacity``: below 0 or beyond the capacity; ``alignment``: not a
            multiple of it; ``fixed``: not at its fixed offset; ``overlap``: two share a byte at a time; ``colocation``:
            two that have one are at different offsets; ``separation``: two that have one in common share a byte.
        message: the same in words, with ids and numbers.
        ids: of the buffers.
    """

    cause: Cause
    message: str
    ids: tuple[str, ...] = ()


def validate(buffers: Sequence[Buffer], offsets: Sequence[int], capacity: int) -> list[PackingViolation]:
    """Everything that is wrong with a packing; empty if it is valid.

    Args:
        buffers: what was to be packed.
        offsets: bytes, one a buffer.
        capacity: bytes.
    """
    if len(offsets) != len(buffers):
        return [PackingViolation("count", f"{len(offsets)} offsets for {len(buffers)} buffers")]
    found = []
    for buffer, offset in zip(buffers, offsets, strict=True):
        if offset < 0 or offset + buffer.size > capacity:
            text = f"buffer {buffer.id!r} ends at {offset} + {buffer.size}, capacity {capacity}"
            found.append(PackingViolation("capacity", text, (buffer.id,)))
        if offset % buffer.alignment:
            text = f"buffer {buffer.id!r} is at {offset}, not a multiple of {buffer.alignment}"
            found.append(PackingViolation("alignment", text, (buffer.id,)))
        if buffer.offset is not None and offset != buffer.offset:
            text = f"buffer {buffer.id!r} is at {offset}, fixed at {buffer.offset}"
            found.append(PackingViolation("fixed", text, (buffer.id,)))
    return found + _overlaps(buffers, offsets) + _not_colocated(buffers, offsets) + _not_separate(buffers, offsets)


def _overlaps(buffers: Sequence[Buffer], offsets: Sequence[int]) -> list[PackingViolation]:
    """Pairs that share a byte at a time; every pair of live ranges that meet is looked at."""
    found = []
    active: list[int] = []
    for index in sorted(range(len(buffers)), key=lambda index: buffers[index].lower):
        buffer = buffers[index]
        active = [other for other in active if buffers[other].upper > buffer.lower]
        for other in active:
            low = max(offsets[index], offsets[other])
            high = min(offsets[index] + buffer.size, offsets[other] + buffers[other].size)
            time = _common_time(buffer, buffers[other]) if low < high else None
            if time is not None:
                text = f"buffers {buffers[other].id!r} and {buffer.id!r} share bytes {low} to {high} at time {time}"
                found.append(PackingViolation("overlap", text, (buffers[other].id, buffer.id)))
        active.append(index)
    return found


def _not_colocated(buffers: Sequence[Buffer], offsets: Sequence[int]) -> list[PackingViolation]:
    """Buffers that are not where the first of their colocation is."""
    found = []
    first: dict[str, int] = {}
    for index, buffer in enumerate(buffers):
        other = first.setdefault(buffer.colocation, index) if buffer.colocation else index
        if offsets[other] != offsets[index]:
            text = f"buffers {buffers[other].id!r} and {buffer.id!r} are at {offsets[other]} and {offsets[index]}"
            text = f"{text}, colocation {buffer.colocation!r}"
            found.append(PackingViolation("colocation", text, (buffers[other].id, buffer.id)))
    return found


def _not_separate(buffers: Sequence[Buffer], offsets: Sequence[int]) -> list[PackingViolation]:
    """Buffers of a separation that begin before the end of another one that begins below them."""
    found = []
    groups: dict[str, list[int]] = {}
    for index, buffer in enumerate(buffers):
        for name in buffer.separations if buffer.size else ():
            groups.setdefault(name, []).append(index)
    for name, members in groups.items():
        below: int | None = None
        for index in sorted(members, key=lambda index: offsets[index]):
            end = offsets[index] + buffers[index].size
            highest = -1 if below is None else offsets[below] + buffers[below].size
            if below is not None and offsets[index] < highest:
                text = f"buffers {buffers[below].id!r} and {buffers[index].id!r} share bytes {offsets[index]} to"
                text = f"{text} {min(end, highest)}, separation {name!r}"
                found.append(PackingViolation("separation", text, (buffers[below].id, buffers[index].id)))
            if end > highest:
                below = index
    return found


def _common_time(first: Buffer, second: Buffer) -> int | None:
    """The first time at which both are live; None if there is none.

    Somebody's live range begins at that time, or somebody's gap has just ended.
    """
    candidates = [first.lower, second.lower, *(high for _, high in (*first.gaps, *second.gaps))]
    return min((time for time in candidates if _is_live(first, time) and _is_live(second, time)), default=None)


def _is_live(buffer: Buffer, time: int) -> bool:
    return buffer.lower <= time < buffer.upper and not any(low <= time < high for low, high in buffer.gaps)
