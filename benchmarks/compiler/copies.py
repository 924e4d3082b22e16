"""The rules against the compiler, copy by copy: whatever prefetch they allow is asked for, alone, and read back.

    python -m benchmarks.compiler.copies [--programs switch two_loops ...] [--targets v5e "v4 lite"]

The programs are small and outside the catalogue; weights and products go into loops and conditionals, and are read
before and after. For each prefetch that the rules allow there are two compiles: with its earliest and its latest start.
Exit code 1 where the compiler does not honour one in full.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.verify import verify
from mallocgame.game.program import Program
from mallocgame.plan.named_plan import name_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem.schema import Problem

SIZE = 512


def _arguments(count: int) -> tuple[Any, ...]:
    """A number and arrays of 512 KiB."""
    import jax
    import jax.numpy as jnp

    square = jax.ShapeDtypeStruct((SIZE, SIZE), jnp.bfloat16)
    return (jax.ShapeDtypeStruct((), jnp.int32), *[square] * count)


def straight() -> tuple[Any, Any]:
    """No calls: weights and products that are read again."""
    import jax.numpy as jnp

    def run(_: Any, x: Any, w: Any, v: Any) -> Any:
        product = jnp.tanh(x @ w)
        y = jnp.sin(product @ v)
        return jnp.cos(jnp.tanh(y @ w) @ v) @ product

    return run, _arguments(3)


def two_loops() -> tuple[Any, Any]:
    """A weight and a product that two loops read, and something after them."""
    import jax
    import jax.numpy as jnp

    def run(_: Any, x: Any, w: Any, v: Any) -> Any:
        product = jnp.tanh(x @ v)
        y, _ = jax.lax.scan(lambda c, _: (jnp.tanh(c @ w) @ product, None), jnp.sin(x @ w), None, length=4)
        y, _ = jax.lax.scan(lambda c, _: (jnp.cos(c @ w) @ product, None), jnp.sin(y @ v), None, length=4)
        return jnp.tanh(y @ v) @ w + product

    return run, _arguments(3)


def two_conditionals() -> tuple[Any, Any]:
    """A weight and a product in branches, and after them."""
    import jax
    import jax.numpy as jnp

    def run(i: Any, x: Any, w: Any, v: Any) -> Any:
        product = jnp.tanh(x @ v)
        y = jax.lax.cond(i > 0, lambda y: jnp.tanh(y @ w), lambda y: jnp.sin(y @ product), jnp.sin(x @ w))
        y = jax.lax.cond(i > 1, lambda y: jnp.cos(y @ w), lambda y: jnp.cos(y @ product), jnp.sin(y @ v))
        return jnp.tanh(y @ v) @ w + product

    return run, _arguments(3)


def nested() -> tuple[Any, Any]:
    """A conditional in a loop, with uses of the same weight before and after it."""
    import jax
    import jax.numpy as jnp

    def run(i: Any, x: Any, w: Any, v: Any) -> Any:
        def body(c: Any, _: Any) -> Any:
            y = jax.lax.cond(i > 0, lambda y: jnp.tanh(y @ w), jnp.sin, jnp.cos(c @ v))
            return jnp.cos(jnp.sin(y @ v) @ w), None

        y, _ = jax.lax.scan(body, x, None, length=4)
        return jnp.tanh(y @ v) @ w

    return run, _arguments(3)


def switch() -> tuple[Any, Any]:
    """A weight for each branch, one of them read again."""
    import jax
    import jax.numpy as jnp

    def run(i: Any, x: Any, *weights: Any) -> Any:
        return jax.lax.switch(i, [lambda x, w=w: jnp.tanh(x @ w) for w in weights], x) @ weights[0]

    return run, _arguments(4)


def converging() -> tuple[Any, Any]:
    """A loop whose condition reads what it carries."""
    import jax
    import jax.numpy as jnp

    def run(_: Any, x: Any, w: Any, v: Any) -> Any:
        start = jnp.sin(x @ v)
        y = jax.lax.while_loop(lambda c: jnp.max(jnp.abs(c)) > 1e-3, lambda c: jnp.sin(c @ w) @ v, start)
        return jnp.tanh(y @ w) @ v

    return run, _arguments(3)


PROGRAMS: dict[str, Callable[[], tuple[Any, Any]]] = {
    made.__name__: made for made in (straight, two_loops, two_conditionals, nested, switch, converging)
}


def plans(problem: Problem) -> Iterator[tuple[str, Plan]]:
    """A plan of each prefetch that the rules allow by itself, at its earliest and at its latest start."""
    program = Program(problem)
    for tensor in problem.tensors:
        for serving in program.servings[tensor.id]:
            if serving.earliest is None or serving.carries:
                continue
            latest = program.times[program.computation[serving.before]][program.latest[serving.before]]
            for after in sorted({serving.earliest, latest}):
                plan = Plan(
                    problem.fingerprint,
                    fast_uses=frozenset((tensor.id, number) for number in range(serving.first, serving.last + 1)),
                    stays=(Stay(tensor.id, after + 1, serving.before, 0),),
                    copies=(Copy(tensor.id, "prefetch", after, serving.before),),
                )
                if not validate(problem, plan) and not inexpressible(problem, plan):
                    yield f"{tensor.name} from {after} for {serving.before}", plan


def compare(name: str, kept: Capture) -> tuple[int, int]:
    """Prefetches honoured in full, and all that were asked for."""
    honoured = asked = 0
    for words, plan in plans(kept.problem()):
        verification = verify(name_plan(kept.problem(), plan, solver="copies"), kept, msa_off=False)
        asked += 1
        honoured += verification.honoured == verification.sites
        for miss in verification.misses:
            print(f"{name}: {words}: {miss.kind} at {miss.where}: {miss.cause}", file=sys.stderr, flush=True)
    return honoured, asked


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiler.copies")
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--targets", nargs="+", default=["v5e", "v4 lite"])
    options = parser.parse_args(arguments)
    honoured = asked = 0
    for target in options.targets:
        for name in options.programs:
            found = compare(f"{name}, {target}", capture(f"benchmarks.compiler.copies:{name}", None, target))
            print(f"{name}, {target}: honoured {found[0]} of {found[1]}", flush=True)
            honoured, asked = honoured + found[0], asked + found[1]
    print(f"all: honoured {honoured} of {asked}")
    return int(honoured < asked)


if __name__ == "__main__":
    sys.exit(main())
