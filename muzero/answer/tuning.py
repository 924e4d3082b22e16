"""Learning on one program while it is answered, from the agent's parameters: what training does on many.

After each round of whole episodes the network learns from all of them so far what they bring, and most of all from the
best one, whose moves it is taught as they are.
"""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import Mesh

from muzero.memory_game import Task, memory_game
from muzero.networks import Network, Params
from muzero.training.config import LearnerConfig, ReplayConfig
from muzero.training.imitation import Imitation, episode_of
from muzero.training.learner import Learner, begin, update
from muzero.training.replay import Replay, joined
from muzero.training.self_play import AXIS, Decisions, Played, generation_of, trace

LEARNER = LearnerConfig(batch=64, updates=32, unroll=0, learning_rate=5e-4, warm_up=0)
REPLAY = ReplayConfig(positions=20_000)
IMITATED = 32
"""Positions of each batch that are of the best episode."""

CHUNK = 16
"""Decisions in one call of the program that walks episodes again."""


class Tuner:
    """The network as it learns.

    Attributes:
        learner: has the parameters.
    """

    learner: Learner

    def __init__(self, network: Network, params: Params, seed: int) -> None:
        """Begin with an agent's parameters.

        Args:
            network: the agent's.
            params: its parameters.
            seed: of what is drawn.
        """
        self._network = network
        self._mesh = Mesh(np.array(jax.devices()[:1]), (AXIS,))
        self._rng = np.random.default_rng(seed)
        self._replay, self._imitation = Replay(REPLAY), Imitation()
        self._best = -np.inf
        self.learner = begin(LEARNER, self._mesh, params)

    def take(self, task: Task, decisions: Decisions, lengths: np.ndarray, totals: np.ndarray) -> None:
        """Take in the episodes of a round of a task, with the seconds under M of each lane's plan."""
        tables = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(lengths), *np.shape(leaf))), task)
        seen = trace(memory_game(shared=False), self._mesh, CHUNK, tables, decisions.moves).observations
        generation = generation_of(Played(decisions, lengths, -totals), np.zeros(len(lengths), np.int32), seen)
        generation.weights = np.zeros_like(generation.weights)  # no search chose these moves
        self._replay.add(generation)
        lane = int(np.argmin(totals))
        if -totals[lane] > self._best:
            self._best = -totals[lane]
            self._imitation.replace(episode_of(generation, lane, generation.moves[:, lane]))

    def learn(self) -> None:
        """A round's updates."""
        sources = (self._replay, LEARNER.batch - IMITATED), (self._imitation.episodes, IMITATED)
        targets = [source.targets(LEARNER.value_steps) for source, _ in sources]
        for _ in range(LEARNER.updates):
            drawn = [source.draw(self._rng, count) for source, count in sources]
            parts = zip(sources, drawn, targets, strict=True)
            batch = joined([source.batch(part, LEARNER.unroll, own) for (source, _), part, own in parts])
            self.learner, losses = update(self._network, LEARNER, self._mesh, self.learner, batch)
            self._replay.update(drawn[0], np.asarray(losses.errors)[: len(drawn[0])])
