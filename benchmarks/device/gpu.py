"""What only a GPU can show, in under 4 minutes on an H100 or H200. One row a finding, with the device's name.

    python -m benchmarks.device.gpu [--device gpu] [--parts verdicts ...] [--out benchmarks/results/gpu]

`--device cpu` is a dry run of everything with small sizes: it shows that the script works, and nothing else. A part
that fails leaves a row that says so, and the others go on. A part is a function in `PARTS`, its time in seconds beside
it: add one there. Rows are written as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from mallocgame import api
from mallocgame.probe.calibrate import PROFILED_RUNS
from mallocgame.system.files import write_atomically

Row = dict[str, Any]
Program = tuple[Any, tuple[Any, ...]]


def _size(gpu: int, cpu: int) -> int:
    """A size for the device that JAX has."""
    import jax

    return cpu if jax.default_backend() == "cpu" else gpu


def _products(count: int) -> Program:
    """So many matrix products one after the other."""
    import jax
    import jax.numpy as jnp

    side = _size(2048, 128)

    def run(x: Any, w: Any) -> Any:
        return jax.lax.fori_loop(0, count, lambda _, x: jnp.tanh(x @ w), x)

    one = jax.ShapeDtypeStruct((side, side), jnp.bfloat16)
    return run, (one, one)


def products() -> Program:
    """100 products."""
    return _products(100)


def more_products() -> Program:
    """103 products: 3 % more by construction."""
    return _products(103)


def few_more_products() -> Program:
    """101 products: 1 % more."""
    return _products(101)


def update() -> Program:
    """An optimizer's step on donated state."""
    import jax
    import jax.numpy as jnp

    state = jax.ShapeDtypeStruct((_size(1 << 26, 1 << 16),), jnp.float32)

    def step(weights: Any, moment: Any, gradient: Any) -> Any:
        moment = 0.9 * moment + gradient
        return weights - 1e-3 * moment, moment

    return jax.jit(step, donate_argnums=(0, 1)), (state, state, state)


def attention() -> Program:
    """One layer of a transformer."""
    import jax
    import jax.numpy as jnp

    batch, length, width = _size(8, 2), _size(2048, 64), _size(2048, 64)

    def layer(x: Any, qkv: Any, out: Any, up: Any, down: Any) -> Any:
        q, k, v = jnp.split(x @ qkv, 3, axis=-1)
        weights = jax.nn.softmax(jnp.einsum("bqd,bkd->bqk", q, k) / width**0.5, axis=-1)
        x = x + jnp.einsum("bqk,bkd->bqd", weights, v) @ out
        return x + jax.nn.gelu(x @ up) @ down

    shapes = ((batch, length, width), (width, 3 * width), (width, width), (width, 4 * width), (4 * width, width))
    return layer, tuple(jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in shapes)


def verdicts(quick: bool, _: Path) -> Iterator[Row]:
    """3 % and 1 % more work by construction are found, and equal programs are not called different."""
    here = "benchmarks.device.gpu:"
    names = [here + name for name in ("products", "more_products", "few_more_products", "products")]
    for seed in range(1 if quick else 2):
        found = api.probe(names, time_limit=5 if quick else 14, margin=0.003, seed=seed)
        yield {"seed": seed, "margin": 0.003, **_of_probe(found)}


def donation(quick: bool, _: Path) -> Iterator[Row]:
    """A program that uses up its arguments, beside itself."""
    yield _of_probe(api.probe(["benchmarks.device.gpu:update"] * 2, time_limit=5 if quick else 6))


