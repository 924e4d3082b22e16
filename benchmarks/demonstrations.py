"""What episodes of the game keep of the plans that they follow.

    python -m benchmarks.demonstrations [--steps 20000] [--seed 0] [NAME ...]

For each shipped problem (or those named): the share of the time with everything in HBM that local search saves in so
many steps; the share of that saving that an episode after its plan keeps, by the rules of the game; and the same share
of greedy's plan. Last, median and least.
"""

from __future__ import annotations

import argparse
from math import inf
from statistics import median

import numpy as np

import workloads.problems as shipped
from mallocgame.game.rules import Game, Move
from mallocgame.solvers.base import all_hbm_seconds, solve
from muzero.training.demonstrations import imitate


def saved(game: Game, moves: list[int]) -> float:
    """Seconds that an episode of these decisions saves."""
    state, left = game.start(), iter(moves)
    while not game.done(state):
        legal = game.legal(state)
        state, _ = game.step(state, Move(next(left)) if len(legal) > 1 else next(iter(legal)))
    return all_hbm_seconds(game.problem) - game.total(state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    shares = []
    print(f"{'problem':28}  sites  decisions  saved  episode  greedy")
    for name in options.names or shipped.names():
        problem = shipped.load(name).problem
        game, whole = Game(problem), all_hbm_seconds(problem)
        local = solve(problem, "local", time_limit=inf, max_steps=options.steps, seed=options.seed)
        gain = whole - local.seconds_under_m
        if not game.program.sites or gain <= 1e-9 * whole:
            print(f"{name:28}  {len(game.program.sites):5}  nothing to save")
            continue
        moves = imitate(game, local.plan, 0, np.random.default_rng(0), errors=0.0).moves.tolist()
        greedy = whole - solve(problem, "greedy", time_limit=inf).seconds_under_m
        shares.append(saved(game, moves) / gain)
        figures = f"{gain / whole:5.3f}  {shares[-1]:7.4f}  {greedy / gain:6.4f}"
        print(f"{name:28}  {len(game.program.sites):5}  {len(moves):9}  {figures}", flush=True)
    print(f"of {len(shares)} problems: median {median(shares):.4f}, least {min(shares):.4f}")


if __name__ == "__main__":
    main()
