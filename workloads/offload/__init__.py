"""Training steps whose residuals have names, for the offload game.

A program of the game is a function of one argument, ``remat``, that returns ``(step, args)`` as every workload does.
It puts ``remat`` around each block of its loss, and names the residuals in it with ``checkpoint_name``; every name is
given once. The game calls it with ``lambda block: block`` for XLA's default and with ``plan.remat`` for a plan.

Named is every array that a backward pass reads and that no compiler makes again for nothing. Layers follow each other
as a scan, whose iterations share a name and so are decided together, or unrolled, each layer with names of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

Remat = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What a plan does to a block: wraps it in ``jax.checkpoint`` with the plan's policy, or leaves it alone."""


def through_layers(layer: Callable[[str], Callable[..., Any]], x: jax.Array, weights: Any, unrolled: bool) -> jax.Array:
    """``x`` through all layers.

    Args:
        layer: given the ending of its names, a function of x and one layer's weights.
        x: what the first layer takes.
        weights: a pytree; of every leaf, the first axis is the layer.
        unrolled: one after the other, each with names that end in its number; else as a scan, names without an ending.
    """
    if not unrolled:
        run = layer("")
        return jax.lax.scan(lambda x, w: (run(x, w), None), x, weights)[0]
    for number in range(len(jax.tree.leaves(weights)[0])):
        x = layer(f"/{number}")(x, jax.tree.map(lambda leaf, number=number: leaf[number], weights))
    return x