def options(quick: bool, _: Path) -> Iterator[Row]:
    """A compiler option that has to matter: XLA without its optimisations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unoptimised.json"
        path.write_text(json.dumps({"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}))
        found = api.probe(["benchmarks.device.gpu:attention", path], time_limit=5 if quick else 8)
    yield _of_probe(found)


def calibration(quick: bool, _: Path) -> Iterator[Row]:
    """The device's tiers, and the costliest instructions of a program."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "target.json"
        found = api.calibrate(["benchmarks.device.gpu:attention"], out=target, time_limit=3 if quick else 8)
        kept = json.loads(target.read_text())
    yield {
        "target": kept["target"],
        "measured": kept["measured"],
        "bandwidths": {rate.name: rate.bandwidth for rate in found.rates if rate.bytes},
        "seconds": {rate.name: rate.fastest for rate in found.rates if not rate.bytes},
        "costliest": kept["instructions"][:10],
        "profiled_seconds_a_run": sum(one.total for one in found.instructions) / PROFILED_RUNS,
        "notes": list(found.notes),
    }


OFFLOAD_SECONDS = 115
"""Of `benchmarks.device.offload_device`, its start included."""


def offload(quick: bool, out: Path) -> Iterator[Row]:
    """Training steps under the offload game's plans (`benchmarks.device.offload_device`), in a process of their own."""
    tiny = ["workloads.offload.transformer:tiny_unrolled_transformer"]
    command = [sys.executable, "-m", "benchmarks.device.offload_device", "--out", str(out), "--seconds", "85"]
    try:
        done = subprocess.run(
            [*command, *(["--programs", *tiny, "--rounds", "2"] if quick else [])],
            env={**os.environ, "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92"},
            timeout=None if quick else OFFLOAD_SECONDS,
        )
        yield {"status": done.returncode}
    except subprocess.TimeoutExpired:
        yield {"failure": f"not done in {OFFLOAD_SECONDS} s; its rows so far are in its own file"}


def _of_probe(found: Any) -> Row:
    return {
        "programs": [
            {
                "name": program.name,
                "fastest": program.fastest,
                "median": program.median,
                "ratio": program.interval and [program.interval.ratio, program.interval.low, program.interval.high],
                "verdict": program.verdict,
                "difference": program.difference,
            }
            for program in found.programs
        ],
        "rounds": found.rounds,
        "status": found.status,
        "measuring_seconds": round(found.seconds, 2),
        "clocks": [found.before["clocks"], found.after["clocks"]],
        "load": [found.before["load"], found.after["load"]],
    }


class Part(NamedTuple):
    """One part: yields rows, given whether it is a dry run and the folder of rows; how long it takes on an H100."""

    run: Callable[[bool, Path], Iterator[Row]]
    seconds: int


PARTS: Mapping[str, Part] = {
    "calibration": Part(calibration, 25),
    "offload": Part(offload, 115),
    "verdicts": Part(verdicts, 40),
    "donation": Part(donation, 13),
    "options": Part(options, 17),
}
"""In order of worth."""


def device_of() -> Row:
    """The device at hand and the versions, as the probe names them."""
    from mallocgame.probe.child import ProbeChild

    with ProbeChild() as child:
        return child.ask("find the device", seconds=300)


def main() -> int:
    """Command line; 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu"), help="folder of rows")
    arguments = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cuda" if arguments.device == "gpu" else "cpu"
    device = device_of()
    name = "".join(letter if letter.isalnum() else "-" for letter in device["kind"].lower())
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(
        f"{device['kind']}: about {sum(PARTS[part].seconds for part in arguments.parts)} s on an H100", file=sys.stderr
    )
    rows: list[Row] = []
    failed = 0
    for part in arguments.parts:
        start = perf_counter()
        common = {"part": part, "device": device["kind"], "versions": device["versions"]}

        def put(row: Row, common: Row = common) -> None:
            rows.append({**common, **row})
            text = "".join(json.dumps(row) + "\n" for row in rows)
            write_atomically(arguments.out / f"{name}.jsonl", text.encode())

        try:
            for row in PARTS[part].run(arguments.device == "cpu", arguments.out):
                put(row)
        except Exception as error:  # the other parts go on
            failed += 1
            put({"failure": f"{type(error).__name__}: {error}"})
        print(f"{part}: {perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(f"{len(rows)} rows of {device['kind']}, {failed} parts failed: {arguments.out / f'{name}.jsonl'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
