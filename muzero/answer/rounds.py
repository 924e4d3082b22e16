"""A round: one episode in each lane of a batch, some decisions at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from muzero.environment import State
from muzero.memory_game import Task, memory_game
from muzero.networks import Network, Params
from muzero.search import SearchOptions, Variant, decide, search

DECISIONS = 16
"""Of the policy alone in one call of the compiled program; with search there is one. Between two calls the clock is
looked at and Ctrl-C heard."""


class Round:
    """The lanes' episodes so far.

    Attributes:
        states: [lanes].
    """

    states: State

    def __init__(
        self, network: Network, params: Params, task: Task, options: SearchOptions, heat: jax.Array, key: jax.Array
    ) -> None:
        """Begin an episode in each lane.

        Args:
            network: the agent's.
            params: its parameters.
            task: of the problem, on the device.
            options: of the search.
            heat: float32 [lanes], temperatures.
            key: of the choices.
        """
        self._play = partial(_player(network, options), params, task)
        self._heat, self._key = heat, key
        self.states = _begin(len(heat))(task)
        self._calls = 0

    @property
    def done(self) -> bool:
        """Whether all episodes are."""
        return bool(jnp.all(self.states.done))

    def go_on(self) -> None:
        """Make the next decisions in all lanes that are not done."""
        self.states = self._play(self.states, self._heat, jax.random.fold_in(self._key, self._calls))
        self._calls += 1


@cache
def _begin(lanes: int) -> Callable[[Task], State]:
    """Leaves the first forced moves to the player, for which one move is like the other: a step less to compile."""
    environment = memory_game(shared=True)

    def begin(task: Task) -> State:
        state = environment.start(task)
        states: State = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lanes, *leaf.shape)), state)
        return states

    return jax.jit(begin)


@cache
def _player(network: Network, options: SearchOptions) -> Callable[..., State]:
    """(params, task, states, temperatures, key) -> states some decisions later."""
    environment = memory_game(shared=True)
    decisions = DECISIONS if options.variant is Variant.POLICY_ALONE else 1

    def play(params: Params, task: Task, states: State, heat: jax.Array, key: jax.Array) -> State:
        def more(carry: tuple[State, jax.Array]) -> Any:
            return (carry[1] < decisions) & ~jnp.all(carry[0].done)

        def one(carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            states, count = carry
            own = jax.random.fold_in(key, count)
            found = search(network, params, environment, task, states, own, options, heat)
            return decide(environment, task, states, found.action)[0], count + 1

        return jax.lax.while_loop(more, one, (states, jnp.int32(0)))[0]

    return jax.jit(play, donate_argnums=2)
