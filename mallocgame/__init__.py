"""Decides which tensor of an XLA program lives in fast memory, and hands the decision to the compiler as flags.

From a JAX program, in one line::

    plan = mallocgame.optimize(jax.jit(step).lower(*args))

``mallocgame.api`` has the commands as functions; importing this package imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mallocgame.system.version import __version__

if TYPE_CHECKING:
    from mallocgame.offload.standing_in import applied, policy
    from mallocgame.optimizer import Estimate, Optimized, abstract, described_devices, load_optimized, optimize

__all__ = [
    "Estimate",
    "Optimized",
    "__version__",
    "abstract",
    "applied",
    "described_devices",
    "load_optimized",
    "optimize",
    "policy",
]

_OF_FIT = ("applied", "policy")


def __getattr__(name: str) -> object:
    if name in __all__:
        module = "mallocgame.offload.standing_in" if name in _OF_FIT else "mallocgame.optimizer"
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'mallocgame' has no attribute {name!r}")
