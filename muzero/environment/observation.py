"""What a network sees of a position: float32 arrays of one shape for all size classes, finite and of order 1.

Times are binned around the instruction of the next site, finer where they are near. Seconds are told as square roots
of their share of the program's time with everything in HBM, so that small ones still show.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from muzero.environment.arrays import Array
from muzero.environment.lanes import most_of_lanes
from muzero.environment.look_ahead import answered_fast, is_pinned
from muzero.environment.occupancy import NOWHERE
from muzero.environment.state import DRAINED, IDLE, READ, STARTS, WRITTEN, State
from muzero.environment.tables import (
    COMPUTE,
    FAST,
    FIRST_DEFINITION,
    FREE,
    IN_HBM,
    LATER_DEFINITION,
    NEVER,
    OTHER_USE,
    SERVING,
    TRAFFIC,
    Site,
    Tables,
    site_at,
)

PAST_WIDTHS = (1, 1, 2, 4, 8, 16, 32, 2**20)
FUTURE_WIDTHS = (1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 32, 32, 64, 64, 128, 2**20)
BINS = len(PAST_WIDTHS) + len(FUTURE_WIDTHS)
"""Bins of time, in order of time: ``PAST_WIDTHS`` from right to left before now, and ``FUTURE_WIDTHS`` from now on,
in instructions; and the number of bins of addresses, of equal size."""

_EDGES = np.concatenate([-np.cumsum(PAST_WIDTHS)[::-1], [0], np.cumsum(FUTURE_WIDTHS)]).astype(np.int32)

_PAST = sum(PAST_WIDTHS[:-1])
_NEAR = _PAST + sum(FUTURE_WIDTHS[:-1])
"""How many times before now, and how many in all, are in bins of a width below 2**20."""

_ROWS = 68
"""So many stays are looked at together; every size class's rows are a multiple."""

SITES_AHEAD = 48
BOARD_CHANNELS, USE_FEATURES, SUPPLY_CHANNELS, SCALARS = 4, 20, 4, 26
MOST = 4.0
"""Nothing is larger."""


class Observation(NamedTuple):
    """A position as a network sees it.

    Attributes:
        board: float32[32, 32, 4], time bin x address bin. Channels, each from 0 to 1, a share of the bin's bytes x
            those of its times that are in the program: 0 held by a stay; 1 held by the alias group of the next site;
            2 what answering the next site with COPY, NO_COPY would hold, if that is legal; 3 share of the bin's times
            that are before the beginning or after the end of the program.
        uses: float32[48, 20], the sites ahead, the next one first. Features:
            0 there is such a site (all others are 0 if not); 1 a definition; 2 begins a copyable serving; 3 its group
            can be pinned; 4 its group is pinned; 5 reads fast memory already, or the serving before does;
            6 of the next site's group; 7 of the next site's tensor; 8 log2(1 + instructions from now) / 12;
            9 bytes of the tensor / bytes of fast memory; 10 log2(1 + bytes accessed) / 32; 11 root of the share of
            time saved if only these bytes were fast; 12 root of the HBM time's share: of the serving (of the group);
            13 and of the group; 14 log2(1 + instructions that it would stay) / 12; 15 log2(1 + instructions that a copy
            may take) / 12; 16 root of the share of time that the copy takes; 17 log2(1 + runs of the instruction) / 8;
            18 a known plan has it in fast memory; 19 a known plan has it in HBM.
        supply: float32[32, 4], by time bin, each the root of the share of the all-HBM time (of one run of the
            instruction's computation): 0 idle HBM time; 1 of it what copies take; 2 demand of the prefetches that
            start there; 3 time of the instructions themselves, over all their runs.
        scalars: float32[26]: 0-2 legal DROP, COPY, NO_COPY; 3-6 kind of the site (first definition, later one, serving,
            other use); 7 sites answered / sites; 8 instructions passed / instructions; 9 time saved / all-HBM time;
            10 signed root of that; 11 log2(1 + sites) / 16; 12 log2(bytes of fast memory) / 32; 13-14 log2(bandwidth of
            reading, writing fast memory / HBM bandwidth) / 8; 15 share of fast memory held now; 16 bytes of the tensor
            / bytes of fast memory; 17 bytes that a gap needs / bytes of fast memory; 18-19 log2(1 + tensors, uses of
            the group) / 8; 20 group pinned; 21 root of the group's share of HBM time; 22 offset that the stay would
            get / bytes of fast memory; 23 log2(1 + instructions between its start and now) / 12; 24 the bytes of a
            pinned group are not free (a drop-backup follows); 25 root of the share of time by which HBM bandwidth is
            asked for more than instructions leave idle: stalls at present.
    """

    board: Array
    uses: Array
    supply: Array
    scalars: Array


