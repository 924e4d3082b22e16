"""A round: one episode in each lane of a batch, some decisions at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from time import monotonic
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from muzero.environment import State
from muzero.memory_game import Task, memory_game
from muzero.networks import Network, Params
from muzero.search import MOVES, SearchOptions, Variant, decide, search
from muzero.training.self_play import Decisions

DECISIONS = 16
"""Of the policy alone in one call of the compiled program; with search there is one. Between two calls the clock is
looked at and Ctrl-C heard."""


class Round:
    """The lanes' episodes so far.

    Attributes:
        task: what is played.
        states: [lanes].
        decisions: numpy arrays of each call [decisions of a call, lanes, ...]; moves are -1 where there was none.
    """

    states: State
    decisions: list[Decisions]

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
        self.task = task
        self._play = partial(_player(network, options), params, task)
        self._heat, self._key = heat, key
        self.states = beginning(len(heat))(task)
        self._calls = 0
        self.decisions = []

    @property
    def done(self) -> bool:
        """Whether all episodes are."""
        return bool(jnp.all(self.states.done))

    @property
    def lanes(self) -> list[int]:
        """Whose episodes count: all."""
        return list(range(len(self.states.done)))

    def compile(self) -> float:
        """Compile what ``go_on`` runs, if it is not yet; the seconds that this took."""
        begun = monotonic()
        copied = jax.tree.map(jnp.copy, self.states)  # what is played is given away
        over = copied._replace(done=jnp.ones_like(copied.done))
        jax.device_get(self._play(over, self._heat, self._key))
        return monotonic() - begun

    def go_on(self) -> None:
        """Make the next decisions in all lanes that are not done."""
        self.states, made = self._play(self.states, self._heat, jax.random.fold_in(self._key, self._calls))
        self.decisions.append(jax.device_get(made))
        self._calls += 1

    def played(self) -> tuple[Decisions, np.ndarray]:
        """All decisions so far [S, lanes, ...], and how many each lane has, int32 [lanes]."""
        joined = jax.tree.map(lambda *arrays: np.concatenate(arrays), *self.decisions)
        made = np.any(joined.moves >= 0, axis=1)
        return jax.tree.map(lambda array: array[made], joined), (joined.moves >= 0).sum(axis=0).astype(np.int32)


@cache
def beginning(lanes: int) -> Callable[[Task], State]:
    """The start of a task in each lane.

    Leaves the first forced moves to the player, for which one move is like the other: a step less to compile.
    """
    environment = memory_game(shared=True)

    def begin(task: Task) -> State:
        state = environment.start(task)
        states: State = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (lanes, *leaf.shape)), state)
        return states

    return jax.jit(begin)


@cache
def _player(network: Network, options: SearchOptions) -> Callable[..., tuple[State, Decisions]]:
    """(params, task, states, temperatures, key) -> states some decisions later, and these decisions."""
    environment = memory_game(shared=True)
    decisions = DECISIONS if options.variant is Variant.POLICY_ALONE else 1

    def play(params: Params, task: Task, states: State, heat: jax.Array, key: jax.Array) -> tuple[State, Decisions]:
        def more(carry: tuple[State, Decisions, jax.Array]) -> Any:
            return (carry[2] < decisions) & ~jnp.all(carry[0].done)

        def one(carry: tuple[State, Decisions, jax.Array]) -> tuple[State, Decisions, jax.Array]:
            states, made, count = carry
            own = jax.random.fold_in(key, count)
            found = search(network, params, environment, task, states, own, options, heat)
            after, rewards = decide(environment, task, states, found.action)
            active = jnp.sum(states.legal, axis=-1) > 1
            new = Decisions(
                moves=jnp.where(active, found.action, -1),
                rewards=jnp.where(active, rewards, 0.0),
                weights=jnp.where(active[:, None], found.weights, 0.0),
                values=jnp.where(active, found.value, 0.0),
            )
            made = jax.tree.map(lambda array, row: array.at[count].set(row), made, new)
            return after, made, count + 1

        shape = (decisions, len(heat))
        none = Decisions(
            moves=jnp.full(shape, -1, jnp.int32),
            rewards=jnp.zeros(shape, jnp.float32),
            weights=jnp.zeros((*shape, MOVES), jnp.float32),
            values=jnp.zeros(shape, jnp.float32),
        )
        states, made, _ = jax.lax.while_loop(more, one, (states, none, jnp.int32(0)))
        return states, made

    return jax.jit(play, donate_argnums=2)
