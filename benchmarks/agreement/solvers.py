"""CP-SAT, HiGHS, enumeration and local search on small problems: do they find the same optimum under M?

    python -m benchmarks.agreement.solvers [--count 500] [--seed 0] [--plans 3000] [--seconds 0.5]

Two problems of five come from the generator of known optima, the others are random; instructions of every second one of
these reserve fast memory. Those with more than ``--plans``
plans, or with copies for whole loops, which enumeration does not know, are passed over. CP-SAT and HiGHS have to prove
their answers; every plan goes through the validator. Local search has ``--seconds`` a problem. Every disagreement by
more than a millionth is printed and makes the exit code 1; so does a proven bound above the optimum.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from time import perf_counter
from typing import Literal, NamedTuple

from mallocgame.game.program import Program
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import validate
from mallocgame.problem.schema import Problem
from mallocgame.solvers import solve
from mallocgame.solvers.exact import BACKENDS, proven_bound, solve_exactly
from tests.game.brute_force import best_plan
from workloads.generator import (
    KINDS,
    KnownRecipe,
    known_optimum,
    random_problem,
    tiny_recipe,
    with_links,
    with_reservations,
)
from workloads.generator.known_recipe import Kind

TOLERANCE = 1e-6
"""Share of the seconds that rounding to ticks and HiGHS's tolerances may make."""

SECONDS_LIMIT = 60.0
"""Of CP-SAT and of HiGHS, a problem."""


class Case(NamedTuple):
    """A problem with the optimum that enumeration finds, in seconds."""

    name: str
    problem: Problem
    seconds: float


def cases(first: int, plans: int) -> Iterator[Case]:
    """Problems that can be enumerated, without end."""
    for seed in count(first):
        kind = KINDS[seed // 5 % len(KINDS)] if seed % 5 < 2 else "random"
        problem = _problem(seed, kind)
        found = None if _has_visits(problem) else best_plan(problem, plans)
        if found is not None:
            yield Case(f"{kind} {seed}", problem, found[0])


def _problem(seed: int, kind: Kind | Literal["random"]) -> Problem:
    if kind == "random":
        problem = random_problem(seed, tiny_recipe(seed))
        problem = with_reservations(problem, seed) if seed % 2 else problem
        return problem if seed % 7 else with_links(problem, seed)
    return known_optimum(seed, KnownRecipe(kind, steps=4 + seed % 4, tensors=2 + seed % 3)).problem


def _has_visits(problem: Problem) -> bool:
    """Whether a prefetch may serve a whole loop or branch, which enumeration does not know."""
    return any(serving.first < serving.last for servings in Program(problem).servings for serving in servings)


def differences(case: Case, seconds: float, spent: dict[str, float]) -> Iterator[str]:
    """What does not agree with enumeration."""
    for backend in BACKENDS:
        start = perf_counter()
        exact = solve_exactly(case.problem, backend=backend, time_limit=SECONDS_LIMIT)
        spent[backend] += perf_counter() - start
        if exact.status != "optimal" or exact.plan is None:
            yield f"{backend}: {exact.status}, {exact.seconds!r} s, bound {exact.bound!r} s"
        else:
            yield from _difference(case, backend, exact.plan, exact.seconds)
    start = perf_counter()
    local = solve(case.problem, "local", time_limit=seconds)
    spent["local"] += perf_counter() - start
    yield from _difference(case, "local", local.plan, local.seconds_under_m)
    start = perf_counter()
    bound = proven_bound(case.problem, time_limit=SECONDS_LIMIT)
    spent["bound"] += perf_counter() - start
    spent["tight"] += bound.seconds >= case.seconds * (1 - TOLERANCE)
    if bound.seconds > case.seconds * (1 + TOLERANCE):
        yield f"the proven bound is above: {bound.seconds!r} s"


def _difference(case: Case, name: str, plan: Plan, seconds: float) -> Iterator[str]:
    if violations := validate(case.problem, plan):
        yield f"{name}: the plan is not valid: {violations[0].message}"
    if abs(seconds - case.seconds) > TOLERANCE * case.seconds:
        yield f"{name}: {seconds!r} s"


def main() -> int:
    """Command line; 0 if all agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plans", type=int, default=3000, help="most plans to enumerate")
    parser.add_argument("--seconds", type=float, default=0.5, help="of local search, a problem")
    options = parser.parse_args()
    start = perf_counter()
    spent: dict[str, float] = defaultdict(float)
    disagreements = better_than_hbm = reserving = 0
    for number, case in zip(range(1, options.count + 1), cases(options.seed, options.plans), strict=False):
        better_than_hbm += solve(case.problem, "hbm").seconds_under_m > case.seconds * (1 + TOLERANCE)
        reserving += bool(case.problem.reserved)
        found = list(differences(case, options.seconds, spent))
        disagreements += bool(found)
        for line in found:
            print(f"{case.name}: enumeration {case.seconds!r} s; {line}", flush=True)
        if number % 50 == 0:
            print(f"{number} of {options.count}", file=sys.stderr, flush=True)
    print(
        f"{options.count} problems ({better_than_hbm} where something is gained, {reserving} with reservations), "
        f"{perf_counter() - start:.0f} s; "
        f"CP-SAT {spent['cp-sat']:.0f} s, HiGHS {spent['highs']:.0f} s, local {spent['local']:.0f} s, "
        f"proven bound {spent['bound']:.0f} s"
    )
    print(f"CP-SAT, HiGHS, enumeration and local search agree on {options.count - disagreements}")
    print(f"the proven bound is never above the optimum, and equal to it on {spent['tight']:.0f}")
    return 1 if disagreements else 0


if __name__ == "__main__":
    raise SystemExit(main())
