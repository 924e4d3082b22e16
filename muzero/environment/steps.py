"""Start, step and auto-reset of the game, equal move by move to ``mallocgame.game.Game``."""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from mallocgame.game.rules import Move
from muzero.environment.arrays import Array
from muzero.environment.keeping import kept_with, moved_with
from muzero.environment.lanes import any_lane, most_of_lanes
from muzero.environment.look_ahead import is_pinned, look_ahead
from muzero.environment.occupancy import insert, newest, prolong
from muzero.environment.queues import enqueue
from muzero.environment.state import BARRED, Queue, State, Stays, empty
from muzero.environment.tables import FIRST_DEFINITION, LATER_DEFINITION, NEVER, SERVING, Site, Tables, site_at
from muzero.environment.timeline import Times, simulate

Tree = TypeVar("Tree")


def start(tables: Tables) -> State:
    """The state before the first site: everything in HBM."""
    return _advance(tables, empty(tables), jnp.int32(0), jnp.array(False))


def step(tables: Tables, state: State, move: Array) -> tuple[State, Array]:
    """Answer the next site; a finished state stays as it is.

    An illegal move gives a state without meaning: mask with ``State.legal``.

    Args:
        tables: of the problem.
        state: a position.
        move: int32[], a value of ``Move``.

    Returns:
        The new state, and the reward, float64[], in seconds saved.
    """
    conflict = ~state.done & state.ahead.conflict & (move == Move.NO_COPY.value)
    new = _advance(tables, state, move.astype(jnp.int32), ~state.done & ~conflict)
    new = _backed_up(tables, new, conflict)
    return new, state.total - new.total


def auto_reset(tables: Tables, begun: State, state: State) -> State:
    """``begun``, the start of the same tables, where an episode is done; else the state."""
    return _select(state.done, begun, state)


def auto_reset_to(tables: Tables, state: State, next_tables: Tables, next_begun: State) -> tuple[Tables, State]:
    """The next problem and its start where an episode is done; else the tables and state as they are."""
    return _select(state.done, (next_tables, next_begun), (tables, state))


def _select(condition: Array, one: Tree, other: Tree) -> Tree:
    chosen: Tree = jax.tree.map(lambda first, second: jnp.where(condition, first, second), one, other)
    return chosen


@custom_vmap  # type: ignore[untyped-decorator,unused-ignore]
def _backed_up(tables: Tables, state: State, conflict: Array) -> State:
    """The state after the drop-backup if there is a conflict, else the state as it is."""
    after: State = lax.cond(conflict, lambda: _replay(tables, state), lambda: state)
    return after


@_backed_up.def_vmap  # type: ignore[untyped-decorator,unused-ignore]
def _backed_up_lanes(
    axis_size: int, in_batched: Any, tables: Tables, state: State, conflict: Array
) -> tuple[State, State]:
    """One lane with a conflict after the other: they are few, and a replay is long."""
    tables_batched, state_batched, conflict_batched = in_batched

    def broadcast(value: Array, batched: bool) -> Array:
        return value if batched else jnp.broadcast_to(value, (axis_size, *value.shape))

    def replay_one(now: tuple[State, Array]) -> tuple[State, Array]:
        states, pending = now
        lane = jnp.argmax(pending)
        alone = jax.tree.map(lambda value, batched: value[lane] if batched else value, tables, tables_batched)
        after = _replay(alone, jax.tree.map(lambda value: value[lane], states))
        states = jax.tree.map(lambda values, value: values.at[lane].set(value), states, after)
        return states, pending.at[lane].set(False)

    now = jax.tree.map(broadcast, state, state_batched), broadcast(conflict, conflict_batched)
    states, _ = lax.while_loop(lambda now: jnp.any(now[1]), replay_one, now)
    return states, jax.tree.map(lambda _: True, states)


def _replay(tables: Tables, state: State) -> State:
    """Drop-backup: bar the group of the present site and replay the recorded moves, from the start to this site.

    What was recorded before the group's first site is as legal as it was, and gives the same, so this ends where a
    replay from there would.
    """
    target = state.at + 1

    def one(loop: tuple[State, Array, Array]) -> tuple[State, Array, Array]:
        state, move, conflict = loop
        state = lax.cond(conflict, lambda state: _take_back(tables, state), lambda state: state, state)
        after = site_at(tables, state.at + ~conflict)
        state = _advance(tables, state, move, ~conflict, (after.kind == SERVING) | (state.at + 1 == target))
        recorded = state.moves[state.at].astype(jnp.int32)
        recorded = jnp.where(recorded == BARRED, Move.DROP.value, recorded)
        nearest = jnp.where(state.legal[Move.DROP.value], Move.DROP.value, jnp.argmax(state.legal))
        move = jnp.where(state.legal[recorded], recorded, nearest).astype(jnp.int32)
        conflict = (state.at < target) & state.ahead.conflict & (move == Move.NO_COPY.value)
        return state, move, conflict

    def goes_on(loop: tuple[State, Array, Array]) -> Array:
        state, _, conflict = loop
        return conflict | (state.at < target)

    state, _, _ = lax.while_loop(goes_on, one, (state, jnp.int32(Move.NO_COPY.value), jnp.array(True)))
    return state


