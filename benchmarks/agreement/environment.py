"""Does the JAX environment play the same game as the reference rules? Random moves in both, compared move by move.

    python -m benchmarks.agreement.environment [--moves 100000] [--problems 300] [--shipped 20] [--seed 0]

The problems are random ones of the generator, every third with instructions that reserve fast memory, and the smaller
ones of the shipped problem files. Compared after each
move: legal moves, reward, total, recorded moves, barred groups, every stay's offset, start and end; after each episode
the plan. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from time import monotonic

import workloads.problems as shipped
from mallocgame.problem.schema import Problem
from muzero.environment.conformance import ConformanceError, Played, play
from workloads.generator import Recipe, random_problem, tiny_recipe, varied_recipe, with_links, with_reservations


def problems(count: int, from_files: int, seed: int) -> Iterator[tuple[str, Problem]]:
    """(name, problem): the shortest shipped ones, and random ones with much and little aliasing and contention."""
    entries = sorted(shipped.index(), key=lambda entry: entry.instructions)[: min(from_files, count)]
    for entry in entries:
        yield entry.name, shipped.load(entry.name).problem
    for number in range(seed, seed + count - len(entries)):
        recipes = (
            varied_recipe(number),
            varied_recipe(number),
            Recipe(instructions=40, fast_bytes=16384, aliasing=0.6, nesting=0.3),
            tiny_recipe(number),
        )
        problem = random_problem(number, recipes[number % len(recipes)])
        problem = problem if number % 3 else with_reservations(problem, number)
        yield f"random {number}", problem if number % 5 else with_links(problem, number)


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=100000, help="at least so many in all")
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--shipped", type=int, default=20, help="how many of the problems are shipped ones")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    begun, differences, played = monotonic(), 0, 0
    total = Played(0, 0, 0)
    for name, problem in problems(given.problems, given.shipped, given.seed):
        share = -(-(given.moves - total.moves) // (given.problems - played))
        played += 1
        try:
            done = play(problem, given.seed, max(1, share))
        except ConformanceError as error:
            differences += 1
            print(f"{name}: {error}", flush=True)
            continue
        total = Played(*(one + other for one, other in zip(total, done, strict=True)))
        if played % 25 == 0:
            print(f"{played} problems, {total.moves:,} moves, {monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(
        f"moves: {total.moves:,}, problems: {played}, episodes: {total.episodes}, drop-backups: {total.drop_backups}, "
        f"differences: {differences} ({monotonic() - begun:.0f} s)"
    )
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
