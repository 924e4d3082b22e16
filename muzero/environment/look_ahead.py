"""What may be answered at the next site, and where the stay would be."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax

from mallocgame.game.rules import Move
from muzero.environment.arrays import Array
from muzero.environment.keeping import forbids_copy, forbids_pin
from muzero.environment.lanes import any_lane, element, most_of_lanes
from muzero.environment.occupancy import NOWHERE, Asked, Newest, best_fit, fits_at, is_free, newest
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
    site_of,
)
from muzero.environment.timeline import useful_start


def answered_fast(moves: Array, site: Array) -> Array:
    """Whether the site with this number is answered COPY or NO_COPY, bool[]; False for ``NEVER``."""
    move = moves[jnp.maximum(site, 0)]
    fast: Array = (site != NEVER) & ((move == Move.COPY.value) | (move == Move.NO_COPY.value))
    return fast


def is_pinned(moves: Array, site: Site) -> Array:
    """Whether the group of a site is pinned, bool[]."""
    pinned: Array = (site.pin_site != NEVER) & (moves[jnp.maximum(site.pin_site, 0)] == Move.NO_COPY.value)
    return pinned


def look_ahead(given: Tables, tables: Tables, flow: Array, lane: Array, state: State) -> State:
    """The state with ``legal`` and ``ahead`` of its next site.

    Args:
        given: of all lanes, or of one for all.
        tables: of the lane.
        flow: float64[lanes, 13, times], ``State.flow`` of all lanes.
        lane: int32[].
        state: of the lane.
    """
    site, stays = site_of(element(given.sites, lane, state.at)), state.stays
    pinned = is_pinned(state.moves, site)
    begins = (site.kind == SERVING) & ~pinned
    pins = site.kind == FIRST_DEFINITION
    goes_on = begins & answered_fast(state.moves, site.previous_site)
    copies = begins & ~goes_on
    defined = (site.kind == LATER_DEFINITION) & pinned
    stay = lax.cond(
        any_lane(begins | defined),
        lambda: newest(stays, site.owner),
        lambda: Newest(jnp.int32(NEVER), jnp.int32(NEVER)),
    )
    earliest = jnp.maximum(site.earliest, stay.end)
    forbidden = lax.cond(
        any_lane(begins | pins),
        lambda: (forbids_copy(tables, state.kept, state.moved, site), forbids_pin(tables, state.kept, site)),
        lambda: (begins, pins),
    )
    allowed = begins & ~forbidden[0]
    goes_on_free = lax.cond(
        any_lane(goes_on), lambda: _goes_on_free(tables, stays, site, stay.end, stay.low, goes_on), lambda: goes_on
    )
    may_go_on = goes_on & allowed & (site.same_computation == 1) & goes_on_free
    wanted = copies & allowed & (site.latest >= earliest)
    barred = state.moves[state.at] == BARRED
    may_pin = pins & ~barred & ~forbidden[1] & ~state.done
    after, low = lax.cond(
        any_lane(wanted | may_pin),
        lambda: _place(
            tables, stays, site, useful_start(tables, given.steps, flow, lane, site, earliest, wanted), earliest, wanted
        ),
        lambda: (jnp.int32(NEVER), jnp.int32(NOWHERE)),
    )
    found = low != NOWHERE
    may_copy = wanted & found
    may_pin &= found
    reads_fast = (site.kind == OTHER_USE) & answered_fast(state.moves, site.serving_site)
    forced = (pinned & ~pins) | (reads_fast & ~pinned)
    legal = jnp.stack([~forced, may_copy, forced | may_go_on | may_pin]) & ~state.done
    taken = lax.cond(
        any_lane(defined),
        lambda: ~is_free(tables, stays, (site.start, site.end), stay.low, site.size, site.owner),
        lambda: defined,
    )
    ahead = Ahead(
        start=jnp.where(copies, after + 1, site.start),
        low=jnp.where(copies | pins, low, stay.low),
        conflict=defined & taken & ~state.done,
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
    tables: Tables, stays: Stays, site: Site, useful: Array, earliest: Array, copies: Array
) -> tuple[Array, Array]:
    """Start and offset of a copy, or the offset of a pin.

    Those of a known plan, where they are free; else the start is the useful one, or the nearest later one for which a
    gap exists.

    Returns:
        The time after whose instruction the copy starts, and the offset; ``NOWHERE`` if there is none.
    """

    def asked(after: Array) -> Asked:
        first, last = jnp.where(copies, after + 1, FARTHEST), jnp.where(copies, site.end, NEVER)
        return Asked(site.span_starts, site.span_ends, first, last, site.fit, site.owner)

    def gap(after: Array) -> Array:
        return best_fit(tables, stays, asked(after))

    def narrow(bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        first, last = bounds
        middle = (first + last) // 2
        found = gap(middle) != NOWHERE
        open_ = first < last
        return jnp.where(open_ & ~found, middle + 1, first), jnp.where(open_ & found, middle, last)

    def search() -> tuple[Array, Array]:
        searches = copies & (low == NOWHERE) & (gap(site.latest) != NOWHERE)
        bounds = jnp.where(searches, start + 1, 0), jnp.where(searches, site.latest, 0)
        first, _ = lax.while_loop(lambda bounds: any_lane(bounds[0] < bounds[1]), narrow, bounds)
        now = jnp.arange(tables.computation.shape[-1], dtype=jnp.int32)
        inside = (tables.computation == tables.copy_computation[site.copy]) & (now >= earliest) & (now <= site.latest)
        after = jnp.min(jnp.where(inside & (now >= first), now, FARTHEST))
        return jnp.where(searches, after, start), jnp.where(searches, gap(after), low)

    in_time = ~copies | ((earliest <= site.place_after) & (site.place_after <= site.latest))
    known = (site.place_low != NEVER) & in_time & fits_at(tables, stays, asked(site.place_after), site.place_low)
    low = jnp.where(known, site.place_low, gap(useful))
    start = jnp.where(known, site.place_after, useful)
    placed: tuple[Array, Array] = lax.cond(any_lane(copies & (low == NOWHERE)), search, lambda: (start, low))
    return placed
