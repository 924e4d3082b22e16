"""The episode that follows the known plan: what the policy thinks of it, and positions from which to revise it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, partial
from time import monotonic
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from mallocgame.game.rules import Move
from muzero.answer.rounds import beginning
from muzero.environment import State
from muzero.environment.tables import FAST
from muzero.memory_game import Task, memory_game
from muzero.networks import Network, Params
from muzero.search.masks import masked

POSITIONS = 16
"""On the way, about; between two the clock is looked at and Ctrl-C heard."""


class Opinion(NamedTuple):
    """What the policy thinks of the known plan.

    Attributes:
        fast: bool [sites], what the plan has in fast memory.
        open: bool [sites], where its episode had more than one legal move.
        margin: float32 [sites], logit of the likelier fast move less that of DROP at open sites; 0 elsewhere.
    """

    fast: npt.NDArray[np.bool_]
    open: npt.NDArray[np.bool_]
    margin: npt.NDArray[np.float32]


class KnownEpisode:
    """The episode so far.

    Attributes:
        states: [1].
    """

    states: State

    def __init__(self, network: Network, params: Params, task: Task) -> None:
        """Begin.

        Args:
            network: the agent's.
            params: its parameters.
            task: of the problem, with the known plan and its places, on the device.
        """
        self._note = partial(_noter(network), params, task)
        self._sites = int(task.tables.site_count)
        self._fast = np.asarray(task.tables.known)[: self._sites] == FAST
        self._step = -(-self._sites // POSITIONS)
        self.states = beginning(1)(task)
        none = jnp.zeros(len(task.tables.known), jnp.float32)
        self._notes = none, none.astype(bool)
        self._positions = [self.states]

    @property
    def done(self) -> bool:
        """Whether it is at its end."""
        return bool(self.states.done[0])

    @property
    def total(self) -> float:
        """Seconds under M; more than those of the known plan where the game cannot give that one."""
        return float(self.states.total[0])

    def compile(self) -> float:
        """Compile what ``go_on`` runs, if it is not yet; the seconds that this took."""
        begun = monotonic()
        jax.device_get(self._note(self.states, self._notes, jnp.int32(0)))
        return monotonic() - begun

    def go_on(self) -> None:
        """Answer the next sites."""
        end = len(self._positions) * self._step
        self.states, self._notes = self._note(self.states, self._notes, jnp.int32(end))
        self._positions.append(self.states)

    @cached_property
    def opinion(self) -> Opinion:
        """What the policy thinks, of a finished episode."""
        margin, choice = (np.asarray(notes)[: self._sites] for notes in self._notes)
        return Opinion(self._fast, choice, margin)

    def answers(self, sites: int) -> bytes:
        """The moves at the first sites, of a finished episode."""
        return np.asarray(self.states.moves)[0, :sites].tobytes()

    def before(self, sites: npt.NDArray[np.intp]) -> State:
        """The last position noted that has not answered each of these sites yet, [their number]."""
        chosen = [self._positions[number] for number in sites // self._step]
        joined: State = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *chosen)
        return joined


def as_wished(states: State, wishes: jax.Array) -> jax.Array:
    """The moves at the next sites, int32 [lanes]; of finished lanes any.

    Args:
        states: [lanes].
        wishes: bool [lanes, sites], what is to be in fast memory if that is legal, and in HBM if that is.
    """
    fast = states.legal & (jnp.arange(len(Move)) != Move.DROP.value)
    at = jnp.minimum(states.at, wishes.shape[1] - 1)
    wanted = jnp.take_along_axis(wishes, at[:, None], axis=1)[:, 0] & jnp.any(fast, axis=-1)
    return jnp.where(wanted, jnp.argmax(fast, axis=-1), jnp.argmax(states.legal, axis=-1)).astype(jnp.int32)


Notes = tuple[jax.Array, jax.Array]
"""Margins and choices, see ``Opinion``; padded."""


@cache
def _noter(network: Network) -> Callable[[Params, Task, State, Notes, jax.Array], tuple[State, Notes]]:
    """(params, task, state [1], notes, site) -> the state at that site or the end, and what is noted on the way."""
    environment = memory_game(shared=True)

    def note(params: Params, task: Task, states: State, notes: Notes, end: jax.Array) -> tuple[State, Notes]:
        def margin(states: State) -> jax.Array:
            logits, _ = network.predict(params, network.represent(params, environment.observe(task, states)))
            logits = masked(logits, states.legal)[0]
            return (jnp.max(logits[Move.DROP.value + 1 :]) - logits[Move.DROP.value]).astype(jnp.float32)

        def one(carry: tuple[State, Notes]) -> tuple[State, Notes]:
            states, (margins, choices) = carry
            at, choice = states.at[0], jnp.sum(states.legal) > 1
            own = jax.lax.cond(choice, margin, lambda _: jnp.float32(0), states)
            moves = as_wished(states, (task.tables.known == FAST)[None])
            return environment.step(task, states, moves)[0], (margins.at[at].set(own), choices.at[at].set(choice))

        noted: tuple[State, Notes] = jax.lax.while_loop(
            lambda carry: ~carry[0].done[0] & (carry[0].at[0] < end), one, (states, notes)
        )
        return noted

    return jax.jit(note)
