"""Whether buffers that are well-formed one by one make a problem together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mallocgame.packing.buffer import LARGEST, Buffer
from mallocgame.packing.validate import validate
from mallocgame.system.errors import BadInputError


@dataclass(frozen=True)
class Clash:
    """What no packing can mean.

    Attributes:
        index: of the buffer at which it shows.
        text: the same in words, with ids.
    """

    index: int
    text: str


def check_jointly(buffers: Sequence[Buffer], capacity: int | None = None) -> None:
    """Refuse a problem whose buffers are well-formed one by one but not together.

    Raises:
        BadInputError: the first of `clashes`, or a capacity out of range.
    """
    if capacity is not None and not 0 <= capacity < LARGEST:
        raise BadInputError(f"capacity {capacity} is out of range")
    for clash in clashes(buffers):
        raise BadInputError(clash.text)


def clashes(buffers: Sequence[Buffer]) -> Iterator[Clash]:
    """What cannot be, whatever the capacity.

    An id twice, sizes that overflow, a colocation whose buffers cannot be at one offset, fixed offsets that overlap.
    """
    seen: set[str] = set()
    for index, buffer in enumerate(buffers):
        if buffer.id in seen:
            yield Clash(index, f"two buffers have the id {buffer.id!r}")
        seen.add(buffer.id)
    groups: dict[str, list[int]] = {}
    for index, buffer in enumerate(buffers):
        groups.setdefault(buffer.colocation, []).append(index)
    alone = groups.pop("", [])
    alignments = {name: math.lcm(*(buffers[index].alignment for index in group)) for name, group in groups.items()}
    rooms = [buffer.size for buffer in buffers] + [buffers[index].alignment for index in alone]
    if sum(rooms) + sum(alignments.values()) >= LARGEST:
        yield Clash(len(buffers) - 1, "the sum of all sizes and alignments is out of range")
    fixed = list(buffers)
    for name, group in groups.items():
        yield from _within(buffers, group, alignments[name])
        at = next((offset for index in group if (offset := buffers[index].offset) is not None), None)
        for index in group if at is not None and at % alignments[name] == 0 else ():
            fixed[index] = replace(buffers[index], offset=at)
    yield from _fixed(fixed)


def _within(buffers: Sequence[Buffer], group: Sequence[int], alignment: int) -> Iterator[Clash]:
    """Why the buffers of a colocation cannot be at one offset."""
    members = [buffers[index] for index in group]
    called = f"colocation {members[0].colocation!r}"
    apart: dict[str, str] = {}
    for index, buffer in zip(group, members, strict=True):
        for name in buffer.separations if buffer.size else ():
            other = apart.setdefault(name, buffer.id)
            if other != buffer.id:
                yield Clash(index, f"buffers {other!r} and {buffer.id!r} have {called} and separation {name!r}")
    placed = [(index, offset) for index in group if (offset := buffers[index].offset) is not None]
    for index, offset in placed:
        first, at = placed[0]
        if offset != at:
            pair = f"buffers {buffers[first].id!r} and {buffers[index].id!r}"
            yield Clash(index, f"{pair} are fixed at {at} and {offset}, {called}")
        if offset % alignment:
            text = f"buffer {buffers[index].id!r} is fixed at {offset}, not a multiple of {alignment}, the alignment of"
            yield Clash(index, f"{text} {called}")
    together = [replace(buffer, offset=None, alignment=1, separations=()) for buffer in members]
    for violation in validate(together, [0] * len(together), LARGEST):
        index = max(index for index in group if buffers[index].id in violation.ids)
        yield Clash(index, f"{called} cannot be at one offset: {violation.message}")


def _fixed(buffers: Sequence[Buffer]) -> Iterator[Clash]:
    """Fixed offsets that overlap; the buffer is the last one that is needed for that."""
    fixed = [(index, buffer, buffer.offset) for index, buffer in enumerate(buffers) if buffer.offset is not None]
    for violation in validate([buffer for _, buffer, _ in fixed], [offset for _, _, offset in fixed], LARGEST):
        index = max(index for index, buffer, _ in fixed if buffer.id in violation.ids)
        yield Clash(index, f"the fixed offsets clash whatever the capacity: {violation.message}")
