"""Start, step and auto-reset of the game, equal move by move to ``mallocgame.game.Game``."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from mallocgame.game.rules import Move
from muzero.environment.arrays import Array
from muzero.environment.keeping import kept_with, moved_with
from muzero.environment.lanes import (
    Sliced,
    any_lane,
    element,
    lane_by_lane,
    most_of_lanes,
    of_lane,
    read_first,
    with_lane,
)
from muzero.environment.look_ahead import is_pinned, look_ahead
from muzero.environment.occupancy import insert, newest, prolong
from muzero.environment.queues import NewCopies, new_copy, no_copies
from muzero.environment.state import BARRED, READ, TOTAL, WRITTEN, State, Stays, empty
from muzero.environment.tables import (
    FARTHEST,
    FIRST_DEFINITION,
    LATER_DEFINITION,
    NEVER,
    SERVING,
    Site,
    Tables,
    site_of,
)
from muzero.environment.timeline import Times, column, timed_again

Tree = TypeVar("Tree")

PASS = -1
"""In place of a move: nothing is answered."""


def start(tables: Tables) -> State:
    """The state before the first site: everything in HBM."""
    state: State = _begun(tables, empty(tables))
    return state


def step(tables: Tables, state: State, move: Array) -> tuple[State, Array]:
    """Answer the next site; a finished state stays as it is.

    An illegal move gives a state without meaning: mask with ``State.legal``.

    Args:
        tables: of the problem.
        state: a position.
        move: int32[], a value of ``Move``, or ``PASS``, with which the state stays as it is.

    Returns:
        The new state, and the reward, float64[], in seconds saved.
    """
    new: State = _answered((tables, move.astype(jnp.int32)), state)
    return new, state.total - new.total


def auto_reset(tables: Tables, begun: State, state: State) -> State:
    """``begun``, the start of the same tables, where an episode is done; else the state."""
    reset: State = _replaced((state.done, begun), state)
    return reset


def auto_reset_to(tables: Tables, state: State, next_tables: Tables, next_begun: State) -> tuple[Tables, State]:
    """The next problem and its start where an episode is done; else the tables and state as they are."""
    reset: tuple[Tables, State] = _replaced((state.done, (next_tables, next_begun)), (tables, state))
    return reset


class _Position(NamedTuple):
    """Of the lane that plays.

    Attributes:
        state: without ``flow`` and ``calls``.
        flow: ``State.flow`` of all lanes, written in place.
        calls: ``State.calls`` of all lanes, written in place.
    """

    state: State
    flow: Array
    calls: Array


@lane_by_lane
def _replaced(given: tuple[Array, Any], values: Any, lane: Array) -> Any:
    condition, others = given
    asked = of_lane(condition, lane)

    def chosen(values: Any) -> Any:
        mine, values = read_first(of_lane(values, lane), values)
        return with_lane(values, lane, jax.tree.map(partial(jnp.where, asked), of_lane(others, lane), mine))

    return lax.cond(any_lane(asked), chosen, lambda values: values, values)


@lane_by_lane
def _begun(given: Tables, states: State, lane: Array) -> State:
    tables, position = _tables(given, lane), _position(states, lane)
    whole = Times(jnp.int32(0), tables.length - 1)
    return _put(states, lane, _settled(given, tables, position, lane, whole, no_copies()))


@lane_by_lane
def _answered(given: tuple[Tables, Array], states: State, lane: Array) -> State:
    tables, moves = given
    move = of_lane(moves, lane)
    plays = ~of_lane(states.done, lane) & (move != PASS)
    play = partial(_played, tables, lane, move, plays)
    answered: State = lax.cond(any_lane(plays), play, lambda states: states, states)
    return answered


def _played(given: Tables, lane: Array, move: Array, plays: Array, states: State) -> State:
    """Answer the next site where a lane ``plays``.

    Where that is the definition of a pinned group whose bytes are not free, this is a drop-backup: the group is barred,
    and the recorded moves are replayed, from the start to this site. What was recorded before the group's first site is
    as legal as it was, and gives the same, so this ends where a replay from there would.
    """
    tables, position = _tables(given, lane), _position(states, lane)
    target = position.state.at + plays

    def one(play: tuple[_Position, Array, Array]) -> tuple[_Position, Array, Array]:
        position, move, conflict = play
        back = partial(_taken_back, given, tables, lane, conflict)
        position = lax.cond(any_lane(conflict), back, lambda position: position, position)
        active = ~conflict & (position.state.at < target)
        position = _advanced(given, tables, position, lane, move, active, conflict)
        state = position.state
        recorded = state.moves[state.at].astype(jnp.int32)
        recorded = jnp.where(recorded == BARRED, Move.DROP.value, recorded)
        nearest = jnp.where(state.legal[Move.DROP.value], Move.DROP.value, jnp.argmax(state.legal))
        move = jnp.where(state.legal[recorded], recorded, nearest).astype(jnp.int32)
        conflict = (state.at < target) & state.ahead.conflict & (move == Move.NO_COPY.value)
        return position, move, conflict

    def goes_on(play: tuple[_Position, Array, Array]) -> Array:
        position, _, conflict = play
        going: Array = any_lane(conflict | (position.state.at < target))
        return going

    conflict = plays & position.state.ahead.conflict & (move == Move.NO_COPY.value)
    position, _, _ = lax.while_loop(goes_on, one, (position, move, conflict))
    return _put(states, lane, position)


def _tables(given: Tables, lane: Array) -> Tables:
    """Of a lane."""
    tables: Any = Sliced(given, lane)
    chosen: Tables = tables
    return chosen


def _position(states: State, lane: Array) -> _Position:
    """Of a lane."""
    small = states._replace(flow=None, calls=None)  # type: ignore[arg-type]
    return _Position(of_lane(small, lane), states.flow, states.calls)


def _put(states: State, lane: Array, position: _Position) -> State:
    """All lanes' states, with that of one."""
    state, small = read_first(position.state, states._replace(flow=None, calls=None))  # type: ignore[arg-type]
    written: State = with_lane(small, lane, state)._replace(flow=position.flow, calls=position.calls)
    return written


