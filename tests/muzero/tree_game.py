"""A game whose optimum is known: paths through a full tree with random rewards and random legal moves."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from muzero.search import MOVES, Environment, batched
from muzero.search.environment import PASS


class Tree(NamedTuple):
    """Tables. Node n has the children MOVES n + 1 .. MOVES n + MOVES; the last level has no legal moves.

    Attributes:
        rewards: float32 [nodes, MOVES].
        legal: bool [nodes, MOVES].
    """

    rewards: npt.NDArray[np.float32]
    legal: npt.NDArray[np.bool_]


class TreeState(NamedTuple):
    """A position."""

    node: jax.Array
    legal: jax.Array
    done: jax.Array


class Seen(NamedTuple):
    """An observation, in the shapes that networks take."""

    board: jax.Array
    uses: jax.Array
    supply: jax.Array
    scalars: jax.Array


def nodes(depth: int) -> int:
    """Nodes of a tree with so many moves from root to end."""
    return int((MOVES ** (depth + 1) - 1) // (MOVES - 1))


def random_tree(seed: int, depth: int, legal_share: float = 0.7) -> Tree:
    """Rewards between -0.1 and 0.3; at least one legal move at every inner node."""
    rng = np.random.default_rng(seed)
    inner, total = nodes(depth - 1), nodes(depth)
    legal = np.zeros((total, MOVES), bool)
    legal[:inner] = rng.random((inner, MOVES)) < legal_share
    legal[np.arange(inner), rng.integers(MOVES, size=inner)] = True
    return Tree(rng.uniform(-0.1, 0.3, (total, MOVES)).astype(np.float32), legal)


def values(tree: Tree) -> npt.NDArray[np.float64]:
    """The best return from each node, by brute force. float64 [nodes]."""
    found = np.zeros(len(tree.legal))
    for node in reversed(range(len(tree.legal))):
        if tree.legal[node].any():
            children = found[MOVES * node + 1 : MOVES * node + 1 + MOVES]
            found[node] = (tree.rewards[node] + children)[tree.legal[node]].max()
    return found


def start(tree: Tree) -> TreeState:
    """At the root."""
    return _at(tree, jnp.int32(0))


def step(tree: Tree, state: TreeState, move: jax.Array) -> tuple[TreeState, jax.Array]:
    """To a child; an illegal move gives a large reward, so that whoever takes one is found out."""
    legal = jnp.asarray(tree.legal)[state.node, move]
    reward = jnp.where(legal, jnp.asarray(tree.rewards)[state.node, move], 100.0)
    stays = state.done | (move == PASS)
    moved = _at(tree, jnp.where(stays, state.node, MOVES * state.node + 1 + move).astype(jnp.int32))
    return moved, jnp.where(stays, 0.0, reward)


def observe(tree: Tree, state: TreeState) -> Seen:
    """Zeros but for the legal moves."""
    legal = state.legal.astype(jnp.float32)
    return Seen(jnp.zeros((8, 8, 2), jnp.float32), jnp.ones((4, 3), jnp.float32), jnp.zeros((8, 1), jnp.float32), legal)


def _at(tree: Tree, node: jax.Array) -> TreeState:
    legal = jnp.asarray(tree.legal)[node]
    return TreeState(node, legal, ~jnp.any(legal))


def tree_game(*, shared: bool = True) -> Environment:
    """The game as the search wants it."""
    return batched(start, step, observe, shared=shared)


def repeated(state: TreeState, batch: int) -> TreeState:
    """The same state ``batch`` times."""
    return TreeState(*(jnp.broadcast_to(leaf, (batch, *leaf.shape)) for leaf in state))
