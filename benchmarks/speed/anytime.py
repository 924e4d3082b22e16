"""How much of what a long search finds a short one has found.

    python -m benchmarks.speed.anytime [--short 120] [--long 1800] [--bound 60] [--proofs-only] [FILE ...]

For each program one run of local search under M, without compiles, begun again with the next seed whenever it
converges; FILES are captures or problem files, 20 of the shipped ones if none are given. Gain: seconds saved against
everything in HBM; beside it, where XLA's default is known and the long run beats it by 1 % or more, seconds saved
against that. Where the short run saves 99 % of what the proven bound leaves to save, no run can show less: the long one
is left out, and the bound takes its place ("at least"). With --proofs-only it is left out everywhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from time import monotonic

from mallocgame.problem.schema import Problem
from mallocgame.programs.loading import load
from mallocgame.solvers.annealing.solver import solve
from mallocgame.solvers.annealing.warm_up import compile_native
from mallocgame.solvers.base import Task, all_hbm_seconds
from mallocgame.solvers.exact import proven_bound

PROGRAMS = 20
LEAST_GAIN = 0.01
"""Share of XLA's default that the long run saves, where the gain against it is told."""

PROVEN = 0.99
"""Share of what there is to save that makes a long run needless."""


def curve(problem: Problem, limit: float) -> list[tuple[float, float]]:
    """(seconds since the start, best seconds under M so far) at each improvement."""
    start = monotonic()
    found = [(0.0, all_hbm_seconds(problem))]

    def improved(seconds: float, _: int) -> None:
        if seconds < found[-1][1]:
            found.append((monotonic() - start, seconds))

    seed = 0
    while monotonic() - start < limit:
        left = limit - (monotonic() - start)
        task = Task(problem, None, None, seed=seed, time_limit=left, max_steps=None, improved=improved)
        improved(solve(task).seconds, 0)
        seed += 1
    return found


def at(found: list[tuple[float, float]], when: float) -> float:
    """Best seconds under M at a time."""
    return min(seconds for time, seconds in found if time <= when)


def shipped() -> list[Path]:
    """Every third of the problem files."""
    folder = Path(__file__).parents[2] / "workloads" / "problems"
    return sorted(folder.rglob("*.mgp"))[::3][:PROGRAMS]


def share(whole: float, short: float, long: float) -> float:
    """Of what the long run saves, what the short one does."""
    return (whole - short) / (whole - long) if long < whole else 1.0


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--short", type=float, default=120.0)
    parser.add_argument("--long", type=float, default=1800.0)
    parser.add_argument("--bound", type=float, default=60.0)
    parser.add_argument("--proofs-only", action="store_true")
    given = parser.parse_args()
    compile_native()
    shares, over_default, proofs = [], [], 0
    for file in given.files or shipped():
        loaded = load(file)
        bound = proven_bound(loaded.problem, time_limit=given.bound).seconds
        bests = curve(loaded.problem, given.short)
        whole, short, long = bests[0][1], bests[-1][1], bound
        proven = share(whole, short, bound) >= PROVEN
        proofs += proven
        by_bound = proven or given.proofs_only
        if not by_bound:
            bests = curve(loaded.problem, given.long)
            short, long = at(bests, given.short), bests[-1][1]
        default, least = loaded.default_seconds(), "at least " if by_bound else ""
        shares.append(share(whole, short, long))
        line = f"{file.name:36} {len(loaded.problem.instructions):5} instructions  {least}{shares[-1]:8.4%}"
        if default is not None and default - long >= LEAST_GAIN * default:
            over_default.append((default - short) / (default - long))
            line += f"  against XLA's default {least}{over_default[-1]:8.3%}"
        print(line, flush=True)
    found = f"median {median(shares):.4%}, least {min(shares):.4%}, by the bound {proofs}"
    print(f"{len(shares)} programs, {given.short:g} s of {given.long:g} s: {found}")
    if over_default:
        beaten = f"median {median(over_default):.3%}, least {min(over_default):.3%}"
        print(f"against XLA's default, {len(over_default)} programs with {LEAST_GAIN:.0%} to gain: {beaten}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
