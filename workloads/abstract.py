"""What flax models share: their abstract variables."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


def abstract_variables(model: nn.Module, *args: Any, **settings: Any) -> Any:
    """Abstract variables (``jax.ShapeDtypeStruct``) of a flax model; ``args`` and ``settings`` are those of its call.

    Arguments that are abstract themselves are traced, all others are given to the model as they are.
    """
    abstract = [arg for arg in args if isinstance(arg, jax.ShapeDtypeStruct)]

    def initialise(*traced: Any) -> Any:
        rest = iter(traced)
        given = [next(rest) if isinstance(arg, jax.ShapeDtypeStruct) else arg for arg in args]
        return model.init(jax.random.key(0), *given, **settings)

    return jax.eval_shape(initialise, *abstract)


def in_bfloat16(variables: Any) -> Any:
    """The same abstract variables, all in bf16, as inference keeps them."""
    return jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, jnp.bfloat16), variables)
