"""What episodes of the game keep of the plans that they follow.

    python -m benchmarks.agent.demonstrations [--steps 20000] [--seed 0] [NAME ...]

For each shipped problem (or those named): the share of the time with everything in HBM that local search saves in so
many steps; the share of that saving that an episode after its plan keeps, by the rules of the game; that share where
the game knows the plan and keeps to its places; and that of greedy's plan. Last, median and least of the first two.
"""

from __future__ import annotations

import argparse
from math import inf
from statistics import median

import numpy as np

import workloads.problems as shipped
from mallocgame.game.rules import Game
from mallocgame.solvers.base import all_hbm_seconds, solve
from muzero.training.demonstrations import imitate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    shares: dict[str, list[float]] = {"episode": [], "known": []}
    print(f"{'problem':28}  sites  saved  episode   known  greedy")
    for name in options.names or shipped.names():
        problem = shipped.load(name).problem
        game, whole = Game(problem), all_hbm_seconds(problem)
        local = solve(problem, "local", time_limit=inf, max_steps=options.steps, seed=options.seed)
        gain = whole - local.seconds_under_m
        if not game.program.sites or gain <= 1e-9 * whole:
            print(f"{name:28}  {len(game.program.sites):5}  nothing to save")
            continue
        for column, played in (("episode", game), ("known", Game(problem, local.plan))):
            followed = imitate(played, local.plan, 0, np.random.default_rng(0), errors=0.0)
            shares[column].append((whole - followed.seconds) / gain)
        greedy = whole - solve(problem, "greedy", time_limit=inf).seconds_under_m
        kept = "  ".join(f"{column[-1]:7.4f}" for column in shares.values())
        print(f"{name:28}  {len(game.program.sites):5}  {gain / whole:5.3f}  {kept}  {greedy / gain:6.4f}", flush=True)
    for column, found in shares.items():
        whole_ones = sum(share > 1 - 1e-9 for share in found)
        middle = f"median {median(found):.4f}, least {min(found):.4f}"
        print(f"{column}: {len(found)} problems, all of it on {whole_ones}, {middle}")


if __name__ == "__main__":
    main()
