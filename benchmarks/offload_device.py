"""The offload game's answers measured on the device that JAX has: `python -m benchmarks.offload_device`.

For each training step and budget (of what the program needs as it is, by the compiler's own analysis) the plan is the
model's, with the rates of the device's link. As it is, under the usual policies and under the plans, the step runs in
turn: a warm-up, then rounds in which each runs once. Told are the median and the memory that the compiler asks for.
Rows go to benchmarks/results/offload-DEVICE.json. On an H100 it should take a few minutes; on a CPU it only shows that
it works, for XLA's CPU compiler ignores offloading.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mallocgame.files import write_atomically
from mallocgame.offload.confirm import usual_moves
from mallocgame.offload.links import LINKS, Link, get_link, read_link
from mallocgame.offload.policy import NamedMoves, named_moves
from mallocgame.offload.program import load_program
from mallocgame.offload.residuals import Build, read_residuals
from mallocgame.offload.solve import solve

PROGRAMS = ("workloads.offload.transformer:transformer", "workloads.offload.convolutional:convolutional")
SHARES = (0.75, 0.5, 0.35)


def link_of(device: str) -> Link:
    """The link of the table whose name a device's kind has; an A100's for others, such as the CPU of a test."""
    found = next((name for name in LINKS if all(word in device for word in name.split(" ")[:1])), "A100")
    return get_link(found)


def compiled(build: Build, moves: NamedMoves) -> Any:
    """The step under a plan, compiled for the device."""
    step, arguments = build(moves.remat)
    return jax.jit(step).lower(*arguments).compile()


def device_bytes(executable: Any) -> int:
    """Device memory that the compiler asks for: arguments, results and temporaries, without what is shared."""
    found = executable.memory_analysis()
    parts = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return int(parts - found.alias_size_in_bytes)


def arrays(abstract: Any) -> Any:
    """Small random numbers of these shapes, on the device."""
    generator = np.random.default_rng(0)

    def make(leaf: Any) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return jnp.asarray(generator.integers(0, 64, leaf.shape), leaf.dtype)
        return jnp.asarray(generator.standard_normal(leaf.shape, np.float32) * 0.02, leaf.dtype)

    return jax.tree.map(make, abstract)


def measure(executables: dict[str, Any], arguments: Any, rounds: int) -> dict[str, float]:
    """Median seconds of each; the order within a round turns."""
    times: dict[str, list[float]] = {label: [] for label in executables}
    labels = list(executables)
    for turn in range(rounds + 1):
        for label in labels[turn % len(labels) :] + labels[: turn % len(labels)]:
            given = arrays(arguments)
            jax.block_until_ready(given)
            started = perf_counter()
            jax.block_until_ready(executables[label](*given))
            if turn:
                times[label].append(perf_counter() - started)
    return {label: median(found) for label, found in times.items()}


def rows_of(program: str, link: Link, rounds: int) -> list[dict[str, Any]]:
    """The rows of one program: as it is, the usual policies, and a plan for each budget."""
    build = load_program(program)
    problem = read_residuals(build, link, program)
    plain = compiled(build, NamedMoves(None))
    usual = usual_moves(problem)
    chosen = {"xla default": NamedMoves(None), **usual}
    executables = {"xla default": plain, **{label: compiled(build, moves) for label, moves in usual.items()}}
    kept = device_bytes(executables["all named kept"])
    whole = solve(problem, 2**62, solver="greedy")
    margin = kept - (whole.judged.peak if whole.judged else 0)
    budgets: dict[str, int] = {}
    for share in SHARES:
        budget = int(device_bytes(plain) * share)
        found = solve(problem, max(0, budget - margin), solver="local", time_limit=10.0)
        label = f"plan for {share:.0%}"
        if found.plan is not None:
            chosen[label], budgets[label] = named_moves(problem, found.plan), budget
            executables[label] = compiled(build, chosen[label])
    _, arguments = build(NamedMoves(None).remat)
    seconds = measure(executables, arguments, rounds)
    return [
        {
            "program": program,
            "label": label,
            "moves": None if moves.moves is None else dict(moves.moves),
            "budget": budgets.get(label),
            "device_bytes": device_bytes(executables[label]),
            "seconds": seconds[label],
        }
        for label, moves in chosen.items()
    ]


def main() -> int:
    """Measure, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--link", help="a file of measured rates")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    kind = str(jax.devices()[0].device_kind)
    link = read_link(chosen.link) if chosen.link else link_of(kind)
    rows = []
    for program in chosen.programs:
        for row in rows_of(program, link, chosen.rounds):
            rows.append(row)
            told = f"{row['seconds'] * 1e3:9.3f} ms  {row['device_bytes'] / 2**20:9.1f} MiB"
            print(f"{program.split(':')[1]:<20} {row['label']:<22} {told}", flush=True)
    name = re.sub(r"[^A-Za-z0-9]+", "-", kind).strip("-").lower()
    out = chosen.out or Path("benchmarks/results") / f"offload-{name}.json"
    versions = {"jax": jax.__version__, "device": kind, "link": link.name}
    write_atomically(out, (json.dumps({"versions": versions, "rows": rows}, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
