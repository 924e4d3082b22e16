"""Answers with an untrained agent: valid plans, the best of n, limits, and the solver of the command line."""

from __future__ import annotations

import sys
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import validate
from mallocgame.solvers import SOLVERS, solve
from mallocgame.solvers.base import all_hbm_seconds
from mallocgame.system.errors import BadInputError
from muzero.agent_file import Agent, save_agent
from muzero.answer import Answer, AnswerOptions, answer
from muzero.answer.revision import Revision, SearchedRevision
from muzero.answer.rounds import Round
from muzero.answer.tuning import LEARNER, Tuner
from muzero.environment import BINS, BOARD_CHANNELS, SCALARS, SITES_AHEAD, SUPPLY_CHANNELS, USE_FEATURES
from muzero.networks import Network, NetworkConfig, SeenShape
from muzero.search import SearchOptions, Variant
from muzero.training.evaluate import HeldOut, accuracy
from tests.game.hand_made import Step, problem
from workloads.generator import Recipe, random_problem

PROBLEM = random_problem(7, Recipe(instructions=16, fast_bytes=4096))
NETWORK = Network(
    NetworkConfig(channels=2, tower_blocks=1, width=8, heads=2, layers=1, latent=16, latent_blocks=1, bins=11),
    SeenShape((BINS, BINS, BOARD_CHANNELS), (SITES_AHEAD, USE_FEATURES), (BINS, SUPPLY_CHANNELS), (SCALARS,)),
)
AGENT = Agent(NETWORK, NETWORK.init(jax.random.key(0)))
GREEDY = solve(PROBLEM, "greedy", time_limit=inf).seconds_under_m
ALONE = SearchOptions(Variant.POLICY_ALONE)
LANES = 4


def check(found: Answer) -> None:
    """Valid, timed by replay, and the best of n as the curve says."""
    assert not validate(PROBLEM, found.plan)
    assert found.seconds == pytest.approx(replay_plan(PROBLEM, found.plan, "M").total, rel=1e-12)
    assert found.curve[-1].seconds == pytest.approx(found.seconds, rel=1e-9)
    assert found.curve[0].episodes == 0
    assert found.curve[0].seconds == all_hbm_seconds(PROBLEM)
    assert all(best.seconds == pytest.approx(GREEDY, rel=1e-12) for best in found.curve[1:] if best.episodes == 0)
    assert all(a.seconds > b.seconds and a.episodes < b.episodes for a, b in pairwise(found.curve) if b.episodes)


def test_the_best_of_many_episodes() -> None:
    heard: list[tuple[float, int]] = []
    options = AnswerOptions(max_episodes=5 * LANES, lanes=LANES, search=ALONE)
    found = answer(PROBLEM, AGENT, options, lambda seconds, episodes: heard.append((seconds, episodes)))
    check(found)
    assert found.status == "step limit"
    assert 5 * LANES <= found.episodes < 6 * LANES
    assert found.seconds < all_hbm_seconds(PROBLEM)
    assert heard == [(best.seconds, best.episodes) for best in found.curve[1:]]
    assert answer(PROBLEM, AGENT, options).plan == found.plan


def test_one_of_some_rounds_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["muzero.answer.answer"]
    monkeypatch.setattr(module, "SEARCHED", 4)
    monkeypatch.setattr(module, "WHOLE", 10)
    search, played = SearchOptions(Variant.LEARNED_MODEL, simulations=2, max_depth=2), list[str]()

    def watched(kind: type[Round | Revision]) -> None:
        init = kind.__init__

        def noted(self: Round | Revision, *others: Any) -> None:
            if type(self) is kind:
                played.append(kind.__name__)
            init(self, *others)

        monkeypatch.setattr(kind, "__init__", noted)

    for kind in (Round, Revision, SearchedRevision):
        watched(kind)
    found = answer(PROBLEM, AGENT, AnswerOptions(max_episodes=12 * LANES, lanes=LANES, search=search))
    check(found)
    assert len(played) > 11
    for number, kind in enumerate(played):
        assert kind == ("Round" if number % 10 == 0 else "SearchedRevision" if number % 4 == 0 else "Revision")


def test_a_large_program_is_first_played_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The greedy episode, alone, finds what the first lane of a round finds."""
    alone = answer(PROBLEM, AGENT, AnswerOptions(max_episodes=1, lanes=1, search=ALONE))
    monkeypatch.setattr(sys.modules["muzero.answer.answer"], "MANY_SITES", 0)
    found = answer(PROBLEM, AGENT, AnswerOptions(max_episodes=1, lanes=LANES, search=ALONE))
    assert found.episodes == 1 + LANES
    assert [best for best in found.curve if best.episodes <= 1][-1].seconds == alone.seconds


def test_a_known_plan_is_where_it_begins() -> None:
    """The best plan of a search before is better than greedy's, and nothing after it is worse."""
    known = answer(PROBLEM, AGENT, AnswerOptions(max_episodes=5 * LANES, lanes=LANES, search=ALONE))
    assert known.seconds < GREEDY
    options = AnswerOptions(max_episodes=LANES, lanes=LANES, search=ALONE)
    found = answer(PROBLEM, AGENT, options, known=[Plan(PROBLEM.fingerprint), known.plan])
    assert [best.seconds for best in found.curve if best.episodes == 0] == [
        all_hbm_seconds(PROBLEM),
        pytest.approx(known.seconds, rel=1e-12),
    ]
    assert found.seconds <= known.seconds


