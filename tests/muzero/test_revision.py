"""The episode after a known plan, and revisions of it, beside the reference rules."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest

from mallocgame.game import Game, Move
from mallocgame.game.program import Program
from mallocgame.game.rules import State as Position
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import validate
from mallocgame.solvers import solve
from muzero.answer.known_episode import KnownEpisode
from muzero.answer.revision import Revision, SearchedRevision
from muzero.environment import State, is_fast, observe, plan_of, start, step, with_known, with_places
from muzero.memory_game import Task, task_of
from muzero.networks import Params
from muzero.search import SearchOptions, Variant
from tests.muzero.test_answer import NETWORK
from workloads.generator import Recipe, random_problem

PROBLEM = random_problem(7, Recipe(instructions=16, fast_bytes=4096))
PROGRAM = Program(PROBLEM)
SITES = len(PROGRAM.sites)
KNOWN = solve(PROBLEM, "greedy", time_limit=inf)
FAST = np.array([is_fast(KNOWN.plan, site) for site in PROGRAM.sites])
LANES = 8


def drawn_params() -> Params:
    """An untrained network's, but with opinions: its last layers are zero."""
    leaves, tree = jax.tree.flatten(NETWORK.init(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [leaf + 0.3 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


PARAMS = drawn_params()


def known_task() -> Task:
    task = task_of(PROGRAM)
    return task._replace(tables=with_places(with_known(task.tables, PROGRAM, KNOWN.plan), PROGRAM, KNOWN.plan))


def followed() -> KnownEpisode:
    """The episode after greedy's plan, played to its end."""
    episode = KnownEpisode(NETWORK, PARAMS, known_task())
    while not episode.done:
        episode.go_on()
    return episode


def played(revision: Revision) -> Revision:
    while not revision.done:
        revision.go_on()
    return revision


def searched(first: int, decisions: int, variant: Variant) -> Revision:
    heat = jnp.linspace(0, 4, LANES, dtype=jnp.float32)
    options = SearchOptions(variant, simulations=2, max_depth=2)
    player = NETWORK, PARAMS, known_task(), options
    return played(SearchedRevision(*player, followed(), heat, jax.random.key(1), first, decisions))


def answers(states: State, lane: int) -> list[int]:
    return np.asarray(states.moves)[lane, :SITES].tolist()


def plan_in(states: State, lane: int) -> Plan:
    state = jax.device_get(jax.tree.map(lambda leaf: leaf[lane], states))
    return plan_of(PROGRAM, known_task().tables, state)


def by_the_rules(wishes: Sequence[bool] | npt.NDArray[np.bool_]) -> tuple[Game, Position, list[bool]]:
    """An episode of the reference that knows the plan and follows wishes; and where it had a choice."""
    game, choices = Game(PROBLEM, KNOWN.plan), []
    state = game.start()
    while not game.done(state):
        legal = game.legal(state)
        choices.append(len(legal) > 1)
        wanted = [move for move in legal if (move is not Move.DROP) == wishes[len(state.moves)]]
        state, _ = game.step(state, (wanted or list(legal))[0])
    return game, state, choices


def test_it_follows_the_known_plan() -> None:
    episode = followed()
    assert plan_in(episode.states, 0) == KNOWN.plan
    assert episode.total == pytest.approx(KNOWN.seconds_under_m, rel=1e-9)
    opinion = episode.opinion
    assert opinion.fast.tolist() == FAST.tolist()
    assert opinion.open.tolist() == by_the_rules(FAST)[2]
    assert 5 < opinion.open.sum() < SITES


def test_the_margins_are_the_networks() -> None:
    """Asked anew at each site, without any loop."""
    tables, margins = known_task().tables, []
    move_on, look = jax.jit(step), jax.jit(observe)
    state, episode = jax.jit(start)(tables), followed()
    for move in answers(episode.states, 0):
        seen = jax.tree.map(lambda leaf: leaf[None], look(tables, state))
        logits = np.asarray(NETWORK.predict(PARAMS, NETWORK.represent(PARAMS, seen))[0])[0]
        legal = [number for number in range(1, 3) if state.legal[number]]
        margins.append(max(logits[legal]) - logits[0] if state.legal[0] and legal else 0.0)
        state, _ = move_on(tables, state, jnp.int32(move))
    assert np.count_nonzero(margins) == episode.opinion.open.sum()
    np.testing.assert_allclose(episode.opinion.margin, margins, atol=1e-4)


def test_positions_before_sites() -> None:
    """Each is on the way, and no later than its site; the last of them that is."""
    episode, every = followed(), -(-SITES // 16)
    sites = np.array([0, 1, SITES // 2, SITES - 1])
    found = episode.before(sites)
    assert found.at.tolist() == [site // every * every for site in sites.tolist()]
    for lane, at in enumerate(found.at.tolist()):
        assert answers(found, lane)[:at] == answers(episode.states, 0)[:at]


def test_lanes_are_episodes_of_the_game_that_knows_the_plan() -> None:
    """Wishes of all kinds, of a single site to all, give what the reference gives."""
    rng, episode = np.random.default_rng(3), followed()
    wishes = [FAST ^ (rng.random(SITES) < share) for share in (0.02, 0.05, 0.1, 0.2, 0.5)]
    wishes += [~FAST, np.ones(SITES, bool), np.zeros(SITES, bool)]
    revision = played(Revision(known_task(), episode, wishes))
    assert revision.lanes == list(range(len(wishes)))
    for lane, own in enumerate(wishes):
        game, state, _ = by_the_rules(own)
        assert answers(revision.states, lane) == [move.value for move in state.moves]
        assert plan_in(revision.states, lane) == game.plan(state)
        assert float(revision.states.total[lane]) == pytest.approx(game.total(state), rel=1e-9)


@pytest.mark.parametrize("variant", [Variant.LEARNED_MODEL, Variant.EXACT_RULES])
def test_searched_lanes_differ_from_the_known_plan_and_from_each_other_from_the_first_site_on(variant: Variant) -> None:
    known, first = answers(followed().states, 0), SITES // 3
    revision = searched(first, 3, variant)
    found = [answers(revision.states, lane) for lane in revision.lanes]
    assert 2 <= len(found) <= 2**3 - 1, "three decisions, two answers each, but for those of the known plan"
    assert len({tuple(own) for own in found}) == len(found)
    for own in found:
        assert own[:first] == known[:first]
        assert own != known
    for lane in revision.lanes:
        assert not validate(PROBLEM, plan_in(revision.states, lane))


def test_a_searched_lane_follows_the_known_plan_after_its_decision() -> None:
    revision = searched(0, 1, Variant.EXACT_RULES)
    (lane,) = revision.lanes
    moves, game = answers(revision.states, lane), Game(PROBLEM, KNOWN.plan)
    state, changed = game.start(), []
    for number, move in enumerate(moves):
        legal = game.legal(state)
        wanted = [choice for choice in legal if (choice is not Move.DROP) == FAST[number]] or list(legal)
        if Move(move) not in wanted:
            changed.append(number)
        state, _ = game.step(state, Move(move))
    assert changed == [int(np.argmax(followed().opinion.open))]
    assert float(revision.states.total[lane]) == pytest.approx(game.total(state), rel=1e-9)
