"""Episodes of many problems at once: played with search, searched anew along recorded moves, or only walked again.

All lanes of a batch begin together; one that is done waits for the others. Where one move alone is legal it is made
without search, and is no decision. The batch is sharded over the devices of the mesh: every device plays its lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from muzero.networks import Network, Params
from muzero.search import Environment, SearchOptions, advance, decide, search
from muzero.training.replay import Array, Generation

AXIS = "devices"
"""Name of the mesh's one axis."""


class Decisions(NamedTuple):
    """M decisions of B lanes; of a lane that is done, zeros and move -1.

    Attributes:
        moves: int32 [M, B].
        rewards: float32 [M, B], of a decision and the forced moves after it.
        weights: float32 [M, B, 3].
        values: float32 [M, B].
    """

    moves: Array
    rewards: Array
    weights: Array
    values: Array


class Player(NamedTuple):
    """What plays: hashable, for one compiled program each.

    Attributes:
        environment: the game.
        network: its functions.
        options: of every search, but for the temperature.
        mesh: of the devices, with the axis ``AXIS``.
        moves: decisions in one call of the compiled program.
    """

    environment: Environment
    network: Network
    options: SearchOptions
    mesh: Mesh
    moves: int


class Played(NamedTuple):
    """B whole episodes.

    Attributes:
        decisions: numpy arrays [S, B, ...], S the most decisions of a lane.
        lengths: int32 [B], decisions of each lane.
        returns: float64 [B], all rewards, those of forced moves before the first decision included.
    """

    decisions: Decisions
    lengths: np.ndarray
    returns: np.ndarray


def play(
    player: Player, params: Params, tables: Any, key: jax.Array, heat: np.ndarray, follow: np.ndarray | None = None
) -> Played:
    """Play every lane to its end.

    Args:
        player: who plays.
        params: of the network.
        tables: pytree [B, ...], the problem of each lane; B is a multiple of the devices.
        key: of the searches' noise.
        heat: float32 [B], temperature of that noise in each lane; 0 plays greedily.
        follow: int [S, B], moves of recorded decisions to make, whatever the searches say; -1 where there are none. The
            searches are made all the same, to have their weights and values.
    """
    lanes = len(jax.tree.leaves(tables)[0])
    states, opening = _begin(player.environment, player.mesh)(tables)
    parts: list[Decisions] = []
    chunk = _chunk(player)
    while not bool(np.all(states.done)):
        start = len(parts) * player.moves
        recorded = np.full((player.moves, lanes), -1, np.int32)
        if follow is not None:
            known = follow[start : start + player.moves]
            recorded[: len(known)] = known
        keys = jax.random.split(jax.random.fold_in(key, len(parts)), player.mesh.size)
        states, decisions = chunk(params, tables, states, recorded, heat, keys)
        parts.append(jax.device_get(decisions))
    if parts:
        joined = jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
    else:
        joined = Decisions(*(np.zeros(shape, kind) for shape, kind in _shapes(lanes)))
    lengths = (joined.moves >= 0).sum(axis=0).astype(np.int32)
    decided = jax.tree.map(lambda array: array[: max(lengths, default=0)], joined)
    return Played(decided, lengths, np.asarray(opening, np.float64) + joined.rewards.sum(axis=0, dtype=np.float64))


def _shapes(lanes: int) -> list[tuple[tuple[int, ...], type]]:
    """Shapes and types of no decisions at all."""
    return [
        ((0, lanes), np.int32),
        ((0, lanes), np.float32),
        ((0, lanes, 3), np.float32),
        ((0, lanes), np.float32),
    ]


class Traced(NamedTuple):
    """Recorded episodes, walked again.

    Attributes:
        observations: pytree of float16 [S, B, ...], what a network sees at each decision.
        rewards: float32 [S, B], of a decision and the forced moves after it; 0 after the end.
        returns: float64 [B], all rewards, those before the first decision included.
    """

    observations: Any
    rewards: np.ndarray
    returns: np.ndarray