def test_no_time_at_all() -> None:
    found = answer(PROBLEM, AGENT, AnswerOptions(time_limit=0.0, lanes=LANES, search=ALONE))
    check(found)
    assert (found.plan, found.status, found.episodes) == (Plan(PROBLEM.fingerprint), "time limit", 0)


def test_ctrl_c_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, rounds = Revision.go_on, set()

    def interrupt(self: Revision) -> None:
        rounds.add(self)
        if len(rounds) == 2:
            raise KeyboardInterrupt
        go_on(self)

    monkeypatch.setattr(Revision, "go_on", interrupt)
    found = answer(PROBLEM, AGENT, AnswerOptions(lanes=LANES, search=ALONE))
    check(found)
    assert (found.status, found.episodes) == ("interrupted", 2 * LANES)
    assert found.seconds < all_hbm_seconds(PROBLEM)


def test_nothing_to_decide() -> None:
    task = problem([Step(opcode="parameter", makes="w"), Step(1.0)], {"w": 1000})
    found = answer(task, AGENT, AnswerOptions())
    assert (found.plan, found.status, found.episodes) == (Plan(task.fingerprint), "converged", 0)


def test_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "muzero" in SOLVERS
    save_agent(AGENT, tmp_path / "agent.mga")
    monkeypatch.setenv("MALLOCGAME_AGENT", str(tmp_path / "agent.mga"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    solution = solve(PROBLEM, "muzero", time_limit=0.0)
    assert (solution.status, solution.steps, solution.plan) == ("time limit", 0, Plan(PROBLEM.fingerprint))
    with pytest.raises(BadInputError, match="knows model M only"):
        solve(PROBLEM, "muzero", objective="E")
    with pytest.raises(BadInputError, match="what has to be in HBM"):
        solve(PROBLEM, "muzero", barred=frozenset({1}))
    monkeypatch.setenv("MALLOCGAME_AGENT", str(tmp_path / "none.mga"))
    with pytest.raises(BadInputError, match=r"none\.mga: there is no such file"):
        solve(PROBLEM, "muzero")


def test_solver_without_mctx(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("muzero.answer", "muzero.agent_file"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mctx", None)
    for name in [name for name in sys.modules if name.startswith(("muzero.search", "muzero.memory_game"))]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(BadInputError, match=r"needs mctx, which is not installed: pip install 'mallocgame\[train\]'"):
        solve(PROBLEM, "muzero")


def test_options_out_of_range() -> None:
    for options in ({"lanes": 0}, {"max_episodes": 0}, {"learn_after": 0}, {"hottest": -1.0}, {"time_limit": -1.0}):
        with pytest.raises(ValueError, match=r"at least 1|cannot be negative"):
            AnswerOptions(**options)  # type: ignore[arg-type]


def test_it_learns_on_the_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two rounds it learns from both, then after each; the policy comes nearer to the best episode."""
    monkeypatch.setattr(sys.modules["muzero.answer.answer"], "WHOLE", 1)
    tuners: list[Tuner] = []
    surprises: list[float] = []
    learn = Tuner.learn

    def watched(self: Tuner) -> None:
        best = self._imitation.episodes.generations[0]
        held_out = HeldOut(jax.tree.map(lambda array: array[:, 0], best.observations), best.moves[:, 0])
        surprises.append(accuracy(NETWORK, self.learner.params, held_out)["surprise"])
        learn(self)
        tuners.append(self)
        surprises.append(accuracy(NETWORK, self.learner.params, held_out)["surprise"])

    monkeypatch.setattr(Tuner, "learn", watched)
    options = AnswerOptions(max_episodes=4 * LANES, lanes=LANES, search=ALONE, learn_after=2)
    found = answer(PROBLEM, AGENT, options)
    check(found)
    assert (len(tuners), len(set(map(id, tuners)))) == (2, 1)
    assert int(tuners[0].learner.updates) == 2 * LEARNER.updates
    assert len(tuners[0]._replay.generations) == 3
    assert surprises[0] == pytest.approx(np.log(3), abs=1e-5)
    assert surprises[1] < surprises[0]
    assert surprises[3] < surprises[2]
    learned_from = [best.seconds for best in found.curve if best.episodes <= 3 * LANES]
    assert tuners[0]._best == pytest.approx(-learned_from[-1], rel=1e-9)
    assert answer(PROBLEM, AGENT, options).plan == found.plan
