"""Answer a problem by playing it many times: risk-seeking, only the best episode counts.

What is known already is shown to the network: at first the best of greedy's plan and those that are given (XLA's
default, where there is one), from then on the best episode so far. So it need not find everything anew, but what to do
otherwise. The game keeps to the places of that plan, so an episode that follows it loses nothing.

The first round is of the policy alone, so that there is an answer soon (of a large program one lane goes first); its
first lane takes what the policy likes best, the others sample, ever more freely. Most rounds after it are revisions of
what is known, of decisions that belong together and that the policy doubts. If the options say so, some of these
search; that takes several times as long. After some rounds of whole episodes the network learns on this one program
from them. Any time is a good time to stop: the best plan so far is given, at worst the one that was known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from time import monotonic

import jax
import jax.numpy as jnp
import numpy as np

from mallocgame.game.program import Program
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import validate
from mallocgame.problem.schema import Problem
from mallocgame.solvers.base import all_hbm_seconds
from mallocgame.solvers.base import solve as solve_with
from muzero.agent_file import Agent
from muzero.answer.known_episode import KnownEpisode
from muzero.answer.options import AnswerOptions
from muzero.answer.proposals import Proposer
from muzero.answer.record import Answer, Best
from muzero.answer.revision import Revision, SearchedRevision
from muzero.answer.rounds import Round
from muzero.answer.tuning import Tuner
from muzero.environment import plan_of, with_known, with_places
from muzero.memory_game import Task, task_of
from muzero.search import SearchOptions, Variant
from muzero.training.self_play import Decisions

POLICY_ALONE = SearchOptions(Variant.POLICY_ALONE, temperature=0.0)

SEARCHED = 16
"""One of so many rounds searches."""

WHOLE = 64
"""The first of so many rounds is of whole episodes, all others are revisions."""

SEARCHED_HEAT = 4.0
"""So many times hotter are the lanes of a revision that searches: they are to decide otherwise than before."""

MOST_SEARCHED = 16
"""Decisions of a revision that searches, at most; few are as likely as many: the logarithm is drawn evenly."""

ROUNDING = 1e-12
"""Share by which totals of one plan can differ."""

MANY_SITES = 400
"""From here on one episode is played before the first round: lanes go one after the other on a CPU, and a round of all
of them takes many times as long."""

LANE_SITES = 4096
"""Sites of all lanes of a round together, about: what is learned in one round is of use in the next."""


def answer(
    problem: Problem,
    agent: Agent,
    options: AnswerOptions,
    improved: Callable[[float, int], None] = lambda seconds, episodes: None,
    known: Sequence[Plan] = (),
) -> Answer:
    """Play until the time or the episodes are used up, or Ctrl-C; give the best plan.

    Args:
        problem: to be solved.
        agent: who plays.
        options: how.
        improved: called with (seconds under M, finished episodes) at every new best plan.
        known: valid plans, beside greedy's.

    Raises:
        BadInputError: the problem is too large for the environment.
    """
    player = _Answerer(problem, agent, options, improved, known)
    try:
        status = player.run()
    except KeyboardInterrupt:
        status = "interrupted"
    return player.answer(status)


class _Answerer:
    def __init__(
        self,
        problem: Problem,
        agent: Agent,
        options: AnswerOptions,
        improved: Callable[[float, int], None],
        known: Sequence[Plan],
    ) -> None:
        self.started = monotonic()
        self.agent, self.options, self.improved, self.known = agent, options, improved, known
        self.program = Program(problem)
        self.task = task_of(self.program)
        self.tables = self.task.tables
        self.plan = Plan(problem.fingerprint)
        self.best_episode = inf
        self.lanes = max(1, min(options.lanes, LANE_SITES // max(1, len(self.program.sites))))
        self.episodes = 0
        self.curve = [Best(0, all_hbm_seconds(problem), 0.0, False)]
        self.key, self.rng = jax.random.key(options.seed), np.random.default_rng(options.seed)
        self.search = replace(options.search, temperature=POLICY_ALONE.temperature)
        self.params = agent.params
        self.following: KnownEpisode | None = None
        self.tuner: Tuner | None = None
        self.unlearned: list[tuple[Task, Decisions, np.ndarray, np.ndarray]] = []
        self.compiled: set[tuple[type, int]] = set()

    def run(self) -> str:
        """Play rounds; returns the status."""
        if not self.program.sites:
            return "converged"
        self._begin()
        if self._followed() is None:
            return "time limit"
        if len(self.program.sites) >= MANY_SITES and self.lanes > 1:
            self._finish(self._round(jnp.zeros(1, jnp.float32), self.key))
        number = 0
        while True:
            followed = self._followed()
            if followed is None:
                return "time limit"
            began = self._began(number, followed)
            if not self._finish(began):
                return "time limit"
            if self.options.max_episodes is not None and self.episodes >= self.options.max_episodes:
                return "step limit"
            if self._late():
                return "time limit"
            if isinstance(began, Round) and self.options.learn_after is not None:
                self.unlearned.append((began.task, *began.played(), np.asarray(began.states.total)))
                if number // WHOLE + 1 >= self.options.learn_after:
                    self._learn()
            number += 1

    def _began(self, number: int, followed: KnownEpisode) -> Round | Revision:
        """A round at its beginning."""
        key = jax.random.fold_in(self.key, number)
        opinion = followed.opinion
        if number % WHOLE == 0 or not opinion.open.any():
            again = int(number > 0)
            return self._round(_rising(self.options.hottest, self.lanes + again)[again:], key)
        if number % SEARCHED == 0 and self.search.variant is not Variant.POLICY_ALONE:
            heat = _rising(SEARCHED_HEAT * self.options.hottest, self.options.lanes)
            first, decisions = int(self.rng.integers(len(self.program.sites))), int(MOST_SEARCHED ** self.rng.random())
            player = self.agent.network, self.params, self.task, self.search
            return SearchedRevision(*player, followed, heat, key, first, decisions)
        return Revision(self.task, followed, [self.proposer(opinion) for _ in range(self.options.lanes)])

    def _round(self, heat: jax.Array, key: jax.Array) -> Round:
        return Round(self.agent.network, self.params, self.task, POLICY_ALONE, heat, key)

    def _begin(self) -> None:
        """Take over the best plan that is known."""
        problem = self.program.problem
        self.proposer = Proposer(self.program, self.rng)
        greedy = solve_with(problem, "greedy", time_limit=self.options.time_limit)
        timed = [(replay_plan(problem, plan, "M").total, plan) for plan in self.known]
        seconds, plan = min([(greedy.seconds_under_m, greedy.plan), *timed], key=lambda both: both[0])
        if seconds < self.curve[0].seconds:
            self.plan = plan
            self.curve.append(Best(0, seconds, monotonic() - self.started, False))
            self.improved(seconds, 0)
        self._show(self.plan)

    def _show(self, plan: Plan) -> None:
        """Have a plan known to the episodes to come."""
        tables = with_places(with_known(self.tables, self.program, plan), self.program, plan)
        self.task = jax.device_put(self.task._replace(tables=tables))
        self.following = None

    def _followed(self) -> KnownEpisode | None:
        """The finished episode after the known plan, which need not be one that the game can give.

        None where the time is up before.
        """
        if self.following is None:
            following = KnownEpisode(self.agent.network, self.params, self.task)
            if not self._played(following):
                return None
            self.following, self.best_episode = following, following.total
        return self.following

    def _finish(self, began: Round | Revision) -> bool:
        """Play a round to its end and take its episodes; False where the time is up before."""
        if not self._played(began):
            return False
        self._take(began)
        return True

    def _played(self, began: Round | Revision | KnownEpisode) -> bool:
        """Play a round to its end; False where the time is up before.

        Compiling, for the first round of its kind, does not count as time.
        """
        kind = type(began), len(began.states.done)
        if kind not in self.compiled and not self._late():
            self.compiled.add(kind)
            self.started += began.compile()
        while not began.done:
            if self._late():
                return False
            began.go_on()
        return True

    def _learn(self) -> None:
        """Learn from the rounds that were not learned from yet."""
        if not any(lengths.any() for _, _, lengths, _ in self.unlearned):
            return
        if self.tuner is None:
            self.tuner = Tuner(self.agent.network, self.agent.params, self.options.seed)
        for played in self.unlearned:
            self.tuner.take(*played)
        self.unlearned.clear()
        self.tuner.learn()
        self.params, self.following = self.tuner.learner.params, None

    def answer(self, status: str) -> Answer:
        """The best plan, replayed."""
        problem = self.program.problem
        violations = validate(problem, self.plan)
        assert not violations, violations[0].message
        seconds = replay_plan(problem, self.plan, "M").total
        return Answer(self.plan, seconds, self.episodes, status, tuple(self.curve))

    def _late(self) -> bool:
        return monotonic() - self.started >= self.options.time_limit

    def _take(self, finished: Round | Revision) -> None:
        """Count the episodes of a round, show the best one, and keep it if it is better than all plans before."""
        totals = np.asarray(finished.states.total)
        searched, better = isinstance(finished, SearchedRevision), None
        for lane in finished.lanes:
            total = float(totals[lane])
            self.episodes += 1
            if total < self.best_episode * (1 - ROUNDING):
                self.best_episode = total
                state = jax.device_get(jax.tree.map(lambda leaf, lane=lane: leaf[lane], finished.states))
                better = plan_of(self.program, self.tables, state)
                if total < self.curve[-1].seconds:
                    self.plan = better
                    self.curve.append(Best(self.episodes, total, monotonic() - self.started, searched))
                    self.improved(total, self.episodes)
        if better is not None:
            self._show(better)


def _rising(hottest: float, lanes: int) -> jax.Array:
    """Temperatures from 0 on."""
    return jnp.linspace(0.0, hottest, lanes, dtype=jnp.float32)
