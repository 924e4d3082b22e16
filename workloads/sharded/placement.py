"""Shardings of abstract arguments: a mesh without devices, so that any topology with enough of them will do."""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec


def mesh(**axes: int) -> AbstractMesh:
    """A mesh of named axes and their sizes, over which the compiler chooses the collectives."""
    return AbstractMesh(tuple(axes.values()), tuple(axes), axis_types=(AxisType.Auto,) * len(axes))


def place(tree: Any, mesh: AbstractMesh, *axes: str | None) -> Any:
    """Abstract values, each with its leading dimensions sharded over these axes; without axes a copy on each device."""
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    return jax.tree.map(lambda value: jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=sharding), tree)
