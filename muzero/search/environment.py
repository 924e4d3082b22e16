"""What the agent needs of a game: functions on a batch of positions. The search knows no more of it than this."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax

MOVES = 3
"""Answers to a site, numbered as ``mallocgame.game.Move``: DROP, COPY, NO_COPY."""

PASS = -1
"""In place of a move: the position stays as it is."""

Tables = Any
"""Pytree of arrays: what does not change in an episode."""

State = Any
"""Pytree of arrays with ``legal`` (bool [MOVES]) and ``done`` (bool) among its fields; ``legal`` is all False when done
and only then."""

Observation = Any
"""Pytree of float32 arrays, what a network sees."""


class Environment(NamedTuple):
    """A game on B positions at once. Hashable, so that it can be a static argument of a jitted function.

    Attributes:
        start: tables of one problem -> the state before its first move; not batched.
        step: (tables, states [B], moves int32 [B]) -> (states [B], rewards float [B]). A reward is a share of what the
            problem has to give, so that returns are about in [0, 1]. A finished state stays as it is with reward 0; so
            does one where the move is ``PASS``.
        observe: (tables, states [B]) -> observations [B].
    """

    start: Callable[[Tables], State]
    step: Callable[[Tables, State, jax.Array], tuple[State, jax.Array]]
    observe: Callable[[Tables, State], Observation]


@cache
def batched(
    start: Callable[[Tables], State],
    step: Callable[[Tables, State, jax.Array], tuple[State, jax.Array]],
    observe: Callable[[Tables, State], Observation],
    *,
    shared: bool,
) -> Environment:
    """The environment of a game's functions on one position.

    Args:
        start: see ``Environment``.
        step: of one state and move.
        observe: of one state.
        shared: whether all positions are of one problem, and ``tables`` has no batch axis; else it has B in front.

    Returns:
        The same object for the same arguments, so that what is jitted with it compiles once.
    """
    axis = None if shared else 0
    return Environment(start, jax.vmap(step, in_axes=(axis, 0, 0)), jax.vmap(observe, in_axes=(axis, 0)))
