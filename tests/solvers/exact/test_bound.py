"""The proven bound is below every plan, and what its certificate says holds."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mallocgame.game import Game
from mallocgame.models.replay import replay_plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers import solve
from mallocgame.solvers.exact import proven_bound
from mallocgame.solvers.exact.certificate import certified
from mallocgame.solvers.exact.model import Linear, Model
from tests.game.hand_made import Step, problem
from workloads.generator import (
    known_optimum,
    random_problem,
    varied_known_recipe,
    varied_recipe,
    with_links,
    with_reservations,
)


@pytest.mark.parametrize("seed", range(16))
def test_no_plan_is_below(seed: int) -> None:
    """From seed 12 on instructions reserve fast memory; with even seeds links bound some."""
    task = random_problem(seed, varied_recipe(seed, largest=40))
    if seed % 2 == 0:
        task = with_links(task, seed)
    if seed >= 12:
        task = with_reservations(task, seed)
    bound = proven_bound(task, time_limit=5)
    assert bound.linear <= bound.seconds
    plans = [solve(task, "greedy", time_limit=5).plan]
    game, rng = Game(task), random.Random(seed)
    for _ in range(10):
        state = game.start()
        while not game.done(state):
            state, _ = game.step(state, rng.choice(sorted(game.legal(state), key=lambda move: move.value)))
        plans.append(game.plan(state))
    for plan in plans:
        assert bound.seconds <= replay_plan(task, plan, "M").total * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_known_optimum_is_not_below(seed: int) -> None:
    known = known_optimum(seed, varied_known_recipe(seed, largest=20))
    bound = proven_bound(known.problem, time_limit=5)
    assert bound.seconds <= known.seconds * (1 + 1e-9)


def test_certificate_by_hand() -> None:
    """Minimise x + 2y, x + y >= 3, both within 0 and 2: 4 at (2, 1), proven by the multiplier 2: 2*3 + (1-2)*2."""
    model = Model(1.0)
    x, y = model.time(0.0, 2.0), model.time(0.0, 2.0)
    model.at_least(x + y, 3.0)
    model.objective = x + y * 2.0
    assert certified(model, [2.0]) == pytest.approx(4.0, rel=1e-8)
    assert certified(model, [1.5]) == pytest.approx(1.5 * 3 - 0.5 * 2, rel=1e-8), "any multiplier proves something"
    assert certified(model, [-5.0]) == 0.0, "a negative multiplier counts as none"


def test_constant_model_needs_no_solver() -> None:
    model = Model(1.0)
    model.objective = Linear({}, 7.0)
    assert certified(model, []) == pytest.approx(7.0, rel=1e-8)


def test_result_of_the_last_instruction_crosses_hbm() -> None:
    """A result that nothing reads: written to fast memory it has to be evicted, 1 us as if written to HBM at once."""
    task = problem([Step(0.5, makes="r", other_bytes=500.0), Step(opcode="tuple")], {"r": 1000})
    result = replace(task.tensors[0], hbm_definition="entry result")
    bound = proven_bound(replace(task, tensors=(result,)), time_limit=5)
    assert bound.seconds == pytest.approx(1.5e-6, rel=1e-6)


@pytest.mark.parametrize(("between", "microseconds"), [(0, 5.0), (1, 1.0 + 0.5)])
def test_no_copy_between_a_definition_and_the_very_next_time(between: int, microseconds: float) -> None:
    """1,000 bytes of a parameter, read five times over: 5 us from HBM; or 1 us to copy them and 0.5 us.

    The step between takes 0.4 us of that 1 us and reads nothing. Without a step XLA makes no copy, and refuses it.
    """
    parameter, reader = Step(opcode="parameter", makes="w"), Step(makes="x", reads=("w",))
    task = problem([parameter, *[Step(0.4)] * between, reader, Step(reads=("x",))], {"w": 1000, "x": 0})
    (use,) = task.tensors[0].uses
    w = replace(task.tensors[0], uses=(replace(use, accessed_bytes=5000.0),))
    read = replace(task.instructions[use.time], total_bytes=5000.0)
    instructions = tuple(read if time == use.time else step for time, step in enumerate(task.instructions))
    bound = proven_bound(replace(task, tensors=(w, task.tensors[1]), instructions=instructions), time_limit=5)
    assert bound.seconds == pytest.approx(microseconds * 1e-6, rel=1e-6)


def _reading(task: Problem, tensor: int, accessed: float) -> Problem:
    """The problem with so many bytes read by the tensor's only use."""
    (use,) = task.tensors[tensor].uses
    tensors, instructions = list(task.tensors), list(task.instructions)
    more = accessed - use.accessed_bytes
    tensors[tensor] = replace(tensors[tensor], uses=(replace(use, accessed_bytes=accessed),))
    instructions[use.time] = replace(instructions[use.time], total_bytes=instructions[use.time].total_bytes + more)
    return replace(task, tensors=tuple(tensors), instructions=tuple(instructions))


