"""Steps a second of the JAX environment, side by side with Jumanji's BinPack-v2 in one run.

    python -m benchmarks.speed.environment [--batch 64] [--uses 64 256 1024 4096] [--seconds 10] [--seed 0]

Each lane plays random legal moves on one of eight random problems of about so many uses; offsets and starts of copies
are found within the step. Two forms of auto-reset are timed: back to the start of the same problem, and on to another
problem, whose tables then take the place of the lane's. The rate is the best of three stretches after a warm-up;
compile times are printed. The last line tells the ratio to BinPack-v2 at 256 uses; that plays random legal actions with
Jumanji's own auto-reset, and needs ``pip install jumanji``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mallocgame.game.program import Program
from mallocgame.system.errors import BadInputError
from muzero import environment
from muzero.environment import SIZE_CLASSES, SizeClass, tables_of
from workloads.generator import Recipe, random_problem

PROBLEMS = 8
STRETCHES = 3


class Measured(NamedTuple):
    """One row of the table.

    Attributes:
        rate: steps a second, all lanes together.
        compile: seconds.
    """

    rate: float
    compile: float


def measure(run: Callable[[Any, Any], Any], begun: Any, length: int, batch: int, seconds: float) -> Measured:
    """Time ``run(carry, keys)``, which takes ``length`` steps in each of ``batch`` lanes and gives the next carry."""
    keys = jax.random.split(jax.random.key(1), length)
    start = monotonic()
    compiled = jax.jit(run).lower(begun, keys).compile()
    compile_seconds = monotonic() - start
    carry = jax.block_until_ready(compiled(begun, keys))
    best = 0.0
    for stretch in range(STRETCHES):
        steps, start = 0, monotonic()
        while not steps or monotonic() - start < seconds / STRETCHES:
            keys = jax.random.split(jax.random.key(10 * stretch + steps + 2), length)
            carry = jax.block_until_ready(compiled(carry, keys))
            steps += length
        best = max(best, steps * batch / (monotonic() - start))
    return Measured(best, compile_seconds)


def random_moves(key: Any, legal: Any) -> Any:
    """A random legal move a lane, int32[B]; 0 where none is legal."""
    return jax.random.categorical(key, jnp.where(legal, 0.0, -1e9)).astype(jnp.int32)


def problems(size: SizeClass, seed: int) -> list[Program]:
    """Programs of 3/4 of a class's uses or more."""
    found: list[Program] = []
    while len(found) < PROBLEMS:
        seed += 1
        recipe = Recipe(instructions=size.uses * 2 // 5, fast_bytes=65536, parameters=max(3, size.uses // 20))
        program = Program(random_problem(seed, recipe))
        uses = sum(len(tensor.uses) for tensor in program.problem.tensors)
        if not 0.75 * size.uses <= uses <= size.uses:
            continue
        try:
            tables_of(program, size)
        except BadInputError:
            continue
        found.append(program)
    return found


def measure_game(programs: list[Program], size: SizeClass, batch: int, seconds: float) -> tuple[Measured, Measured]:
    """Both forms of auto-reset: to the same problem, and to the next."""
    each = [tables_of(program, size) for program in programs]

    def lanes(shift: int) -> Any:
        return jax.tree.map(
            lambda *leaves: jnp.asarray(np.stack([leaves[(lane + shift) % PROBLEMS] for lane in range(batch)])), *each
        )

    tables, others = lanes(0), lanes(1)
    begin = jax.jit(jax.vmap(environment.start))
    begun, others_begun = begin(tables), begin(others)
    step = jax.vmap(environment.step)

    def same(carry: Any, keys: Any) -> Any:
        def one(states: Any, key: Any) -> Any:
            states, rewards = step(tables, states, random_moves(key, states.legal))
            return jax.vmap(environment.auto_reset)(tables, begun, states), rewards.sum()

        states, rewards = jax.lax.scan(one, carry[0], keys)
        return states, rewards.sum()

    def following(carry: Any, keys: Any) -> Any:
        def one(now: Any, key: Any) -> Any:
            tables, states = now
            states, rewards = step(tables, states, random_moves(key, states.legal))
            return jax.vmap(environment.auto_reset_to)(tables, states, others, others_begun), rewards.sum()

        now, rewards = jax.lax.scan(one, carry[0], keys)
        return now, rewards.sum()

    length = max(4, 12800 // size.uses)
    zero = jnp.float64(0.0)
    first = measure(same, (begun, zero), length, batch, seconds)
    return first, measure(following, ((tables, begun), zero), length, batch, seconds)


def measure_bin_pack(batch: int, seconds: float) -> Measured:
    """Jumanji's BinPack-v2 with random legal actions and its own auto-reset."""
    import jumanji
    from jumanji.wrappers import VmapAutoResetWrapper

    game = VmapAutoResetWrapper(jumanji.make("BinPack-v2"))
    begun = jax.jit(game.reset)(jax.random.split(jax.random.key(0), batch))

    def run(carry: Any, keys: Any) -> Any:
        def one(now: Any, key: Any) -> Any:
            state, timestep = now
            mask = timestep.observation.action_mask
            flat = mask.reshape(mask.shape[0], -1)
            chosen = jax.random.categorical(key, jnp.where(flat, 0.0, -1e9))
            actions = jnp.stack(jnp.unravel_index(chosen, mask.shape[1:]), axis=-1).astype(jnp.int32)
            return game.step(state, actions), None

        return jax.lax.scan(one, carry, keys)[0]

    return measure(run, begun, 100, batch, seconds)


def main() -> int:
    """Print the table; 1 if the game is less than 5 times as fast as BinPack-v2 at 256 uses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--uses", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, load {load}, batch {given.batch}")
    with jax.enable_x64(False):
        bin_pack = measure_bin_pack(given.batch, given.seconds)
    print(f"BinPack-v2: {bin_pack.rate:,.0f} steps/s, compiled in {bin_pack.compile:.1f} s", flush=True)
    ratio = None
    print("uses (sites)      size class  same problem  next problem  x BinPack-v2   compile s")
    for uses in given.uses:
        size = next(size for size in SIZE_CLASSES if size.uses >= uses)
        programs = problems(size, given.seed)
        counts = [sum(len(tensor.uses) for tensor in program.problem.tensors) for program in programs]
        sites = [len(program.sites) for program in programs]
        same, following = measure_game(programs, size, given.batch, given.seconds)
        name = f"{np.mean(counts):.0f} ({np.mean(sites):.0f})"
        print(
            f"{name:16} {size.uses:11} {same.rate:13,.0f} {following.rate:13,.0f} {same.rate / bin_pack.rate:13.2f} "
            f"{same.compile:5.1f} {following.compile:5.1f}",
            flush=True,
        )
        if uses == 256:
            ratio = same.rate / bin_pack.rate
    if ratio is None:
        return 0
    print(f"at 256 uses: {ratio:.2f} times BinPack-v2; the bar is 5")
    return int(ratio < 5.0)


if __name__ == "__main__":
    sys.exit(main())