def observe(tables: Tables, state: State) -> Observation:
    """What a network sees of a position; all 0 but for 9 and 10 of the scalars when it is done."""
    site = site_at(tables, state.at)
    now = jnp.where(state.done, tables.length, site.time)
    edges = now + jnp.asarray(_EDGES)
    elapsed = _elapsed(tables, state.flow)
    made = Observation(
        _board(tables, state, site, edges),
        _uses(tables, state, site, now, elapsed),
        _supply(tables, state, edges, elapsed),
        _scalars(tables, state, site, now),
    )
    return Observation(*(_bounded(part) for part in made))


def _bounded(values: Array) -> Array:
    return jnp.clip(values, -MOST, MOST).astype(jnp.float32)


def _elapsed(tables: Tables, flow: Array) -> Array:
    """Seconds of each instruction itself, float64[times]."""
    return _elapsed_with(tables, slice(None), flow[READ], flow[WRITTEN])


def _elapsed_with(tables: Tables, at: Any, read: Array, written: Array) -> Array:
    steps = tables.steps
    memory = read / tables.fast_read_bandwidth + written / tables.fast_write_bandwidth
    memory += (steps[TRAFFIC, at] - read - written) / tables.hbm_bandwidth
    elapsed: Array = jnp.where(steps[FREE, at] > 0.0, 0.0, jnp.maximum(steps[COMPUTE, at], memory))
    return elapsed


def _root(tables: Tables, seconds: Array) -> Array:
    """The root of the share of the all-HBM time."""
    return jnp.sqrt(jnp.maximum(seconds, 0.0) / jnp.where(tables.all_hbm > 0.0, tables.all_hbm, 1.0))


def _log(count: Array) -> Array:
    return jnp.log2(1.0 + jnp.maximum(count, 0).astype(jnp.float32))


