"""Moves a second beside whole replays a second, both native, on one problem in one run.

    python -m benchmarks.speed.moves [FILE] [--seconds 5]

A move changes one alias group of a good plan (in or out of fast memory, or its copies), brings the times under M up to
date, and keeps the change or takes it back. A whole replay computes the same times from the decisions alone. Without
FILE the problem is a random one of about 2,500 instructions. Exit code 1 if, after all moves, the two do not agree to
1e-9.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from mallocgame.programs.loading import load
from mallocgame.solvers.annealing.compiled import compiled
from mallocgame.solvers.annealing.decide import clear, commit, objective, rollback
from mallocgame.solvers.annealing.moves import below, enter
from mallocgame.solvers.annealing.replay import replay_whole
from mallocgame.solvers.annealing.search import Search
from mallocgame.solvers.annealing.world import IN_HBM
from workloads.generator import Recipe, random_problem

TOLERANCE = 1e-9


@compiled
def change_groups(wd: Any, groups: Any, goal: Any, moves: int) -> None:
    """Single changes of random groups; each third one is kept."""
    scratch = np.zeros(len(wd.servings) + 1, np.int64)
    for move in range(moves):
        group = groups[below(wd, len(groups))]
        if wd.groups[group].kind == IN_HBM:
            enter(wd, scratch, group, False)
        else:
            clear(wd, group)
        objective(wd, goal)
        if move % 3 == 0:
            commit(wd)
        else:
            rollback(wd)


@compiled
def replay_often(wd: Any, times: int) -> None:
    """The whole replay, over and over."""
    for _ in range(times):
        replay_whole(wd)


def rate(run: Callable[[int], None], seconds: float) -> float:
    """Runs a second: the best of five."""
    count, best = 1, 0.0
    run(count)
    for _ in range(5):
        done, start = 0, monotonic()
        while monotonic() - start < seconds / 5:
            run(count)
            done += count
            if monotonic() - start < seconds / 50:
                count *= 2
        best = max(best, done / (monotonic() - start))
    return best


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    recipe = Recipe(instructions=1500, fast_bytes=65536, parameters=200)
    problem = load(given.file).problem if given.file else random_problem(0, recipe)
    search = Search(problem, seed=0)
    search.start_cycle(1.0, 0.9999)
    search.anneal(50 * len(search.groups))
    search.set(search.best)
    goal = np.array([[1.0, 0.0], [np.inf, np.inf]])
    moves = rate(lambda count: change_groups(search.world, search.groups, goal, count), given.seconds)
    incremental = search.seconds(0)
    whole = rate(lambda count: replay_often(search.world, count), given.seconds)
    error = abs(incremental / search.seconds(0) - 1)
    print(
        f"{len(problem.instructions)} instructions, {len(problem.tensors)} tensors, {len(search.groups)} groups to move"
    )
    print(f"moves a second:          {moves:12,.0f}")
    print(f"whole replays a second:  {whole:12,.0f}")
    print(f"ratio:                   {moves / whole:12.1f}")
    print(f"relative difference of the times after all moves: {error:.1e}")
    return int(error > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
