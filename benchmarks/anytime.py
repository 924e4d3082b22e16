"""How much of what a long search finds a short one has found.

    python -m benchmarks.anytime [--short 120] [--long 1800] [FILE ...]

For each program one run of local search under M, without compiles, begun again with the next seed whenever it
converges; FILES are captures or problem files, 20 of the shipped ones if none are given. Gain: seconds saved against
everything in HBM; beside it, where XLA's default is known and the long run beats it by 1 % or more, seconds saved
against that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from time import monotonic

from mallocgame.loading import load
from mallocgame.native.warm_up import compile_native
from mallocgame.problem.schema import Problem
from mallocgame.solvers.base import Task, all_hbm_seconds
from mallocgame.solvers.local import solve

PROGRAMS = 20
LEAST_GAIN = 0.01
"""Share of XLA's default that the long run saves, where the gain against it is told."""


def curve(problem: Problem, long: float) -> list[tuple[float, float]]:
    """(seconds since the start, best seconds under M so far) at each improvement."""
    start = monotonic()
    found = [(0.0, all_hbm_seconds(problem))]

    def improved(seconds: float, _: int) -> None:
        if seconds < found[-1][1]:
            found.append((monotonic() - start, seconds))

    seed = 0
    while monotonic() - start < long:
        left = long - (monotonic() - start)
        task = Task(problem, None, None, seed=seed, time_limit=left, max_steps=None, improved=improved)
        improved(solve(task).seconds, 0)
        seed += 1
    return found


def at(found: list[tuple[float, float]], when: float) -> float:
    """Best seconds under M at a time."""
    return min(seconds for time, seconds in found if time <= when)


def shipped() -> list[Path]:
    """Every third of the problem files."""
    folder = Path(__file__).parent.parent / "workloads" / "problems"
    return sorted(folder.rglob("*.mgp"))[::3][:PROGRAMS]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--short", type=float, default=120.0)
    parser.add_argument("--long", type=float, default=1800.0)
    given = parser.parse_args()
    compile_native()
    shares, over_default = [], []
    for file in given.files or shipped():
        loaded = load(file)
        bests = curve(loaded.problem, given.long)
        whole, default = bests[0][1], loaded.default_seconds()
        short, long = at(bests, given.short), bests[-1][1]
        share = (whole - short) / (whole - long) if long < whole else 1.0
        shares.append(share)
        line = f"{file.name:36} {len(loaded.problem.instructions):5} instructions  {share:8.4%}"
        if default is not None and default - long >= LEAST_GAIN * default:
            over_default.append((default - short) / (default - long))
            line += f"  against XLA's default {over_default[-1]:8.3%}"
        print(line, flush=True)
    found = f"median {median(shares):.4%}, least {min(shares):.4%}"
    print(f"{len(shares)} programs, {given.short:g} s of {given.long:g} s: {found}")
    if over_default:
        beaten = f"median {median(over_default):.3%}, least {min(over_default):.3%}"
        print(f"against XLA's default, {len(over_default)} programs with {LEAST_GAIN:.0%} to gain: {beaten}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
