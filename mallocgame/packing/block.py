"""Blocks: what a packer gives one offset each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mallocgame.packing.buffer import Buffer

Offset = TypeVar("Offset", int, int | None)


@dataclass(frozen=True)
class Block:
    """A buffer, or all that have one colocation.

    Attributes:
        members: its buffers, as indices.
        size: bytes of the largest one.
        ranges: half-open ranges of time with the bytes that it occupies in each, in order of time; none is empty.
        alignment: its offset is a multiple of this many bytes.
        fixed: the only offset that it may have; None if the packer decides.
        hint: an offset in bytes to try first; not binding.
    """

    members: tuple[int, ...]
    size: int
    ranges: tuple[tuple[int, int, int], ...]
    alignment: int
    fixed: int | None
    hint: int | None


def blocks_of(buffers: Sequence[Buffer]) -> list[Block]:
    """The blocks of buffers that `check_jointly` accepts.

    A separation is a moment after the last live range, at which all of its buffers are live besides.
    """
    groups: dict[str | int, list[int]] = {}
    for index, buffer in enumerate(buffers):
        groups.setdefault(buffer.colocation or index, []).append(index)
    names = dict.fromkeys(name for buffer in buffers for name in buffer.separations)
    end = max((buffer.upper for buffer in buffers), default=0)
    moments = {name: end + number for number, name in enumerate(names)}
    return [_block(buffers, tuple(group), moments) for group in groups.values()]


def _block(buffers: Sequence[Buffer], group: tuple[int, ...], moments: dict[str, int]) -> Block:
    members = [buffers[index] for index in group]
    ranges = [
        (low, high, buffer.size)
        for buffer in members
        if buffer.size
        for low, high in (*buffer.live(), *((moments[name], moments[name] + 1) for name in buffer.separations))
    ]
    return Block(
        members=group,
        size=max(buffer.size for buffer in members),
        ranges=tuple(sorted(ranges)),
        alignment=math.lcm(*(buffer.alignment for buffer in members)),
        fixed=_first(buffer.offset for buffer in members),
        hint=_first(buffer.hint for buffer in members),
    )


def by_buffer(blocks: Sequence[Block], offsets: Iterable[Offset]) -> tuple[Offset, ...]:
    """Offsets of blocks as those of their buffers."""
    placed = {member: offset for block, offset in zip(blocks, offsets, strict=True) for member in block.members}
    return tuple(placed[index] for index in range(len(placed)))


def _first(values: Iterable[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)