def _taken_back(given: Tables, tables: Tables, lane: Array, asked: Array, position: _Position) -> _Position:
    """The start again, with the group of the present site barred and the moves recorded so far; not yet timed."""
    state = position.state
    site = site_of(element(given.sites, lane, state.at))
    moves = state.moves.at[state.at].set(Move.NO_COPY.value).at[site.pin_site].set(BARRED)
    begun = empty(tables)
    large, others = read_first(of_lane(position[1:], lane), position[1:])
    large = jax.tree.map(partial(jnp.where, asked), (begun.flow, begun.calls), large)
    begun = begun._replace(moves=moves, flow=None, calls=None)  # type: ignore[arg-type]
    return _Position(jax.tree.map(partial(jnp.where, asked), begun, state), *with_lane(others, lane, large))


def _settled(
    given: Tables, tables: Tables, position: _Position, lane: Array, touched: Times, copies: NewCopies
) -> _Position:
    """What was touched timed again, and the move to come looked at."""
    flow, calls = timed_again(tables, given.steps, position.flow, position.calls, lane, touched, copies)
    state = position.state._replace(total=column(calls, lane, tables.entry)[TOTAL])
    return _Position(look_ahead(given, tables, flow, lane, state), flow, calls)


def _advanced(
    given: Tables, tables: Tables, position: _Position, lane: Array, move: Array, active: Array, begins: Array
) -> _Position:
    """Answer the next site where ``active``, and look ahead to the one after it.

    Args:
        given: of all lanes.
        tables: of the lane.
        position: of the lane.
        lane: int32[].
        move: int32[], legal.
        active: bool[].
        begins: bool[], the lane is at the start, and nothing of it is timed yet.
    """
    state = position.state
    site = site_of(element(given.sites, lane, state.at))
    fast = active & (move != Move.DROP.value)
    pinned = is_pinned(state.moves, site) & (site.kind != FIRST_DEFINITION)
    defines = fast & ((site.kind == FIRST_DEFINITION) | (site.kind == LATER_DEFINITION))
    serves = fast & (site.kind == SERVING) & ~pinned
    copies = serves & (move == Move.COPY.value)
    goes_on = serves & (move == Move.NO_COPY.value)
    own = defines | serves | (fast & pinned)
    flow, touched = _traffic(given, position.flow, lane, state, site, own, serves, goes_on)
    evicts = (defines | serves) & (site.eviction != NEVER)
    queued, new_copies = lax.cond(
        any_lane(copies | evicts),
        lambda: _queued(tables, state, site, copies, evicts),
        lambda: (state.queued, no_copies()),
    )
    stays, kept, moved = lax.cond(
        any_lane(defines | serves),
        lambda: _moved(tables, state, site, defines, serves, goes_on),
        lambda: (state.stays, state.kept, state.moved),
    )
    recorded = state.moves[state.at]
    written = jnp.where(recorded == BARRED, recorded, move.astype(jnp.int8))
    at = state.at + active
    state = state._replace(
        stays=stays,
        queued=queued,
        kept=kept,
        moved=moved,
        moves=state.moves.at[state.at].set(jnp.where(active, written, recorded)),
        at=at,
        done=at >= tables.site_count,
    )
    touched = Times(
        jnp.where(begins, 0, jnp.minimum(touched.first, jnp.min(new_copies.after))),
        jnp.where(begins, tables.length - 1, jnp.maximum(touched.last, jnp.max(new_copies.before))),
    )
    return _settled(given, tables, _Position(state, flow, position.calls), lane, touched, new_copies)


