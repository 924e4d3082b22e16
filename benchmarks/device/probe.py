"""Show 1 of the probe: is a program that is 3 % slower by construction found, and are equal ones called different?

    python -m benchmarks.device.probe [--runs 20] [--time-limit 120] [--out rows.jsonl]

Each run is a fresh `mallocgame probe` of three programs: a loop of 100 iterations, the same loop of 103, and the loop
of 100 again, compiled anew. The second has to be called slower, the third neither faster nor slower. One row a run.
Everything else that the machine does goes on beside it; its load is in the rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from mallocgame import api
from mallocgame.system.files import write_atomically

EQUAL, SLOWER = "benchmarks.device.probe:equal", "benchmarks.device.probe:slower"
ITERATIONS, MORE = 100, 103


def loop(iterations: int) -> tuple[Any, tuple[Any, ...]]:
    """A loop whose time is proportional to its iterations, about 0.7 ms for 100 on one core."""
    import jax
    import jax.numpy as jnp

    def run(x: Any) -> Any:
        return jax.lax.fori_loop(0, iterations, lambda _, x: jnp.sin(x) * 1.0001 + x * 0.5, x)

    return run, (jax.ShapeDtypeStruct((2048,), jnp.float32),)


def equal() -> tuple[Any, tuple[Any, ...]]:
    """100 iterations."""
    return loop(ITERATIONS)


def slower() -> tuple[Any, tuple[Any, ...]]:
    """103 iterations."""
    return loop(MORE)


def run(seed: int, time_limit: float) -> dict[str, Any]:
    """One probe, as a row."""
    start = perf_counter()
    found = api.probe([EQUAL, SLOWER, EQUAL], time_limit=time_limit, seed=seed)
    more, same = found.programs[1:]
    assert more.interval is not None
    assert same.interval is not None
    return {
        "seed": seed,
        "device": found.device["kind"],
        "slower": more.verdict,
        "slower_ratio": [round(end, 4) for end in (more.interval.ratio, more.interval.low, more.interval.high)],
        "equal": same.verdict,
        "equal_ratio": [round(end, 4) for end in (same.interval.ratio, same.interval.low, same.interval.high)],
        "rounds": found.rounds,
        "status": found.status,
        "measuring_seconds": round(found.seconds, 1),
        "seconds": round(perf_counter() - start, 1),
        "load": [found.before["load"], found.after["load"]],
        "clocks": found.before["clocks"],
        "versions": found.device["versions"],
    }


def main() -> int:
    """Command line; 0 if at least 95 % of the runs are right on both counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds of measuring, a run")
    parser.add_argument("--out", type=Path, help="rows as JSON, one a line")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in range(options.runs):
        rows.append(run(seed, options.time_limit))
        row = rows[-1]
        for name in ("slower", "equal"):
            print(f"{seed}: {name} program: {row[name]}, {row[f'{name}_ratio']}", file=sys.stderr)
        print(f"{row['rounds']} rounds, {row['seconds']} s, load {row['load']}", file=sys.stderr, flush=True)
        if options.out is not None:
            write_atomically(options.out, "".join(json.dumps(row) + "\n" for row in rows).encode())
    right = sum(row["slower"] == "slower" for row in rows)
    wrong = sum(row["equal"] != "cannot tell" for row in rows)
    seconds = sorted(row["seconds"] for row in rows)
    loads = [load for row in rows for load in row["load"]]
    print(f"{MORE} iterations against {ITERATIONS}: called slower in {right} of {len(rows)} runs")
    print(f"{ITERATIONS} against {ITERATIONS}: called different in {wrong} of {len(rows)} runs")
    print(f"seconds a run: median {seconds[len(seconds) // 2]:.0f}, most {seconds[-1]:.0f}")
    print(f"load of the machine: {min(loads):.1f} to {max(loads):.1f}")
    return 0 if right >= 0.95 * len(rows) and wrong <= 0.05 * len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