def test_what_is_updated_in_place_is_where_the_update_is() -> None:
    """A parameter of 1,000 bytes is read and updated in place, 0 bytes written: 1 us, after 1 us that leaves HBM idle.

    A prefetch in that time would leave 0.1 us of reading; the update would be in fast memory then, and its eviction
    1 us more.
    """
    root = Step(opcode="tuple", reads=("r",))
    steps = [Step(opcode="parameter", makes="p"), Step(1.0), Step(makes="r", reads=("p",)), root]
    task = problem(steps, {"p": 1000, "r": 1000}, groups=(("p", "r"),))
    p, r = task.tensors
    instructions = list(task.instructions)
    instructions[2] = replace(instructions[2], total_bytes=1000.0)
    task = replace(task, tensors=(p, replace(r, defined_bytes=0.0)), instructions=tuple(instructions))
    assert r.hbm_definition == "entry result"
    assert proven_bound(task, time_limit=5).seconds == pytest.approx(2.0e-6, rel=1e-6)


def test_what_is_evicted_makes_room_when_it_has_been_drained() -> None:
    """Of 1,024 bytes "a" takes 1,000, then "b", which is read five times over; "a" is read from HBM at last.

    Written to HBM, "a" takes 1 us; in fast memory 0.1 us and an eviction: 0.4 us of it while nothing else happens, 24
    bytes beside "b", so 0.576 us of waiting. Then "b" is made in 0.1 us and read in 0.6 us, and "a" read in 1 us.
    """
    steps = [Step(makes="a"), Step(0.4), Step(makes="b"), Step(0.6, reads=("b",)), Step(reads=("a",))]
    task = _reading(problem(steps, {"a": 1000, "b": 1000}), 1, 5000.0)
    assert proven_bound(task, time_limit=5).seconds == pytest.approx(2.776e-6, rel=1e-6)


def test_a_copy_has_its_bytes_while_it_is_under_way() -> None:
    """Of 1,024 bytes "x" takes 1,000, is made in 0.1 us and read in 2 us, which leaves HBM idle.

    But a prefetch of "w" has no room then, so 1 us remains to read it.
    """
    steps = [Step(opcode="parameter", makes="w"), Step(makes="x"), Step(2.0, reads=("x",)), Step(reads=("w",))]
    task = _reading(problem(steps, {"w": 1000, "x": 1000}), 1, 5000.0)
    assert proven_bound(task, time_limit=5).seconds == pytest.approx(3.1e-6, rel=1e-6)


def test_a_copy_may_be_replaced_by_a_prefetch() -> None:
    """A copy of a parameter, after 2 us that leave HBM idle, is read five times over from fast memory in 0.5 us.

    Where XLA replaces it, it takes no time. From a prefetch of the parameter it would take 0.2 us.
    """
    steps = [Step(opcode="parameter", makes="w"), Step(2.0), Step(makes="x", reads=("w",)), Step(reads=("x",))]
    task = _reading(problem(steps, {"w": 1000, "x": 1000}, fast_bytes=2560), 1, 5000.0)
    instructions = list(task.instructions)
    instructions[2] = replace(instructions[2], opcode="copy")
    task = replace(task, instructions=tuple(instructions))
    assert proven_bound(task, time_limit=5).seconds == pytest.approx(2.5e-6, rel=1e-6)
    other_layout = replace(task, tensors=(task.tensors[0], replace(task.tensors[1], size=1280)))
    assert proven_bound(other_layout, time_limit=5).seconds == pytest.approx(2.7e-6, rel=1e-6)