def trace(environment: Environment, mesh: Mesh, chunk: int, tables: Any, moves: np.ndarray) -> Traced:
    """Walk recorded episodes again, without a network.

    Args:
        environment: the game.
        mesh: of the devices.
        chunk: decisions in one call of the compiled program.
        tables: pytree [B, ...].
        moves: int [S, B], -1 after the end; S is at least 1.
    """
    states, opening = _begin(environment, mesh)(tables)
    parts = []
    for start in range(0, len(moves), chunk):
        part = np.full((chunk, moves.shape[1]), -1, np.int32)
        known = moves[start : start + chunk]
        part[: len(known)] = known
        states, seen = _walk(environment, mesh)(tables, states, part)
        parts.append(jax.device_get(seen))
    observations, rewards = jax.tree.map(lambda *arrays: np.concatenate(arrays)[: len(moves)], *parts)
    rewards = np.where(moves >= 0, rewards, np.float32(0))
    returns = np.asarray(opening, np.float64) + rewards.sum(axis=0, dtype=np.float64)
    return Traced(observations, rewards, returns)


def generation_of(played: Played, problems: np.ndarray, observations: Any) -> Generation:
    """What the replay takes in; priorities are to be set by it."""
    found = played.decisions
    return Generation(
        problems=problems.astype(np.int32),
        lengths=played.lengths,
        moves=found.moves.astype(np.int8),
        rewards=found.rewards.astype(np.float32),
        weights=found.weights,
        values=found.values,
        priorities=np.zeros(found.moves.shape, np.float64),
        observations=observations,
    )


def _sharded(mesh: Mesh, function: Callable[..., Any], inputs: tuple[Any, ...], outputs: Any) -> Callable[..., Any]:
    """The jitted function, run by each device on its part of the lanes."""
    return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=inputs, out_specs=outputs, check_vma=False))


LANES = PartitionSpec(AXIS)  # type: ignore[no-untyped-call]
LATER_LANES = PartitionSpec(None, AXIS)  # type: ignore[no-untyped-call]
ALL = PartitionSpec()  # type: ignore[no-untyped-call]
"""How arrays are sharded: by their first axis, by their second, not at all."""


@cache
def _begin(environment: Environment, mesh: Mesh) -> Callable[..., Any]:
    """tables [B] -> (states [B] at the first decision of each, rewards [B] before it)."""

    def begin(tables: Any) -> tuple[Any, jax.Array]:
        return advance(environment, tables, jax.vmap(environment.start)(tables))

    return _sharded(mesh, begin, (LANES,), (LANES, LANES))


@cache
def _chunk(player: Player) -> Callable[..., Any]:
    """(params, tables, states, recorded moves [M, B], temperatures [B], keys [devices]) -> (states, decisions)."""
    environment, network, options = player.environment, player.network, player.options

    def one(params: Params, tables: Any, heat: jax.Array, carried: tuple[Any, jax.Array], recorded: jax.Array) -> Any:
        states, key = carried
        key, own = jax.random.split(key)
        found = search(network, params, environment, tables, states, own, options, heat)
        moves = jnp.where(recorded >= 0, recorded, found.action).astype(jnp.int32)
        after, rewards = decide(environment, tables, states, moves)
        active = ~states.done
        decisions = Decisions(
            moves=jnp.where(active, moves, -1),
            rewards=jnp.where(active, rewards, 0.0),
            weights=jnp.where(active[:, None], found.weights, 0.0),
            values=jnp.where(active, found.value, 0.0),
        )
        return (after, key), decisions

    def run(
        params: Params, tables: Any, states: Any, recorded: jax.Array, heat: jax.Array, keys: jax.Array
    ) -> tuple[Any, Decisions]:
        (after, _), decisions = jax.lax.scan(partial(one, params, tables, heat), (states, keys[0]), recorded)
        return after, decisions

    return _sharded(player.mesh, run, (ALL, LANES, LANES, LATER_LANES, LANES, LANES), (LANES, LATER_LANES))


@cache
def _walk(environment: Environment, mesh: Mesh) -> Callable[..., Any]:
    """(tables, states, moves [M, B]) -> (states, (observations float16 [M, B, ...], rewards [M, B]))."""

    def one(tables: Any, states: Any, moves: jax.Array) -> tuple[Any, Any]:
        seen = jax.tree.map(lambda array: array.astype(jnp.float16), environment.observe(tables, states))
        after, rewards = decide(environment, tables, states, jnp.maximum(moves, 0))
        return after, (seen, rewards)

    def run(tables: Any, states: Any, moves: jax.Array) -> tuple[Any, Any]:
        return jax.lax.scan(partial(one, tables), states, moves)

    return _sharded(mesh, run, (LANES, LANES, LATER_LANES), (LANES, LATER_LANES))
