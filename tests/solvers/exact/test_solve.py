"""The exact solver on problems whose best plan can be worked out by hand, and its ways to stop."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.validate import validate
from mallocgame.problem.schema import Computation, Problem
from mallocgame.solvers import solve
from mallocgame.solvers.exact import BACKENDS, Backend, solve_exactly
from mallocgame.solvers.exact.cp_sat import TICKS, rounded
from mallocgame.solvers.exact.formulation import constrain, decide
from mallocgame.solvers.exact.model import Linear, Model, Row
from mallocgame.solvers.exact.offsets import find_offsets
from mallocgame.solvers.exact.solver_process import end_solvers
from mallocgame.system.errors import BadInputError
from tests.game.hand_made import Step, problem
from workloads.generator import Recipe, known_optimum, random_problem, varied_known_recipe

US = 1e-6


def weights() -> Problem:
    """Two weights of 1000 bytes behind 2 us of compute, room for one: 1 us of HBM each, 0.1 us from fast memory."""
    steps = [
        Step(opcode="parameter", makes="a"),
        Step(opcode="parameter", makes="b"),
        Step(2.0),
        Step(reads=("a",)),
        Step(reads=("b",)),
    ]
    return problem(steps, {"a": 1000, "b": 1000})


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_of_two_weights(backend: Backend) -> None:
    """HBM: 2 + 1 + 1 us. A prefetch during the 2 us makes one of the reads 0.1 us; the other has no idle time left."""
    found = solve_exactly(weights(), backend=backend, time_limit=20)
    assert found.status == "optimal"
    assert found.seconds == pytest.approx(3.1 * US, rel=1e-9)
    assert found.bound == pytest.approx(3.1 * US, rel=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_slowest_branch_counts(backend: Backend) -> None:
    """Branches of 1 and 3 us: a pin of the value in the fast branch gains nothing, one in the slow branch 1.8 us."""
    steps = [
        Step(1.0, makes="x", computation=1),
        Step(reads=("x",), computation=1),
        Step(1.0, makes="y", computation=2),
        Step(reads=("y",), other_bytes=1000.0, computation=2),
        Step(opcode="conditional"),
    ]
    branches = (
        Computation("entry", 0, 4, "entry", None, 1),
        Computation("short", 0, 1, "branch", 4, 1),
        Computation("long", 2, 3, "branch", 4, 1),
    )
    task = problem(steps, {"x": 1000, "y": 1000}, computations=branches)
    assert replay_plan(task, Plan(task.fingerprint), "M").total == pytest.approx(3.0 * US)
    found = solve_exactly(task, backend=backend, time_limit=20)
    assert found.status == "optimal"
    assert found.seconds == pytest.approx(2.1 * US, rel=1e-9), "1 us to make y, 1 + 0.1 us to read it and the rest"


@pytest.mark.parametrize("seed", range(10))
def test_known_optimum_is_reached(seed: int) -> None:
    known = known_optimum(seed, varied_known_recipe(seed, largest=10))
    found = solve_exactly(known.problem, time_limit=30)
    assert found.status == "optimal"
    assert found.seconds <= known.seconds * (1 + 1e-6)


def test_free_groups_are_solved_and_the_others_stay() -> None:
    task = weights()
    fixed = Plan(
        task.fingerprint,
        fast_uses=frozenset({(0, 0)}),
        stays=(Stay(0, 3, 3, 0),),
        copies=(Copy(0, "prefetch", 2, 3),),
    )
    assert replay_plan(task, fixed, "M").total == pytest.approx(4.1 * US), "the copy has no idle time: a stall of 1 us"
    only_b = solve_exactly(task, time_limit=20, fixed=fixed, free_groups={1})
    assert (only_b.status, only_b.seconds) == ("optimal", pytest.approx(4.1 * US))
    both = solve_exactly(task, time_limit=20, fixed=fixed, free_groups={0, 1})
    assert (both.status, both.seconds) == ("optimal", pytest.approx(3.1 * US))


@pytest.mark.parametrize("seed", range(4))
def test_neighbourhood_is_no_worse_than_its_plan(seed: int) -> None:
    task = random_problem(seed, Recipe(instructions=25, fast_bytes=8192))
    plan = solve(task, "greedy").plan
    groups = random.Random(seed).sample(range(len(task.groups)), min(8, len(task.groups)))
    found = solve_exactly(task, backend="highs", time_limit=20, fixed=plan, free_groups=groups)
    assert found.plan is not None
    assert not validate(task, found.plan)
    assert found.bound <= found.seconds <= replay_plan(task, plan, "M").total * (1 + 1e-12)


def test_barred_groups_are_in_hbm() -> None:
    found = solve_exactly(weights(), time_limit=20, barred={0, 1})
    assert found.plan == Plan("hand made")
    assert found.status == "optimal"


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    task = weights()
    in_part = Plan(task.fingerprint, fast_uses=frozenset({(0, 0)}))
    with pytest.raises(BadInputError, match="the plan to start from is not valid: use without stay"):
        solve_exactly(task, fixed=in_part)
    monkeypatch.setattr("mallocgame.solvers.exact.solve.MOST_STARTS", 3)
    found = solve_exactly(task)
    assert (found.status, found.plan, found.seconds) == ("unsupported", None, math.inf)
    assert found.reason == "6 starts of copies, at most 3 are solved"


def test_offsets_or_the_stays_that_have_none() -> None:
    """Four stays of a quarter each have offsets; with a fifth there are none, and all five are the conflict."""
    steps = [Step(1.0, makes=name, computation=0) for name in "pxqyz"]
    task = problem(steps, dict.fromkeys("pxqyz", 256), fast_bytes=1024)
    stays = (Stay(0, 0, 4, 0), Stay(1, 0, 4, 0), Stay(2, 0, 4, 0), Stay(3, 0, 4, 0))
    fits = find_offsets(task, Plan(task.fingerprint, stays=stays), 5.0, 0)
    assert fits.plan is not None
    assert sorted(stay.offset for stay in fits.plan.stays) == [0, 256, 512, 768]
    too_many = find_offsets(task, Plan(task.fingerprint, stays=(*stays, Stay(4, 2, 3, 0))), 5.0, 0)
    assert (too_many.plan, too_many.proven, len(too_many.conflict)) == (None, True, 5)


def test_rounding_keeps_every_solution() -> None:
    """A solution of a row, its times rounded down to ticks, is one of the integer row."""
    rng = random.Random(0)
    for _ in range(300):
        boolean = [rng.random() < 0.5 for _ in range(5)]
        values = [float(rng.randint(0, 1)) if whole else rng.uniform(0, 1000) for whole in boolean]
        terms = {
            number: rng.uniform(-500, 500) if boolean[number] else float(rng.choice([-3, -1, 1, 7]))
            for number in range(5)
        }
        row = Row(terms, Linear(terms).value(values))
        coefficients, low = rounded(row, boolean)
        ticks = [
            int(value) if whole else math.floor(value * TICKS) for value, whole in zip(values, boolean, strict=True)
        ]
        total = sum(coefficient * ticks[number] for number, coefficient in coefficients.items())
        assert low <= total <= low + 20


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_solver_that_does_not_come_back_is_ended(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """CP-SAT of ortools 9.15 hangs now and then, and grows by gigabytes; HiGHS overruns its time."""
    monkeypatch.setattr("mallocgame.solvers.exact.solver_process.PATIENCE", -1.0)
    formulation = decide(random_problem(3, Recipe(instructions=60)))
    constrain(formulation)
    answer = BACKENDS[backend](formulation.model, 1.0, 0, 2)
    assert (answer.status, answer.values) == ("time limit", None)
    monkeypatch.undo()
    small = Model(1.0)
    small.objective = small.choice() + small.choice()
    small.at_least(small.objective, 1.0)
    answer = BACKENDS[backend](small, 10.0, 0, 2)
    assert answer.status == "optimal", "a new process answers"
    assert answer.bound == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("backend", "package", "message"),
    [("cp-sat", "ortools", "CP-SAT needs ortools: pip"), ("highs", "highspy", "HiGHS needs highspy: pip")],
)
def test_missing_packages_are_named(
    backend: Backend, package: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / f"{package}.py").write_text("raise ImportError")
    end_solvers()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BadInputError, match=message):
        solve_exactly(weights(), backend=backend)


def test_group_of_two_sizes_takes_what_it_needs_at_each_time() -> None:
    """u and v share an offset, u half as large: w fits beside u in the 512 bytes that v fills alone later."""
    steps = [Step(makes="u"), Step(makes="w"), Step(makes="v", reads=("u", "w")), Step(reads=("v",))]
    task = problem(steps, {"u": 256, "v": 512, "w": 256}, fast_bytes=512, groups=(("u", "v"),))
    stays = (Stay(0, 0, 1, 0), Stay(1, 1, 1, 0), Stay(2, 2, 3, 0))
    found = find_offsets(task, Plan(task.fingerprint, stays=stays), 5.0, 0)
    assert found.plan is not None
    assert [stay.offset for stay in found.plan.stays] == [0, 256, 0]
