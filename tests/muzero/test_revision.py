"""Revisions of a known plan by an untrained agent: they leave the rest of it in place."""

from __future__ import annotations

from math import inf

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mallocgame.game import Game, Move
from mallocgame.game.program import Program
from mallocgame.generator import Recipe, random_problem
from mallocgame.plan import Plan
from mallocgame.solvers import solve
from mallocgame.validate import validate
from muzero.answer.revision import Revision
from muzero.environment import plan_of, with_known, with_places
from muzero.memory_game import Task, task_of
from muzero.search import SearchOptions, Variant
from tests.muzero.test_answer import NETWORK

PROBLEM = random_problem(7, Recipe(instructions=16, fast_bytes=4096))
PROGRAM = Program(PROBLEM)
KNOWN = solve(PROBLEM, "greedy", time_limit=inf)
PARAMS = NETWORK.init(jax.random.key(0))
LANES = 8


def known_task(plan: Plan) -> Task:
    task = task_of(PROGRAM)
    return task._replace(tables=with_places(with_known(task.tables, PROGRAM, plan), PROGRAM, plan))


def played(first: int, decisions: int, variant: Variant = Variant.POLICY_ALONE) -> Revision:
    """A revision of greedy's plan, played to its end."""
    heat = jnp.linspace(0, 4, LANES, dtype=jnp.float32)
    options = SearchOptions(variant, simulations=2, max_depth=2)
    revision = Revision(NETWORK, PARAMS, known_task(KNOWN.plan), options, heat, jax.random.key(1), first, decisions)
    while not revision.done:
        revision.go_on()
    return revision


def answers(revision: Revision, lane: int) -> list[int]:
    return np.asarray(revision.states.moves)[lane, : len(PROGRAM.sites)].tolist()


def plan_in(revision: Revision, lane: int) -> Plan:
    state = jax.device_get(jax.tree.map(lambda leaf: leaf[lane], revision.states))
    return plan_of(PROGRAM, known_task(KNOWN.plan).tables, state)


def test_with_no_decisions_it_follows_the_known_plan() -> None:
    revision = played(0, 0)
    assert revision.lanes == [0]
    assert plan_in(revision, 0) == KNOWN.plan
    assert float(revision.states.total[0]) == pytest.approx(KNOWN.seconds_under_m, rel=1e-9)


@pytest.mark.parametrize("variant", [Variant.POLICY_ALONE, Variant.EXACT_RULES])
def test_lanes_differ_from_the_known_plan_and_from_each_other_from_the_first_site_on(variant: Variant) -> None:
    followed = answers(played(0, 0), 0)
    first = len(PROGRAM.sites) // 3
    revision = played(first, 3, variant)
    found = [answers(revision, lane) for lane in revision.lanes]
    assert 2 <= len(found) <= 2**3 - 1, "three decisions, two answers each, but for those of the known plan"
    assert len({tuple(own) for own in found}) == len(found)
    for own in found:
        assert own[:first] == followed[:first]
        assert own != followed
    for lane in revision.lanes:
        assert not validate(PROBLEM, plan_in(revision, lane))


def test_a_lane_is_an_episode_of_the_game_that_knows_the_plan() -> None:
    """After its one decision each answer is the known plan's, or the only legal one, and what it costs is the same."""
    revision = played(0, 1)
    (lane,) = revision.lanes
    game = Game(PROBLEM, KNOWN.plan)
    state, changed = game.start(), 0
    for number, move in enumerate(answers(revision, lane)):
        site, legal = game.site(state), game.legal(state)
        fast = (site.tensor, site.use) in KNOWN.plan.fast_uses or (
            site.use < 0 and site.tensor in KNOWN.plan.fast_definitions
        )
        wanted = [choice for choice in legal if (choice is not Move.DROP) == fast] or list(legal)
        changed += Move(move) not in wanted
        assert number == len(state.moves)
        state, _ = game.step(state, Move(move))
    assert changed == 1
    assert plan_in(revision, lane) == game.plan(state)
    assert float(revision.states.total[lane]) == pytest.approx(game.total(state), rel=1e-9)
