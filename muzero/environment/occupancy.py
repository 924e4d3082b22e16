"""Which bytes are taken at which times: new stays, and best fit among what is free."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from muzero.environment.arrays import Array
from muzero.environment.lanes import most_of_lanes
from muzero.environment.state import Stays
from muzero.environment.tables import Tables

NOWHERE = 2**31 - 1
"""An offset that is none."""


def insert(tables: Tables, stays: Stays, low: Array, size: Array, interval: tuple[Array, Array], owner: Array) -> Stays:
    """Take ``size`` bytes from ``low`` for a closed interval of times; nothing changes where ``size`` is 0."""
    places = jnp.arange(stays.low.shape[-1], dtype=jnp.int32)
    place = jnp.where(size > 0, jnp.sum(stays.low <= low, dtype=jnp.int32), stays.low.shape[-1])
    top = -(-(low + size) // tables.alignment) * tables.alignment

    def with_new(values: Array, new: Array) -> Array:
        shifted = jnp.concatenate([values[:1], values[:-1]])
        return jnp.where(places < place, values, jnp.where(places == place, new, shifted))

    return Stays(
        stays.number + (size > 0),
        with_new(stays.low, low),
        with_new(stays.top, top),
        with_new(stays.start, interval[0]),
        with_new(stays.end, interval[1]),
        with_new(stays.owner, owner),
    )


class Newest(NamedTuple):
    """The stay of an owner that ends last.

    Attributes:
        end: int32[], its last time, ``NEVER`` if there is none.
        low: int32[], its first byte; ``NEVER`` if there is none.
    """

    end: Array
    low: Array


def newest(stays: Stays, owner: Array) -> Newest:
    """The stay of an owner that ends last; stays of a pinned group are all at one offset."""
    own = stays.owner == owner
    end = jnp.max(jnp.where(own, stays.end, -1))
    low = jnp.max(jnp.where(own & (stays.end == end), stays.low, -1))
    return Newest(end, low)


def prolong(stays: Stays, owner: Array, stay: Newest, end: Array, active: Array) -> Stays:
    """Let the newest stay of an owner last until ``end``."""
    own = active & (stays.owner == owner) & (stays.end == stay.end)
    return stays._replace(end=jnp.where(own, end, stays.end))


def is_free(
    tables: Tables, stays: Stays, interval: tuple[Array, Array], low: Array, size: Array, owner: Array
) -> Array:
    """Whether no other owner has bytes in [low, low + size) during a closed interval of times."""
    met = (stays.start <= interval[1]) & (stays.end >= interval[0]) & (stays.owner != owner)
    return _clear_of(tables, stays, met, low, size)


class Asked(NamedTuple):
    """What a place is asked for.

    Attributes:
        starts: int32[spans], first times of intervals.
        ends: int32[spans], their last times.
        start: int32[], first time of one more.
        end: int32[], its last time.
        size: int32[], bytes.
        owner: int32[], whose stays do not count.
    """

    starts: Array
    ends: Array
    start: Array
    end: Array
    size: Array
    owner: Array

    def met(self, stays: Stays) -> Array:
        """Which stays of others are there at a time of one of the intervals, bool[stays]."""
        met = (stays.start <= self.end) & (stays.end >= self.start)
        for span in range(self.starts.shape[-1]):
            met |= (stays.start <= self.ends[span]) & (stays.end >= self.starts[span])
        others: Array = met & (stays.owner != self.owner)
        return others


def fits_at(tables: Tables, stays: Stays, asked: Asked, low: Array) -> Array:
    """Whether the bytes from ``low`` are free in all of the intervals, bool[]."""
    return _clear_of(tables, stays, asked.met(stays), low, asked.size)


def _clear_of(tables: Tables, stays: Stays, met: Array, low: Array, size: Array) -> Array:
    """Whether the bytes from ``low`` are fast memory's, and none of the stays that are ``met`` has any of them."""
    taken = met & (stays.low < low + size) & (stays.top > low)
    clear: Array = (size <= tables.fast_bytes - low) & ~jnp.any(taken)
    return clear


def best_fit(tables: Tables, stays: Stays, asked: Asked) -> Array:
    """Offset of the smallest gap that fits, then of the lowest, over all of the intervals.

    Returns:
        int32[], ``NOWHERE`` if no gap has ``asked.size`` bytes.
    """
    met, size = asked.met(stays), asked.size
    lows, tops = jnp.where(met, stays.low, 0), jnp.where(met, stays.top, 0)

    def narrow(row: Array, below: _Gap) -> _Gap:
        return below.with_(lows[row], tops[row], size)

    start_of_search = _Gap(jnp.int32(0), jnp.int32(NOWHERE), jnp.int32(NOWHERE))
    found: _Gap = lax.fori_loop(0, most_of_lanes(stays.number), narrow, start_of_search)
    return found.with_(tables.fast_bytes, jnp.int32(0), size).offset


class _Gap(NamedTuple):
    """Going up through the stays: the smallest gap so far.

    Attributes:
        reached: int32[], the byte below which everything has been seen.
        bytes: int32[], of the gap, ``NOWHERE`` if there is none.
        offset: int32[], its first byte, ``NOWHERE`` if there is none.
    """

    reached: Array
    bytes: Array
    offset: Array

    def with_(self, low: Array, top: Array, size: Array) -> _Gap:
        """Past the stay [low, top), with the gap below it."""
        gap = low - self.reached
        better = (gap >= size) & (gap < self.bytes)
        return _Gap(
            jnp.maximum(self.reached, top),
            jnp.where(better, gap, self.bytes),
            jnp.where(better, self.reached, self.offset),
        )
