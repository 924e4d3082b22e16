"""Cutting fast memory, address x time, into rectangles without gaps."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

Span = tuple[int, int]
"""First and last step."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle: steps ``first`` to ``last``, units of address ``low`` to ``high`` - 1."""

    first: int
    last: int
    low: int
    high: int

    @property
    def area(self) -> int:
        """Steps x units."""
        return (self.last - self.first + 1) * (self.high - self.low)


def tile(rng: random.Random, steps: int, units: int, loops: tuple[Span, ...], pieces: int) -> list[Piece]:
    """Cut ``steps`` x ``units`` in about ``pieces`` rectangles by straight cuts, in random order.

    Each piece is at least two steps long. Each lies inside one loop, or outside of all loops, or begins before and
    ends after every loop that it meets.

    Args:
        steps: at least 2.
        loops: spans of at least two steps, at least two steps apart and away from both ends.
    """
    whole = [Piece(0, steps - 1, 0, units)]
    while True:
        forced = next((piece for piece in whole if not _fits(piece, loops)), None)
        if forced is None and len(whole) >= pieces:
            return whole
        able = [piece for piece in whole if any(_cuts(piece, loops))] if forced is None else [forced]
        if not able:
            return whole
        piece = rng.choices(able, [piece.area for piece in able])[0]
        whole.remove(piece)
        whole.extend(rng.choice(list(_cuts(piece, loops))))


def _fits(piece: Piece, loops: tuple[Span, ...]) -> bool:
    return all(
        piece.last < first
        or last < piece.first
        or (first <= piece.first and piece.last <= last)
        or (piece.first < first and last < piece.last)
        for first, last in loops
    )


def _cuts(piece: Piece, loops: tuple[Span, ...]) -> Iterator[tuple[Piece, Piece]]:
    """Every way to cut a piece in two; one that does not fit is cut in time. No part is left with one step of a gap."""
    if _fits(piece, loops):
        for height in range(piece.low + 1, piece.high):
            yield replace(piece, high=height), replace(piece, low=height)
    inside = any(first <= piece.first and piece.last <= last for first, last in loops)
    for step in range(piece.first + 2, piece.last):
        if inside or not any(first <= step + 1 <= last + 3 and step not in (first, last + 1) for first, last in loops):
            yield replace(piece, last=step - 1), replace(piece, first=step)
