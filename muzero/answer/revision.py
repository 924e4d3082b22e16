"""Revisions: episodes that follow the known plan, but for some decisions.

They begin at the last noted position before the first of these, and what they leave alone stays in its place: so a
revision costs a part of an episode, and one of the policy alone no more of the network than noting what it thinks of
the known plan did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from time import monotonic
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from muzero.answer.known_episode import KnownEpisode, as_wished
from muzero.answer.proposals import Wishes
from muzero.environment import PASS, State
from muzero.memory_game import Task, memory_game
from muzero.networks import Network, Params
from muzero.search import SearchOptions, search

FOLLOWED = 256
"""Sites in one call of the compiled program that plays wishes, see ``rounds.DECISIONS``."""

END = 2**30
"""A site after all others."""


class Revision:
    """Episodes, one a lane, that follow wishes.

    Attributes:
        states: [lanes].
    """

    states: State

    def __init__(
        self,
        task: Task,
        known: KnownEpisode,
        wishes: Sequence[Wishes],
        first: npt.NDArray[np.intp] | None = None,
    ) -> None:
        """Begin.

        Args:
            task: of the problem, with the known plan and its places, on the device.
            known: the finished episode of that plan.
            wishes: of each lane.
            first: site of each lane before which it follows the known plan; else the first that it wishes otherwise.
        """
        fast = known.opinion.fast
        padded = np.zeros((len(wishes), len(task.tables.known)), bool)
        padded[:, : len(fast)] = wishes
        if first is None:
            first = np.argmax(np.asarray(wishes) != fast, axis=1)
        self._follow = partial(_follower(), task)
        self._wishes = jnp.asarray(padded)
        self._going = np.ones(len(wishes), bool)
        self.states = known.before(first)

    @property
    def lanes(self) -> list[int]:
        """Those that go on."""
        return np.flatnonzero(self._going).tolist()

    @property
    def done(self) -> bool:
        """Whether all episodes that go on are."""
        return bool(np.all(np.asarray(self.states.done)[self._going]))

    def compile(self) -> float:
        """Compile what ``go_on`` runs, if it is not yet; the seconds that this took."""
        begun = monotonic()
        copied = jax.tree.map(jnp.copy, self.states)  # what is played is given away
        jax.device_get(self._follow(copied, self._wishes, jnp.asarray(self._going), jnp.int32(0)))
        return monotonic() - begun

    def go_on(self) -> None:
        """Answer the next sites in all lanes that go on."""
        self._follow_to(END)

    def _follow_to(self, site: int) -> None:
        self.states = self._follow(self.states, self._wishes, jnp.asarray(self._going), jnp.int32(site))


class SearchedRevision(Revision):
    """Episodes that follow the known plan but for some decisions in a row, for which all lanes search.

    Up to these all lanes are one; after them only lanes go on that are unlike the known plan and all lanes before them.
    """

    def __init__(
        self,
        network: Network,
        params: Params,
        task: Task,
        options: SearchOptions,
        known: KnownEpisode,
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
            known: the finished episode of that plan.
            heat: float32 [lanes], temperatures.
            key: of the choices.
            first: number of the first site that may be answered anew.
            decisions: how many are made anew.
        """
        lanes = len(heat)
        super().__init__(task, known, [known.opinion.fast] * lanes, np.full(lanes, first))
        self._choose = partial(_chooser(network, options), params, task)
        self._known, self._heat, self._key = known, heat, key
        self._first, self._left, self._calls = first, decisions, 0
        self._going = np.arange(lanes) == 0

    def compile(self) -> float:
        """Compile what ``go_on`` runs, if it is not yet; the seconds that this took."""
        begun = monotonic()
        copied = jax.tree.map(jnp.copy, self.states)
        jax.device_get(self._choose(copied, self._heat, self._key))
        return super().compile() + monotonic() - begun

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
            self.states, decided = self._choose(self.states, self._heat, key)
            self._left -= int(decided)
            self._calls += 1
            if not self._left or self.states.done[0]:
                self._select()

    def _select(self) -> None:
        """Leave behind what is like the known plan or a lane before."""
        at = int(self.states.at[0])
        answers = [row[:at].tobytes() for row in np.asarray(self.states.moves)]
        known = self._known.answers(at)
        for lane, own in enumerate(answers):
            self._going[lane] = own != known and answers.index(own) == lane


@cache
def _follower() -> Callable[[Task, State, jax.Array, jax.Array, jax.Array], State]:
    """(task, states, wishes, which go on, site) -> states some sites later, at most at that site."""
    environment = memory_game(shared=True)

    def follow(task: Task, states: State, wishes: jax.Array, going: jax.Array, end: jax.Array) -> State:
        def moving(states: State) -> jax.Array:
            return going & ~states.done & (states.at < end)

        def more(carry: tuple[State, jax.Array]) -> Any:
            return (carry[1] < FOLLOWED) & jnp.any(moving(carry[0]))

        def one(carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            states, count = carry
            moves = jnp.where(moving(states), as_wished(states, wishes), PASS)
            return environment.step(task, states, moves)[0], count + 1

        followed: tuple[State, jax.Array] = jax.lax.while_loop(more, one, (states, jnp.int32(0)))
        return followed[0]

    return jax.jit(follow, donate_argnums=1)


@cache
def _chooser(network: Network, options: SearchOptions) -> Callable[..., tuple[State, jax.Array]]:
    """(params, task, states, temperatures, key) -> states a site later, and whether one of them had a choice."""
    environment = memory_game(shared=True)

    def choose(params: Params, task: Task, states: State, heat: jax.Array, key: jax.Array) -> tuple[State, jax.Array]:
        anew = jnp.any(jnp.sum(states.legal, axis=-1) > 1)
        moves = jax.lax.cond(
            anew,
            lambda: search(network, params, environment, task, states, key, options, heat).action,
            lambda: jnp.argmax(states.legal, axis=-1).astype(jnp.int32),
        )
        return environment.step(task, states, moves)[0], anew

    return jax.jit(choose, donate_argnums=2)