def _board(tables: Tables, state: State, site: Site, edges: Array) -> Array:
    stays, capacity = state.stays, tables.fast_bytes.astype(jnp.float32)
    outside = 1.0 - _share(edges, jnp.int32(0), tables.length)
    edges = jnp.clip(edges, 0, tables.length)
    steps = jnp.arange(BINS + 1, dtype=jnp.float32) * (capacity / BINS)

    def places(low: Array, top: Array) -> Array:
        low_, top_ = low.astype(jnp.float32)[..., None], top.astype(jnp.float32)[..., None]
        return jnp.maximum(jnp.minimum(steps[1:], top_) - jnp.maximum(steps[:-1], low_), 0.0) / (capacity / BINS)

    def held_with(number: Array, held: tuple[Array, Array]) -> tuple[Array, Array]:
        columns = (stays.low, stays.top, stays.start, stays.end, stays.owner)
        low, top, start, end, owner = (lax.dynamic_slice(column, (number * _ROWS,), (_ROWS,)) for column in columns)
        times = (_share(edges, start, end + 1) * (end >= start)[:, None]).T
        bytes_ = places(low, top)
        return held[0] + times @ bytes_, held[1] + (times * (owner == site.owner)) @ bytes_

    nothing = jnp.zeros((BINS, BINS), jnp.float32)
    parts = most_of_lanes((stays.number + (_ROWS - 1)) // _ROWS)
    held, own = lax.fori_loop(0, parts, held_with, (nothing, nothing))
    ahead = state.ahead
    offered = (state.legal[1] | state.legal[2]) & (site.kind != OTHER_USE) & (ahead.low != NOWHERE)
    proposed = _share(edges, ahead.start, site.end + 1)[:, None] * places(ahead.low, ahead.low + site.size)[None, :]
    channels = [held, own, jnp.where(offered, proposed, 0.0), jnp.broadcast_to(outside[:, None], (BINS, BINS))]
    return jnp.stack(channels, axis=-1)


def _share(edges: Array, start: Array, end: Array) -> Array:
    """How much of each bin [edges[i], edges[i + 1]) is in [start, end), from 0 to 1; float32[..., bins]."""
    low = jnp.maximum(edges[:-1], start[..., None])
    high = jnp.minimum(edges[1:], end[..., None])
    widths = jnp.maximum(edges[1:] - edges[:-1], 1).astype(jnp.float32)
    return jnp.maximum(high - low, 0).astype(jnp.float32) / widths


def _uses(tables: Tables, state: State, next_site: Site, now: Array, elapsed: Array) -> Array:
    numbers = state.at + jnp.arange(SITES_AHEAD, dtype=jnp.int32)
    there = numbers < tables.site_count
    numbers = jnp.where(there, numbers, 0)
    rows = tables.sites[numbers]
    scalars = len(Site._fields) - 2
    site = Site._make([*(rows[:, column] for column in range(scalars)), None, None])
    pinned = is_pinned(state.moves, site) & (site.pin_site < state.at)
    served = jnp.where(site.kind == SERVING, site.previous_site, site.serving_site)
    reads_fast = answered_fast(state.moves, served) & (served < state.at)
    bytes_ = tables.site_bytes[numbers]
    slots = jnp.maximum(site.slot, 0)
    writes = slots >= state.flow.shape[-1]
    more = jnp.where(pinned, 0.0, bytes_)
    read = state.flow[READ, site.time] + jnp.where(writes, 0.0, more)
    written = state.flow[WRITTEN, site.time] + jnp.where(writes, more, 0.0)
    saved = (elapsed[site.time] - _elapsed_with(tables, site.time, read, written)) * tables.runs[site.time]
    facts = tables.site_facts[numbers]
    stays_for = site.end - jnp.where(site.kind == SERVING, site.time, site.start)
    copy = jnp.maximum(site.copy, 0)
    copyable = site.kind == SERVING
    features = [
        jnp.ones(SITES_AHEAD),
        (site.kind == FIRST_DEFINITION) | (site.kind == LATER_DEFINITION),
        copyable,
        site.pin_site != NEVER,
        pinned,
        reads_fast & ~pinned,
        site.owner == next_site.owner,
        site.tensor == next_site.tensor,
        _log(site.time - now) / 12,
        site.size / tables.fast_bytes,
        _log(bytes_) / 32,
        _root(tables, saved),
        facts[:, 0],
        facts[:, 1],
        _log(stays_for) / 12,
        jnp.where(copyable, _log(site.latest - site.earliest) / 12, 0.0),
        jnp.where(copyable, _root(tables, tables.copy_demand[copy]), 0.0),
        _log(tables.runs[site.time]) / 8,
        tables.known[numbers] == FAST,
        tables.known[numbers] == IN_HBM,
    ]
    table = jnp.stack([feature.astype(jnp.float32) for feature in features], axis=-1)
    return jnp.where((there & ~state.done)[:, None], table, 0.0)


def _supply(tables: Tables, state: State, edges: Array, elapsed: Array) -> Array:
    flow, times = state.flow, state.flow.shape[-1]
    seconds = jnp.stack([flow[IDLE], flow[DRAINED], flow[STARTS][0], elapsed * tables.runs])
    share = (seconds / jnp.where(tables.all_hbm > 0.0, tables.all_hbm, 1.0)).astype(jnp.float32)
    width = min(_NEAR, times)
    start = jnp.clip(edges[len(PAST_WIDTHS)] - _PAST, 0, times - width)
    near = start + jnp.arange(width, dtype=jnp.int32)
    inside = ((near >= edges[:-1, None]) & (near < edges[1:, None])).astype(jnp.float32)
    binned = inside @ lax.dynamic_slice(share, (jnp.int32(0), start), (len(share), width)).T
    now = jnp.arange(times, dtype=jnp.int32)
    before = jnp.sum(jnp.where(now < start, share, 0.0), axis=-1)
    after = jnp.sum(jnp.where(now >= start + width, share, 0.0), axis=-1)
    return jnp.sqrt(jnp.maximum(binned.at[0].add(before).at[-1].add(after), 0.0))


def _scalars(tables: Tables, state: State, site: Site, now: Array) -> Array:
    stays, ahead = state.stays, state.ahead
    held = jnp.where((stays.start <= now) & (stays.end >= now), stays.top - stays.low, 0)
    capacity = tables.fast_bytes.astype(jnp.float32)
    whole = jnp.where(tables.all_hbm > 0.0, tables.all_hbm, 1.0)
    saved = (tables.all_hbm - state.total) / whole
    found = (state.legal[1] | state.legal[2]) & (site.kind != OTHER_USE) & (ahead.low != NOWHERE)
    facts = tables.site_facts[state.at]
    own_time = jnp.sum(_elapsed(tables, state.flow) * tables.runs)
    facts_of_site = [
        site.kind == FIRST_DEFINITION,
        site.kind == LATER_DEFINITION,
        site.kind == SERVING,
        site.kind == OTHER_USE,
    ]
    facts_of_program = [
        state.at / jnp.maximum(tables.site_count, 1),
        now / jnp.maximum(tables.length, 1),
        saved,
        jnp.sign(saved) * jnp.sqrt(jnp.abs(saved)),
        _log(tables.site_count) / 16,
        jnp.log2(capacity) / 32,
        jnp.log2(tables.fast_read_bandwidth / tables.hbm_bandwidth) / 8,
        jnp.log2(tables.fast_write_bandwidth / tables.hbm_bandwidth) / 8,
        jnp.sum(held.astype(jnp.float32)) / capacity,
    ]
    facts_of_move = [
        site.size / capacity,
        site.fit / capacity,
        facts[2],
        facts[3],
        is_pinned(state.moves, site) & (site.kind != FIRST_DEFINITION),
        facts[1],
        jnp.where(found, ahead.low / capacity, 0.0),
        jnp.where(found, _log(now - ahead.start) / 12, 0.0),
        ahead.conflict,
        _root(tables, state.total - own_time),
    ]
    here = ~state.done
    values = [
        *state.legal,
        *(here & fact for fact in facts_of_site),
        *facts_of_program,
        *(jnp.where(here, fact, 0.0) for fact in facts_of_move),
    ]
    return jnp.stack([jnp.asarray(value).astype(jnp.float32) for value in values])
