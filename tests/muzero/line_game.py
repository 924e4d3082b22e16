"""A game whose optimum is known and which can be learned: buy and sell along a line.

At a site the player may pass (0), buy (1) for the site's price if it holds nothing, or sell (2) for the site's price if
it holds something. At some sites only passing is allowed. All that matters is seen: the prices ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from muzero.networks import Network, NetworkConfig, Params, shape_of
from muzero.search import Environment, batched
from muzero.search.environment import PASS
from muzero.training.puzzles import Puzzle

LONGEST = 16
AHEAD = 4


class Line(NamedTuple):
    """Tables: prices float32 [LONGEST + AHEAD], open bool [LONGEST + AHEAD], count int32 []."""

    prices: npt.NDArray[np.float32]
    open: npt.NDArray[np.bool_]
    count: npt.NDArray[np.int32]


class LineState(NamedTuple):
    """A position."""

    at: jax.Array
    holds: jax.Array
    legal: jax.Array
    done: jax.Array


class Seen(NamedTuple):
    """An observation, in the shapes that networks take."""

    board: jax.Array
    uses: jax.Array
    supply: jax.Array
    scalars: jax.Array


def line(seed: int) -> Line:
    """Random prices up to 0.1, most sites open."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(LONGEST // 2, LONGEST + 1))
    real = np.arange(LONGEST + AHEAD) < count
    prices = np.where(real, rng.integers(1, 11, LONGEST + AHEAD) / 100, 0.0).astype(np.float32)
    return Line(prices, real & (rng.random(LONGEST + AHEAD) < 0.8), np.array(count, np.int32))


def optimum(tables: Line) -> float:
    """The best return, by dynamic programming."""
    free, held = 0.0, -np.inf
    for price, is_open in zip(tables.prices.astype(np.float64), tables.open, strict=True):
        if is_open:
            free, held = max(free, held + price), max(held, free - price)
    return float(free)


def best_moves(tables: Line) -> list[int]:
    """The decisions of a best episode: the moves of ``optimum``."""
    sites = [(float(price), bool(is_open)) for price, is_open in zip(tables.prices, tables.open, strict=True)]
    to_come: list[tuple[float, float]] = [(0.0, 0.0)]
    for price, is_open in reversed(sites):
        free, held = to_come[-1]
        to_come.append((max(free, held - price), max(held, free + price)) if is_open else (free, held))
    moves, holds = [], False
    for (price, is_open), (free, held) in zip(sites, to_come[-2::-1], strict=True):
        if is_open:
            trades = price + free > held if holds else held - price > free
            moves.append((2 if holds else 1) if trades else 0)
            holds ^= trades
    return moves


def replayed(tables: Line, moves: list[int]) -> float:
    """The return of the decisions of an episode, in plain Python; every one of them has to be legal."""
    left, held, total = iter(moves), False, 0.0
    for at in range(int(tables.count)):
        move = next(left) if tables.open[at] else 0
        assert move in (0, 2 if held else 1)
        total += {0: 0.0, 1: -1.0, 2: 1.0}[move] * float(tables.prices[at])
        held = move == 1 or (held and move == 0)
    assert next(left, None) is None
    return total


def start(tables: Line) -> LineState:
    """Before the first site."""
    return _at(tables, jnp.int32(0), jnp.bool_(False))


def step(tables: Line, state: LineState, move: jax.Array) -> tuple[LineState, jax.Array]:
    """Answer the site."""
    price = jnp.asarray(tables.prices)[state.at]
    reward = jnp.where(move == 1, -price, jnp.where(move == 2, price, 0.0))
    moved = _at(tables, state.at + 1, (move == 1) | (state.holds & (move != 2)))
    stays = state.done | (move == PASS)
    after = jax.tree.map(lambda old, new: jnp.where(stays, old, new), state, moved)
    return after, jnp.where(state.done, 0.0, reward)


def observe(tables: Line, state: LineState) -> Seen:
    """The prices ahead."""
    ahead = state.at + jnp.arange(AHEAD)
    prices, is_open = jnp.asarray(tables.prices)[ahead] * 10, jnp.asarray(tables.open)[ahead]
    uses = jnp.stack([prices, is_open.astype(jnp.float32), jnp.ones(AHEAD)], axis=-1).astype(jnp.float32)
    scalars = jnp.concatenate([state.holds.astype(jnp.float32)[None], prices, state.legal]).astype(jnp.float32)
    return Seen(jnp.zeros((4, 4, 1), jnp.float32), uses, jnp.zeros((4, 1), jnp.float32), scalars)


def _at(tables: Line, at: jax.Array, holds: jax.Array) -> LineState:
    done = at >= tables.count
    is_open = jnp.asarray(tables.open)[at]
    legal = ~done & jnp.stack([jnp.bool_(True), is_open & ~holds, is_open & holds])
    return LineState(at, holds, legal, done)


LINE_GAME: Environment = batched(start, step, observe, shared=False)


def puzzles(count: int, first: int = 0) -> list[Puzzle]:
    """Lines as a job takes them; 1 s in HBM, and greedy finds half of what can be saved."""
    found = []
    for seed in range(first, first + count):
        tables = line(seed)
        best = optimum(tables)
        found.append(Puzzle(f"line {seed}", "line", tables, int(tables.count), 1.0, 1.0, 1 - best / 2, 1 - best))
    return found


@dataclass(frozen=True)
class SmallNetwork(Network):
    """One hidden layer on scalars and uses: quick to compile."""

    def init(self, key: jax.Array) -> Params:
        width = self.config.latent
        shapes = {
            "in": (self.shape.scalars[0] + self.shape.uses[0] * self.shape.uses[1], width),
            "next": (width + self.moves, width),
            "policy": (width, self.moves),
            "value": (width, self.config.bins),
            "reward": (width, self.config.bins),
        }
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
        drawn = {name: jnp.asarray(0.3 * rng.standard_normal(shape), jnp.float32) for name, shape in shapes.items()}
        return {name: array if name in ("in", "next") else jnp.zeros_like(array) for name, array in drawn.items()}

    def represent(self, params: Params, observation: Any) -> jax.Array:
        flat = observation.uses.reshape(len(observation.uses), -1)
        return jnp.tanh(jnp.concatenate([observation.scalars, flat], axis=-1) @ params["in"])

    def predict(self, params: Params, latent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return latent @ params["policy"], latent @ params["value"]

    def dynamics(self, params: Params, latent: jax.Array, move: jax.Array) -> tuple[jax.Array, jax.Array]:
        chosen = jax.nn.one_hot(move, self.moves, dtype=jnp.float32)
        after = jnp.tanh(jnp.concatenate([latent, chosen], axis=-1) @ params["next"])
        return after, after @ params["reward"]


SMALL = SmallNetwork(
    NetworkConfig(channels=1, tower_blocks=1, width=4, heads=1, layers=1, latent=32, latent_blocks=1, bins=41),
    shape_of(observe(line(0), start(line(0)))),
)
