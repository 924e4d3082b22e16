"""A revision: episodes that follow the known plan, but for some decisions in a row, which the agent makes anew.

Up to these decisions all lanes are one; meanwhile they answer the same site at a time; after them only lanes go on that
are unlike the known plan and all lanes before them. So a revision costs a small part of a round, and what it leaves
alone stays in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from time import monotonic
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mallocgame.game.rules import Move
from muzero.answer.rounds import DECISIONS, beginning
from muzero.environment import PASS, State
from muzero.environment.tables import FAST
from muzero.memory_game import Task, memory_game
from muzero.networks import Network, Params
from muzero.search import SearchOptions, Variant, search

FOLLOWED = 256
"""Sites in one call of the compiled program that follows, see ``rounds.DECISIONS``."""

END = 2**30
"""A site after all others."""


class Revision:
    """The lanes' episodes so far.

    Attributes:
        states: [lanes].
    """

    states: State

    def __init__(
        self,
        network: Network,
        params: Params,
        task: Task,
        options: SearchOptions,
        heat: jax.Array,
        key: jax.Array,
        first: int,
        decisions: int,
    ) -> None:
        """Begin.

        Args:
            network: the agent's.
            params: its parameters.
            task: of the problem, with the known plan and its places, on the device.
            options: of the search.
            heat: float32 [lanes], temperatures; the first lane only follows.
            key: of the choices.
            first: number of the first site that may be answered anew.
            decisions: how many are made anew; with none the first lane follows to the end, alone.
        """
        lanes = len(heat)
        self._follow = partial(_follower(), task)
        self._choose = partial(_chooser(network, options), params, task)
        self._heat, self._key, self._calls = heat, key, 0
        self._first, self._left = first, decisions
        self.states = beginning(lanes)(task)
        self._going = np.arange(lanes) == 0

    @property
    def done(self) -> bool:
        """Whether all episodes that go on are."""
        return bool(np.all(np.asarray(self.states.done)[self.lanes]))

    @property
    def lanes(self) -> list[int]:
        """Those that go on."""
        return np.flatnonzero(self._going).tolist()

    def compile(self) -> float:
        """Compile what ``go_on`` runs, if it is not yet; the seconds that this took."""
        begun = monotonic()
        copied = jax.tree.map(jnp.copy, self.states)  # what is played is given away
        copied = self._follow(copied, jnp.asarray(self._going), jnp.int32(0))
        jax.device_get(self._choose(copied, jnp.int32(0), self._heat, self._key))
        return monotonic() - begun

    def go_on(self) -> None:
        """Answer the next sites in all lanes that go on."""
        if not self._left or self.states.done[0]:
            self._follow_to(END)
        elif int(self.states.at[0]) < self._first:
            self._follow_to(self._first)
        else:
            if not self._calls:
                self.states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), self.states)
                self._going[:] = True
            key = jax.random.fold_in(self._key, self._calls)
            self.states, left = self._choose(self.states, jnp.int32(self._left), self._heat, key)
            self._left = int(left)
            self._calls += 1
            if not self._left or self.states.done[0]:
                self._select()

    def _follow_to(self, site: int) -> None:
        self.states = self._follow(self.states, jnp.asarray(self._going), jnp.int32(site))

    def _select(self) -> None:
        """Leave behind what is like the first lane or one before."""
        answers = [row.tobytes() for row in np.asarray(self.states.moves)]
        for lane, own in enumerate(answers):
            self._going[lane] = answers.index(own) == lane > 0


@cache
def _follower() -> Callable[[Task, State, jax.Array, jax.Array], State]:
    """(task, states, which go on, site) -> states some sites later, at most at that site."""
    environment = memory_game(shared=True)

    def follow(task: Task, states: State, going: jax.Array, end: jax.Array) -> State:
        def moving(states: State) -> jax.Array:
            return going & ~states.done & (states.at < end)

        def more(carry: tuple[State, jax.Array]) -> Any:
            return (carry[1] < FOLLOWED) & jnp.any(moving(carry[0]))

        def one(carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            states, count = carry
            moves = jnp.where(moving(states), _as_known(task, states), PASS)
            return environment.step(task, states, moves)[0], count + 1

        followed: tuple[State, jax.Array] = jax.lax.while_loop(more, one, (states, jnp.int32(0)))
        return followed[0]

    return jax.jit(follow, donate_argnums=1)


@cache
def _chooser(network: Network, options: SearchOptions) -> Callable[..., tuple[State, jax.Array]]:
    """(params, task, states, decisions, temperatures, key) -> states later, and how many decisions are left."""
    environment = memory_game(shared=True)
    most = DECISIONS if options.variant is Variant.POLICY_ALONE else 1

    def choose(
        params: Params,
        task: Task,
        states: State,
        decisions: jax.Array,
        heat: jax.Array,
        key: jax.Array,
    ) -> tuple[State, jax.Array]:
        def more(carry: tuple[State, jax.Array]) -> Any:
            return (carry[1] < jnp.minimum(most, decisions)) & ~carry[0].done[0]

        def one(carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            states, count = carry
            anew = (jnp.sum(states.legal, axis=-1) > 1) & (jnp.arange(len(heat)) > 0)
            own = jax.random.fold_in(key, count)
            chosen = jax.lax.cond(
                jnp.any(anew),
                lambda: search(network, params, environment, task, states, own, options, heat).action,
                lambda: jnp.zeros(len(heat), jnp.int32),
            )
            states, _ = environment.step(task, states, jnp.where(anew, chosen, _as_known(task, states)))
            return states, count + jnp.any(anew)

        states, count = jax.lax.while_loop(more, one, (states, jnp.int32(0)))
        return states, decisions - count

    return jax.jit(choose, donate_argnums=2)


def _as_known(task: Task, states: State) -> jax.Array:
    """What the known plan has at the next sites, else what is legal, int32 [lanes]; of finished lanes any move."""
    fast = states.legal & (jnp.arange(len(Move)) != Move.DROP.value)
    known = task.tables.known[jnp.minimum(states.at, len(task.tables.known) - 1)]
    wanted = (known == FAST) & jnp.any(fast, axis=-1)
    return jnp.where(wanted, jnp.argmax(fast, axis=-1), jnp.argmax(states.legal, axis=-1)).astype(jnp.int32)
