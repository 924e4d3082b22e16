"""The one-liner on three models for two targets: what it gains, and what a second call costs.

    python -m benchmarks.robustness.one_liner [--models lstm heat mlp-mixer-b] [--targets "v4 lite" v5p] [--compiles 3]
                                   [--time-limit 20] [--seed 0]

For each program a new process lowers it for a described device and calls ``mallocgame.optimize`` with an empty cache;
a second new process does the same and finds the answer. Timed is the call, on the same machine, one after the other;
lowering is not a part of it. A program passes where the answer is better than XLA's default or equal by game.md's
rule, both calls give the same options, and the second takes less than 1 % of the first. Exit code 1 if one does not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from time import monotonic

import mallocgame
from mallocgame.plan.verdict import WINS
from mallocgame.system.errors import MallocgameError

BAR = 0.01
"""The share of the first call's time that the second may take."""


def call(
    model: str, target: str, cache: str, settings: tuple[int, float, int]
) -> tuple[mallocgame.Optimized, float, float]:
    """Lower a workload and optimize it: the answer, seconds of lowering, seconds of the call."""
    import jax

    import workloads

    compiles, time_limit, seed = settings
    start = monotonic()
    function, args = workloads.get(model)()
    lowered = jax.jit(function).lower(*mallocgame.abstract(target, *args))
    lowering = monotonic() - start
    start = monotonic()
    plan = mallocgame.optimize(lowered, time_limit=time_limit, compiles=compiles, seed=seed, cache=cache)
    return plan, lowering, monotonic() - start


def in_new_process(
    model: str, target: str, cache: str, settings: tuple[int, float, int]
) -> tuple[mallocgame.Optimized, float, float]:
    """``call`` in a process of its own, as another run of the same script is."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, model, target, cache, settings).result()


def measure(model: str, target: str, settings: tuple[int, float, int]) -> bool:
    """Print the row of one program; whether it passes."""
    with tempfile.TemporaryDirectory(prefix="mallocgame-") as cache:
        try:
            first, lowering, searched = in_new_process(model, target, cache, settings)
            second, _, found = in_new_process(model, target, cache, settings)
        except MallocgameError as error:
            print(f"{model:14} {target:8} {error}", flush=True)
            return False
    e_saved, m_saved = first.saving
    passes = (
        first.verdict in (*WINS, "equal")
        and first.confirmed
        and second.from_cache
        and second.compiler_options == first.compiler_options
        and found < BAR * searched
    )
    print(
        f"{model:14} {target:8} {first.verdict or '':7} {-(e_saved or 0):+8.2%} {-(m_saved or 0):+8.2%} "
        f"{first.compiles:8} {lowering:9.1f} {searched:9.1f} {found:9.3f} {found / searched:9.3%}  "
        f"{'passes' if passes else 'FAILS'}  {first.about}",
        flush=True,
    )
    return passes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["lstm", "heat", "mlp-mixer-b"])
    parser.add_argument("--targets", nargs="+", default=["v4 lite", "v5p"])
    parser.add_argument("--compiles", type=int, default=3, help="beside XLA's default")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds of search")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    settings = (given.compiles, given.time_limit, given.seed)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(
        f"{os.cpu_count()} cores, load {load}; {settings[0]} compiles, {settings[1]:g} s of search, seed {settings[2]}"
    )
    print("model          target   verdict  E vs XLA M vs XLA compiles lowered s   first s  second s    second")
    passed = [measure(model, target, settings) for model in given.models for target in given.targets]
    print(f"{sum(passed)} of {len(passed)} programs pass; the bar of the second call is {BAR:.0%} of the first")
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