def _moved(
    tables: Tables, state: State, site: Site, defines: Array, serves: Array, goes_on: Array
) -> tuple[Stays, Array, Array]:
    """``State.stays``, ``kept`` and ``moved`` after a definition or a serving became fast."""
    stays = _reserved(tables, state, site, (defines | serves) & ~goes_on, goes_on, serves)
    kept = jnp.where(serves, kept_with(tables, state.kept, site), state.kept)
    moved = moved_with(tables, state.moved, site, defines | (site.carried > 0))
    return stays, kept, jnp.where(defines | serves, moved, state.moved)


def _reserved(tables: Tables, state: State, site: Site, reserves: Array, goes_on: Array, serves: Array) -> Stays:
    """The stays with those of the answer."""
    stays, low = state.stays, state.ahead.low
    stays = prolong(stays, site.owner, newest(stays, site.owner), site.end, goes_on)
    size = jnp.where(reserves, site.size, 0)
    stays = insert(tables, stays, low, size, (state.ahead.start, site.end), site.owner)
    count = jnp.where(serves, site.carried, 0)

    def carry(number: Array, stays: Stays) -> Stays:
        first, last, size = tables.carried[jnp.minimum(site.first_carried + number, tables.carried.shape[-2] - 1)]
        return insert(tables, stays, low, jnp.where(number < count, size, 0), (first, last), site.owner)

    carried: Stays = lax.fori_loop(0, most_of_lanes(count), carry, stays)
    return carried


def _traffic(
    given: Tables, flow: Array, lane: Array, state: State, site: Site, own: Array, serves: Array, goes_on: Array
) -> tuple[Array, Times]:
    """``State.flow`` of all lanes with the site's own traffic, and with all that its serving changes; the times."""
    times = flow.shape[-1]

    def add(flow: Array, touched: Times, slot: Array, bytes_: Array, counts: Array) -> tuple[Array, Times]:
        time = slot % times
        place = lane, jnp.where(slot < times, jnp.int32(READ), jnp.int32(WRITTEN)), time
        old = lax.dynamic_slice(flow, place, (1, 1, 1))
        flow = lax.dynamic_update_slice(flow, old + jnp.where(counts, bytes_, 0.0), place)
        first = jnp.where(counts, jnp.minimum(touched.first, time), touched.first)
        return flow, Times(first, jnp.where(counts, jnp.maximum(touched.last, time), touched.last))

    def one(number: Array, now: tuple[Array, Times]) -> tuple[Array, Times]:
        row = jnp.minimum(site.first_change + number, given.change_slot.shape[-1] - 1)
        counts = (number < count) & (goes_on | ~element(given.change_stays, lane, row))
        return add(*now, element(given.change_slot, lane, row), element(given.change_bytes, lane, row), counts)

    count = jnp.where(serves, site.changes, 0)
    nothing = Times(jnp.int32(FARTHEST), jnp.int32(NEVER))
    now = add(flow, nothing, jnp.maximum(site.slot, 0), element(given.site_bytes, lane, state.at), own)
    changed: tuple[Array, Times] = lax.fori_loop(0, most_of_lanes(count), one, now)
    return changed


def _queued(tables: Tables, state: State, site: Site, copies: Array, evicts: Array) -> tuple[Array, NewCopies]:
    """``State.queued`` with the prefetch of a serving and with an eviction, and what they are."""
    prefetch = new_copy(tables, state.queued, site.copy, state.ahead.start - 1)
    queued = _with_place(state.queued, site.copy, prefetch, copies)
    eviction = new_copy(tables, queued, site.eviction, tables.copy_after[site.eviction])
    queued = _with_place(queued, site.eviction, eviction, evicts)
    there = jnp.stack([copies, evicts])
    both = jax.tree.map(
        lambda one, other, none: jnp.where(there, jnp.stack([one, other]), none), prefetch, eviction, no_copies()
    )
    return queued, both


def _with_place(queued: Array, copy: Array, new: NewCopies, asked: Array) -> Array:
    copy = jnp.maximum(copy, 0)
    placed: Array = queued.at[copy].set(jnp.where(asked, new.place, queued[copy]))
    return placed
