"""Problems with a known optimum: is it accepted, does enumeration agree, does local search reach it, is anything below?

    python -m benchmarks.agreement.known_optimum [--count 1000] [--seed 0] [--max-steps 1000] [--plans 1000]

Each problem is made twice (the same both times), its plan goes through validator and expressibility, and its seconds
through the replay and the relaxed bound. Enumeration is of every plan of the plan space, where there are at most
``--plans`` (it knows no copies into a loop from outside, so problems whose optimum has one are left out). Exit code 1
on any failure; that local search misses an optimum is none.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from time import perf_counter

from mallocgame.models.replay import relaxed_bound, replay_plan
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.solvers import solve
from tests.game.brute_force import best_plan
from workloads.generator import KINDS, Known, known_optimum, varied_known_recipe

TOLERANCE = 1e-12
"""Share of the seconds by which sums may differ from rounding."""

MOST_GROUPS = 7
"""Alias groups that enumeration can find addresses for: it tries every order of theirs."""


def rejected(known: Known) -> str | None:
    """Why a plan is not what it should be, or None."""
    problem, plan, seconds = known
    for violation in (*validate(problem, plan), *inexpressible(problem, plan)):
        return violation.message
    if replay_plan(problem, plan, "M").total != seconds:
        return "the replay gives other seconds"
    if relaxed_bound(problem, "M") > seconds * (1 + TOLERANCE):
        return "it is below the relaxed bound"
    return None


def enumerated(known: Known, plans: int) -> float | None:
    """The optimum by enumeration; None where that cannot be run."""
    movable = [
        group for group in known.problem.groups if not any(known.problem.tensors[id].fixed for id in group.tensors)
    ]
    copied = {copy.tensor for copy in known.plan.copies}
    served = (known.problem.tensors[id].uses[number] for id, number in known.plan.fast_uses if id in copied)
    if len(movable) > MOST_GROUPS or any(use.copy_after is None for use in served):
        return None
    found = best_plan(known.problem, plans)
    return None if found is None else found[0]


def check(seed: int, max_steps: int, plans: int, tally: Counter[tuple[str, str]]) -> str | None:
    """Count one problem; returns what is wrong with it, or None."""
    recipe = varied_known_recipe(seed)
    known = known_optimum(seed, recipe)
    tally["problems", recipe.kind] += 1
    wrong = "another one the second time" if known_optimum(seed, recipe) != known else rejected(known)
    if wrong is not None:
        return wrong
    tally["accepted", recipe.kind] += 1
    best = enumerated(known, plans)
    if best is not None:
        tally["enumerated", recipe.kind] += 1
        if abs(best / known.seconds - 1) > TOLERANCE:
            return f"enumeration finds {best!r} s, the construction {known.seconds!r} s"
        tally["agreed", recipe.kind] += 1
    for solver in ("greedy", "local"):
        ratio = solve(known.problem, solver, seed=seed, time_limit=3600.0, max_steps=max_steps).seconds_under_m
        ratio /= known.seconds
        if ratio < 1 - TOLERANCE:
            tally["below", ""] += 1
            return f"{solver} is below the optimum: {ratio!r} of it"
        tally[f"{solver} reached", recipe.kind] += ratio <= 1 + TOLERANCE
    return None


def main() -> int:
    """Command line; 0 if nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-steps", type=int, default=1000, help="steps of local search")
    parser.add_argument("--plans", type=int, default=1000, help="most plans to enumerate")
    options = parser.parse_args()
    start = perf_counter()
    tally: Counter[tuple[str, str]] = Counter()
    failures = 0
    for seed in range(options.seed, options.seed + options.count):
        wrong = check(seed, options.max_steps, options.plans, tally)
        if wrong is not None:
            failures += 1
            print(f"problem {seed}: {wrong}", flush=True)
        if (seed + 1 - options.seed) % 100 == 0:
            print(f"{seed + 1 - options.seed} of {options.count}", file=sys.stderr, flush=True)
    columns = ("problems", "accepted", "enumerated", "agreed", "greedy reached", "local reached")
    print(f"{'kind':10}" + "".join(f"{column:>16}" for column in columns))
    for kind in KINDS:
        print(f"{kind:10}" + "".join(f"{tally[column, kind]:16}" for column in columns))
    totals = {column: sum(tally[column, kind] for kind in KINDS) for column in columns}
    print(f"{'all':10}" + "".join(f"{totals[column]:16}" for column in columns))
    print(f"{totals['problems']} problems with known optimum, {perf_counter() - start:.0f} s; failures: {failures}")
    print(f"the validator accepts {totals['accepted']} of them")
    print(f"enumeration agrees on {totals['agreed']} of the {totals['enumerated']} that it can run")
    print(f"within {options.max_steps} steps local search reaches {totals['local reached']}")
    print(f"greedy reaches {totals['greedy reached']}; answers below the optimum: {tally['below', '']}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
