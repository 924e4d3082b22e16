"""Real models to capture: a catalogue that knows names and imports JAX only when a model is built.

A workload is a function without arguments that returns ``(function, args)``: what to compile, and its arguments as
pytrees of ``jax.ShapeDtypeStruct`` without sharding (whoever compiles adds the device). No array is ever made. A
user's own ``MODULE:FUNCTION`` has the same contract::

    def my_model():
        return step, (jax.ShapeDtypeStruct((256, 1024), jnp.bfloat16), weights)

Programs over several devices put ``NamedSharding(AbstractMesh(...), ...)`` on their arguments.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from workloads.catalogue import BENCHMARK, SHARDED, SMALL, Workload

__all__ = ["BENCHMARK", "SHARDED", "SMALL", "Built", "Workload", "find", "get", "names"]

Built = tuple[Callable[..., Any], tuple[Any, ...]]
"""What to compile, and its abstract arguments."""

_BY_NAME = {workload.name: workload for workload in (*BENCHMARK, *SHARDED, *SMALL)}


def names() -> tuple[str, ...]:
    """Names of all workloads, in the order of the catalogue."""
    return tuple(_BY_NAME)


def find(name: str) -> Workload:
    """The catalogue's entry.

    Raises:
        KeyError: no such workload; the message lists the known ones.
    """
    if name not in _BY_NAME:
        raise KeyError(f"unknown workload {name!r}; known: {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def get(name: str) -> Callable[[], Built]:
    """The builder of a workload; importing it imports JAX.

    Raises:
        KeyError: no such workload.
    """
    module, function = find(name).reference.split(":")
    builder: Callable[[], Built] = getattr(importlib.import_module(module), function)
    return builder