def _take_back(tables: Tables, state: State) -> State:
    """The start again, with the group of the present site barred and the moves recorded so far."""
    site = site_at(tables, state.at)
    moves = state.moves.at[state.at].set(Move.NO_COPY.value).at[site.pin_site].set(BARRED)
    return empty(tables)._replace(moves=moves)


def _advance(tables: Tables, state: State, move: Array, active: Array, timed: Array | None = None) -> State:
    """Answer the next site where ``active``, and look ahead to the one after it.

    Args:
        tables: of the problem.
        state: a position.
        move: int32[], legal.
        active: bool[].
        timed: bool[], whether anybody needs the times: they are left out where it is False.
    """
    site = site_at(tables, state.at)
    fast = active & (move != Move.DROP.value)
    pinned = is_pinned(state.moves, site) & (site.kind != FIRST_DEFINITION)
    defines = fast & ((site.kind == FIRST_DEFINITION) | (site.kind == LATER_DEFINITION))
    serves = fast & (site.kind == SERVING) & ~pinned
    copies = serves & (move == Move.COPY.value)
    goes_on = serves & (move == Move.NO_COPY.value)
    stays = prolong(state.stays, site.owner, newest(state.stays, site.owner), site.end, goes_on)
    reserved = jnp.where(defines | copies, site.size, 0)
    stays = insert(tables, stays, state.ahead.low, reserved, (state.ahead.start, site.end), site.owner)
    stays = _carry(tables, stays, site, state.ahead.low, serves)
    state = state._replace(
        stays=stays, fast=_traffic(tables, state, site, defines | serves | (fast & pinned), serves, goes_on)
    )
    state = _copy(tables, state, site, copies, (defines | serves) & (site.eviction != NEVER))
    recorded = state.moves[state.at]
    written = jnp.where(recorded == BARRED, recorded, move.astype(jnp.int8))
    at = state.at + active
    state = state._replace(
        kept=jnp.where(serves, kept_with(tables, state.kept, site), state.kept),
        moved=jnp.where(
            defines | serves, moved_with(tables, state.moved, site, defines | (site.carried > 0)), state.moved
        ),
        moves=state.moves.at[state.at].set(jnp.where(active, written, recorded)),
        at=at,
        done=at >= tables.site_count,
    )
    times = _times(tables, state) if timed is None else _times_if(timed, tables, state)
    state = state._replace(
        total=times.total, idle=times.idle.astype(jnp.float32), drained=times.drained.astype(jnp.float32)
    )
    return look_ahead(tables, state, times)


def _times(tables: Tables, state: State) -> Times:
    return simulate(tables, state.fast, state.prefetches, state.evictions)


def _times_if(timed: Array, tables: Tables, state: State) -> Times:
    zeros = jnp.zeros_like(tables.compute)
    none = Times(jnp.float64(0.0), zeros, zeros, zeros)
    times: Times = lax.cond(timed, lambda: _times(tables, state), lambda: none)
    return times


def _carry(tables: Tables, stays: Stays, site: Site, low: Array, serves: Array) -> Stays:
    """Reserve what a serving carries."""
    count = jnp.where(serves, site.carried, 0)

    def one(number: Array, stays: Stays) -> Stays:
        first, last, size = tables.carried[jnp.minimum(site.first_carried + number, tables.carried.shape[-2] - 1)]
        return insert(tables, stays, low, jnp.where(number < count, size, 0), (first, last), site.owner)

    carried: Stays = lax.fori_loop(0, most_of_lanes(count), one, stays)
    return carried


def _traffic(tables: Tables, state: State, site: Site, own: Array, serves: Array, goes_on: Array) -> Array:
    """``State.fast`` with the site's own traffic, and with all that its serving changes."""
    fast = state.fast.at[site.slot].add(jnp.where(own, tables.site_bytes[state.at], 0.0))
    count = jnp.where(serves, site.changes, 0)

    def one(number: Array, fast: Array) -> Array:
        row = jnp.minimum(site.first_change + number, tables.change_slot.shape[-1] - 1)
        counts = (number < count) & (goes_on | ~tables.change_stays[row])
        return fast.at[tables.change_slot[row]].add(jnp.where(counts, tables.change_bytes[row], 0.0))

    changed: Array = lax.fori_loop(0, most_of_lanes(count), one, fast)
    return changed


def _copy(tables: Tables, state: State, site: Site, copies: Array, evicts: Array) -> State:
    """Queue the prefetch of a serving, and an eviction."""
    after = state.ahead.start - 1
    prefetches, queued = enqueue(tables, state.prefetches, state.queued, site.copy, after, copies)

    def evict(queued: Array) -> tuple[Queue, Array]:
        return enqueue(tables, state.evictions, queued, site.eviction, tables.copy_after[site.eviction], evicts)

    evictions, queued = lax.cond(any_lane(evicts), evict, lambda queued: (state.evictions, queued), queued)
    return state._replace(prefetches=prefetches, evictions=evictions, queued=queued)
