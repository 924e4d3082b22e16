"""What may be answered at the next site, and where the stay would be."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from mallocgame.game.board import ENOUGH, NEGLIGIBLE
from mallocgame.game.rules import Move
from muzero.environment.arrays import Array
from muzero.environment.keeping import forbids_copy, forbids_pin
from muzero.environment.lanes import any_lane, most_of_lanes
from muzero.environment.occupancy import NOWHERE, best_fit, is_free, newest
from muzero.environment.state import BARRED, Ahead, State, Stays
from muzero.environment.tables import (
    FARTHEST,
    FIRST_DEFINITION,
    LATER_DEFINITION,
    NEVER,
    OTHER_USE,
    SERVING,
    Site,
    Tables,
    site_at,
)
from muzero.environment.timeline import Times


def answered_fast(moves: Array, site: Array) -> Array:
    """Whether the site with this number is answered COPY or NO_COPY, bool[]; False for ``NEVER``."""
    move = moves[jnp.maximum(site, 0)]
    fast: Array = (site != NEVER) & ((move == Move.COPY.value) | (move == Move.NO_COPY.value))
    return fast


def is_pinned(moves: Array, site: Site) -> Array:
    """Whether the group of a site is pinned, bool[]."""
    pinned: Array = (site.pin_site != NEVER) & (moves[jnp.maximum(site.pin_site, 0)] == Move.NO_COPY.value)
    return pinned


def look_ahead(tables: Tables, state: State, times: Times) -> State:
    """The state with ``legal`` and ``ahead`` of its next site."""
    site, stays = site_at(tables, state.at), state.stays
    pinned = is_pinned(state.moves, site)
    begins = (site.kind == SERVING) & ~pinned
    pins = site.kind == FIRST_DEFINITION
    goes_on = begins & answered_fast(state.moves, site.previous_site)
    copies = begins & ~goes_on
    stay = newest(stays, site.owner)
    earliest = jnp.maximum(site.earliest, stay.end)
    allowed = begins & ~forbids_copy(tables, state.kept, state.moved, site)
    goes_on_free = _goes_on_free(tables, stays, site, stay.end, stay.low, goes_on)
    may_go_on = goes_on & allowed & (site.same_computation == 1) & goes_on_free
    wanted = copies & allowed & (site.latest >= earliest)
    after, low = _place(tables, stays, site, times, earliest, wanted, pins)
    found = low != NOWHERE
    may_copy = wanted & found
    barred = state.moves[state.at] == BARRED
    may_pin = pins & found & ~barred & ~forbids_pin(tables, state.kept, site)
    reads_fast = (site.kind == OTHER_USE) & answered_fast(state.moves, site.serving_site)
    forced = (pinned & ~pins) | (reads_fast & ~pinned)
    legal = jnp.stack([~forced, may_copy, forced | may_go_on | may_pin]) & ~state.done
    conflict = (site.kind == LATER_DEFINITION) & pinned
    conflict &= ~is_free(tables, stays, (site.start, site.end), stay.low, site.size, site.owner)
    ahead = Ahead(
        start=jnp.where(copies, after + 1, site.start),
        low=jnp.where(copies | pins, low, stay.low),
        conflict=conflict & ~state.done,
    )
    return state._replace(legal=legal, ahead=ahead)


def _goes_on_free(tables: Tables, stays: Stays, site: Site, end: Array, low: Array, asked: Array) -> Array:
    """Whether the newest stay of the owner can last until the serving, and what that carries has its bytes free."""
    free = is_free(tables, stays, (end + 1, site.end), low, site.size, site.owner)
    count = jnp.where(asked, site.carried, 0)

    def one(number: Array, free: Array) -> Array:
        start, last, size = tables.carried[jnp.minimum(site.first_carried + number, tables.carried.shape[-2] - 1)]
        return free & ((number >= count) | is_free(tables, stays, (start, last), low, size, site.owner))

    all_free: Array = lax.fori_loop(0, most_of_lanes(count), one, free)
    return all_free


def _place(
    tables: Tables, stays: Stays, site: Site, times: Times, earliest: Array, copies: Array, pins: Array
) -> tuple[Array, Array]:
    """Start and offset of a copy, or the offset of a pin.

    The start is the useful one, or the nearest later one for which a gap exists.

    Returns:
        The time after whose instruction the copy starts, and the offset; ``NOWHERE`` if there is none.
    """
    now = jnp.arange(tables.compute.shape[-1], dtype=jnp.int32)
    inside = (tables.computation == tables.copy_computation[site.copy]) & (now >= earliest) & (now <= site.latest)
    useful = _useful_start(tables, site, times, now, inside)

    def gap(after: Array) -> Array:
        start, end = jnp.where(copies, after + 1, FARTHEST), jnp.where(copies, site.end, NEVER)
        return best_fit(tables, stays, site.span_starts, site.span_ends, start, end, site.fit, site.owner)

    low = gap(useful)
    searches = copies & (low == NOWHERE) & (gap(site.latest) != NOWHERE)

    def narrow(bounds: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        first, last, _ = bounds
        middle = (first + last) // 2
        found = gap(middle) != NOWHERE
        open_ = first < last
        first, last = jnp.where(open_ & ~found, middle + 1, first), jnp.where(open_ & found, middle, last)
        return first, last, any_lane(first < last)

    def search() -> tuple[Array, Array]:
        first, last = jnp.where(searches, useful + 1, 0), jnp.where(searches, site.latest, 0)
        bounds = (first, last, any_lane(first < last))
        first, _, _ = lax.while_loop(lambda bounds: bounds[2], narrow, bounds)
        after = jnp.min(jnp.where(inside & (now >= first), now, FARTHEST))
        after = jnp.where(searches, after, useful)
        return after, gap(after)

    placed: tuple[Array, Array] = lax.cond(any_lane(searches), search, lambda: (useful, low))
    return placed


def _useful_start(tables: Tables, site: Site, times: Times, now: Array, inside: Array) -> Array:
    """The latest time of those ``inside`` from which idle HBM time suffices; else the latest that misses none of it."""
    demand = tables.copy_demand[site.copy] * ENOUGH
    supply = times.left[jnp.maximum(site.latest, 0)] - times.left
    enough = jnp.max(jnp.where(inside & (supply >= demand), now, NEVER))
    first = jnp.min(jnp.where(inside, now, FARTHEST))
    useful = inside & (now > first) & (times.idle - times.drained > NEGLIGIBLE)
    first_useful = jnp.min(jnp.where(useful, now, FARTHEST))
    all_of_it = jnp.max(jnp.where(inside & (now < first_useful), now, NEVER))
    return jnp.where(enough != NEVER, enough, all_of_it)
