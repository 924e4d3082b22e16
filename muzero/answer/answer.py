"""Answer a problem by playing it many times: risk-seeking, only the best episode counts.

What is known already is shown to the network: at first the best of greedy's plan and those that are given (XLA's
default, where there is one), from then on the best episode so far. So it need not find everything anew, but what to do
otherwise. The game keeps to the places of that plan, so an episode that follows it loses nothing.

The first round is of the policy alone, so that there is an answer soon (of a large program one lane goes first); its
first lane takes what the policy likes best, the others sample, ever more freely. Most rounds after it are revisions of
what is known, of a few decisions each. If the options say so, each fourth round searches; it takes several times as
long. After some rounds of whole episodes the network learns on this one program from them. Any time is a good time to
stop: the best plan so far is given, at worst the one that was known.
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
from mallocgame.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.replay import replay_plan
from mallocgame.solvers.base import all_hbm_seconds
from mallocgame.solvers.base import solve as solve_with
from mallocgame.validate import validate
from muzero.agent_file import Agent
from muzero.answer.options import AnswerOptions
from muzero.answer.record import Answer, Best
from muzero.answer.revision import Revision
from muzero.answer.rounds import Round
from muzero.answer.tuning import Tuner
from muzero.environment import plan_of, with_known, with_places
from muzero.memory_game import Task, task_of
from muzero.networks import Params
from muzero.search import SearchOptions, Variant
from muzero.training.self_play import Decisions

POLICY_ALONE = SearchOptions(Variant.POLICY_ALONE, temperature=0.0)

SEARCHED = 4
"""One of so many rounds searches."""

WHOLE = 32
"""The first of so many rounds is of whole episodes, all others are revisions."""

REVISED_HEAT = 4.0
"""So many times hotter are the lanes of a revision: it makes few decisions, and is to make others than before."""

MOST_REVISED = 16
"""Decisions of a revision, at most; few are as likely as many: the logarithm is drawn evenly."""

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
        self.revised_lanes = max(2, options.lanes)
        self.episodes = 0
        self.curve = [Best(0, all_hbm_seconds(problem), 0.0, False)]
        self.tuner: Tuner | None = None
        self.unlearned: list[tuple[Task, Decisions, np.ndarray, np.ndarray, Variant]] = []
        self.compiled: set[tuple[type, int, SearchOptions]] = set()

    def run(self) -> str:
        """Play rounds; returns the status."""
        if not self.program.sites:
            return "converged"
        self._begin()
        key, rng = jax.random.key(self.options.seed), np.random.default_rng(self.options.seed)
        number, search = 0, replace(self.options.search, temperature=POLICY_ALONE.temperature)
        network, params = self.agent.network, self.agent.params
        self._follow(key)
        if len(self.program.sites) >= MANY_SITES and self.lanes > 1:
            self._open(key)
        while True:
            options = search if number % SEARCHED == SEARCHED - 1 else POLICY_ALONE
            own = jax.random.fold_in(key, number)
            began: Round | Revision
            if number % WHOLE == 0:
                began = Round(network, params, self.task, options, self._heat(number, self.lanes), own)
            else:
                heat = REVISED_HEAT * self._heat(number, self.revised_lanes)
                began = Revision(network, params, self.task, options, heat, own, *self._decisions(rng))
            if not self._finish(began, options):
                return "time limit"
            if self.options.max_episodes is not None and self.episodes >= self.options.max_episodes:
                return "step limit"
            if self._late():
                return "time limit"
            number += 1
            if isinstance(began, Round) and self.options.learn_after is not None:
                played = began.played()
                self.unlearned.append((began.task, *played, np.asarray(began.states.total), options.variant))
                if -(-number // WHOLE) >= self.options.learn_after:
                    params = self._learn()

    def _begin(self) -> None:
        """Take over the best plan that is known."""
        problem = self.program.problem
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

    def _follow(self, key: jax.Array) -> None:
        """Play after the plan that is known; it need not be one that the game can give."""
        heat = jnp.zeros(self.revised_lanes, jnp.float32)
        followed = Revision(self.agent.network, self.agent.params, self.task, POLICY_ALONE, heat, key, 0, 0)
        if self._played(followed, POLICY_ALONE):
            self.best_episode = float(followed.states.total[0])

    def _open(self, key: jax.Array) -> None:
        """One episode of the policy alone that takes what it likes best."""
        heat = jnp.zeros(1, jnp.float32)
        alone = Round(self.agent.network, self.agent.params, self.task, POLICY_ALONE, heat, key)
        self._finish(alone, POLICY_ALONE)

    def _decisions(self, rng: np.random.Generator) -> tuple[int, int]:
        """The first site of a revision, and how many decisions it makes."""
        return int(rng.integers(len(self.program.sites))), int(MOST_REVISED ** rng.random())

    def _finish(self, began: Round | Revision, options: SearchOptions) -> bool:
        """Play a round to its end and take its episodes; False where the time is up before."""
        if not self._played(began, options):
            return False
        self._take(began, options)
        return True

    def _played(self, began: Round | Revision, options: SearchOptions) -> bool:
        """Play a round to its end; False where the time is up before.

        Compiling, for the first round of its kind, does not count as time.
        """
        kind = type(began), len(began.states.done), options
        if kind not in self.compiled and not self._late():
            self.compiled.add(kind)
            self.started += began.compile()
        while not began.done:
            if self._late():
                return False
            began.go_on()
        return True

    def _learn(self) -> Params:
        """Learn from the rounds that were not learned from yet; the parameters for the next one."""
        if not any(lengths.any() for _, _, lengths, _, _ in self.unlearned):
            return self.agent.params
        if self.tuner is None:
            self.tuner = Tuner(self.agent.network, self.agent.params, self.options.seed)
        for played in self.unlearned:
            self.tuner.take(*played)
        self.unlearned.clear()
        self.tuner.learn()
        return self.tuner.learner.params

    def answer(self, status: str) -> Answer:
        """The best plan, replayed."""
        problem = self.program.problem
        violations = validate(problem, self.plan)
        assert not violations, violations[0].message
        seconds = replay_plan(problem, self.plan, "M").total
        return Answer(self.plan, seconds, self.episodes, status, tuple(self.curve))

    def _late(self) -> bool:
        return monotonic() - self.started >= self.options.time_limit

    def _heat(self, number: int, lanes: int) -> jax.Array:
        """Temperatures of the lanes in a round; those of the first with search, or without, begin at 0."""
        again = number not in (0, SEARCHED - 1)
        heat = np.linspace(0.0, self.options.hottest, lanes + again)[int(again) :]
        return jnp.asarray(heat, jnp.float32)

    def _take(self, finished: Round | Revision, options: SearchOptions) -> None:
        """Count the episodes of a round, show the best one, and keep it if it is better than all plans before."""
        totals = np.asarray(finished.states.total)
        searched = options.variant is not Variant.POLICY_ALONE
        for lane in finished.lanes:
            total = float(totals[lane])
            self.episodes += 1
            if total < self.best_episode:
                self.best_episode = total
                state = jax.device_get(jax.tree.map(lambda leaf, lane=lane: leaf[lane], finished.states))
                plan = plan_of(self.program, self.tables, state)
                self._show(plan)
                if total < self.curve[-1].seconds:
                    self.plan = plan
                    self.curve.append(Best(self.episodes, total, monotonic() - self.started, searched))
                    self.improved(total, self.episodes)
