"""A plan carried over to another program says there what it said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from mallocgame.plan.carry_over import carry_over
from mallocgame.plan.named_plan import name_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.problem_file import load_problem
from mallocgame.plan.validate import validate
from mallocgame.solvers import solve
from mallocgame.solvers.annealing.fitting import fitted
from tests.plan.renamed import renumbered
from tests.plan.test_plan_file import small_named, small_problem
from workloads import problems


def test_a_plan_of_the_same_program_is_itself_but_for_addresses() -> None:
    made = carry_over(small_named(), small_problem())
    assert (made.found, made.groups) == (2, 2)
    assert made.plan == Plan(
        fingerprint="f" * 64,
        fast_definitions=frozenset({1}),
        fast_uses=frozenset({(0, 0), (1, 0)}),
        stays=(Stay(0, 1, 2, 0), Stay(1, 1, 2, 0)),
        copies=(Copy(0, "prefetch", 0, 2),),
    )


def test_a_group_that_is_not_found_again_is_told() -> None:
    """``a`` has another name, another size and another operand number: it is another tensor."""
    old = small_named()
    use = replace(old.tensors[1].uses[0], operands=((5, ()),))
    other = replace(old.tensors[1], instruction="z", size=512, uses=(use,))
    made = carry_over(replace(old, tensors=(old.tensors[0], other)), small_problem())
    assert (made.found, made.groups) == (1, 2)
    assert made.plan.fast_definitions == frozenset()
    assert made.plan.fast_uses == {(0, 0)}
    assert made.plan.stays == (Stay(0, 1, 2, 0),)


def prefetches_of(plan: Plan) -> set[tuple[int, int]]:
    """Without their starts: where parameters are alike, one may be found again as another, and its time with it."""
    return {(copy.tensor, copy.before) for copy in plan.copies if copy.kind == "prefetch"}


@pytest.mark.parametrize("name", ["nerf-v4lite", "alphazero-v5p"])
def test_a_plan_of_a_renamed_program_is_found_again_and_fits(name: str) -> None:
    (file,) = Path(problems.__file__).parent.rglob(f"{name}.mgp")
    problem = load_problem(file).problem
    plan = solve(problem, "local", time_limit=60.0, max_steps=2000).plan
    named = name_plan(problem, plan, solver="local")
    old = replace(named, tensors=tuple(renumbered(named.tensors, Random(3))))
    made = carry_over(old, problem)
    assert made.found == made.groups > 0
    assert made.plan.fast_definitions == plan.fast_definitions
    assert made.plan.fast_uses == plan.fast_uses
    assert prefetches_of(made.plan) == prefetches_of(plan) != set()
    found = fitted(problem, made.plan, default_seconds=(1.0, 1.0), time_limit=5.0, seed=0)
    assert validate(problem, found) == ()
    assert (found.fast_definitions, found.fast_uses) == (plan.fast_definitions, plan.fast_uses)


def test_what_has_no_room_is_left_in_hbm() -> None:
    """Two tensors of 4096 bytes at one time, and room for one of them."""
    problem = small_problem()
    problem = replace(problem, target=replace(problem.target, fast_bytes=4096))
    plan = carry_over(small_named(), problem).plan
    found = fitted(problem, plan, default_seconds=(1.0, 1.0), time_limit=1.0, seed=0)
    assert validate(problem, found) == ()
    assert len(found.stays) == 1
