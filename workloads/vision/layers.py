"""What image classifiers share: a normalised convolution, and inference over a batch of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16

Activation = Callable[[jax.Array], jax.Array]


class ConvNorm(nn.Module):
    """A convolution without bias, batch norm with running statistics, an activation; computes in bf16.

    Attributes:
        features: output channels.
        kernel: height and width.
        stride: of both dimensions.
        groups: 1, or the input's channels for a depthwise convolution.
        padding: as of ``nn.Conv``.
        activation: applied last; None for a linear one.
    """

    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    groups: int = 1
    padding: str = "SAME"
    activation: Activation | None = nn.relu

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] -> [batch, height', width', features]."""
        x = nn.Conv(
            self.features,
            self.kernel,
            (self.stride, self.stride),
            padding=self.padding,
            feature_group_count=self.groups,
            use_bias=False,
            dtype=jnp.bfloat16,
        )(x)
        x = nn.BatchNorm(use_running_average=True, dtype=jnp.bfloat16)(x)
        return x if self.activation is None else self.activation(x)


def dense(features: int) -> nn.Dense:
    """A dense layer with bias that computes in bf16."""
    return nn.Dense(features, dtype=jnp.bfloat16)


def inference(model: nn.Module, batch: int, size: int) -> Built:
    """The model on bf16 images [batch, size, size, 3], weights and statistics in bf16, results in f32."""
    images = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.bfloat16)
    variables = in_bfloat16(abstract_variables(model, jnp.zeros((1, size, size, 3), jnp.bfloat16)))

    def infer(variables: Any, images: jax.Array) -> jax.Array:
        logits: Any = model.apply(variables, images)
        return logits.astype(jnp.float32)

    return infer, (variables, images)
