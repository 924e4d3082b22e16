"""Blocks: what a packer gives one offset each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.packing.buffer import Buffer


@dataclass(frozen=True)
class Block:
    """One buffer.

    Attributes:
        size: bytes of its largest buffer.
        ranges: half-open ranges of time with the bytes that it occupies in each, in order of time; none is empty.
        alignment: its offset is a multiple of this many bytes.
        fixed: the only offset that it may have; None if the packer decides.
        hint: an offset in bytes to try first; not binding.
    """

    size: int
    ranges: tuple[tuple[int, int, int], ...]
    alignment: int
    fixed: int | None
    hint: int | None


def blocks_of(buffers: Sequence[Buffer]) -> list[Block]:
    """A block a buffer."""
    return [
        Block(
            size=buffer.size,
            ranges=tuple((low, high, buffer.size) for low, high in buffer.live()) if buffer.size else (),
            alignment=buffer.alignment,
            fixed=buffer.offset,
            hint=buffer.hint,
        )
        for buffer in buffers
    ]
