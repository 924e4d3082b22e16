"""ResNets (He et al., arXiv 1512.03385)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.training import cross_entropy, momentum_step


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with a residual (He et al. 2015, with the stride on the 3x3)."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[batch, height, width, channels] -> [batch, height/stride, width/stride, 4*features]."""

        def conv_norm(y: jax.Array, features: int, kernel: int, stride: int = 1) -> jax.Array:
            y = nn.Conv(features, (kernel, kernel), (stride, stride), use_bias=False, dtype=jnp.bfloat16)(y)
            return nn.BatchNorm(use_running_average=not train, momentum=0.9, dtype=jnp.bfloat16)(y)

        y = nn.relu(conv_norm(x, self.features, 1))
        y = nn.relu(conv_norm(y, self.features, 3, self.stride))
        y = conv_norm(y, 4 * self.features, 1)
        if x.shape != y.shape:
            x = conv_norm(x, 4 * self.features, 1, self.stride)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A residual network of bottlenecks with 1000 classes.

    Attributes:
        blocks: bottlenecks of each stage.
        scanned: whether all but the first of a stage, which are alike, are one scan over stacked weights.
    """

    blocks: tuple[int, ...]
    scanned: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[batch, 224, 224, 3] -> logits f32[batch, 1000]."""
        x = nn.Conv(64, (7, 7), (2, 2), padding=3, use_bias=False, dtype=jnp.bfloat16)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9, dtype=jnp.bfloat16)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for stage, blocks in enumerate(self.blocks):
            x = Bottleneck(64 * 2**stage, 2 if stage else 1)(x, train)
            x = self._alike(64 * 2**stage, blocks - 1, x, train)
        logits: jax.Array = nn.Dense(1000, dtype=jnp.bfloat16)(x.mean((1, 2))).astype(jnp.float32)
        return logits

    def _alike(self, features: int, blocks: int, x: jax.Array, train: bool) -> jax.Array:
        """The other bottlenecks of a stage: the same shape in and out."""
        if not self.scanned:
            for _ in range(blocks):
                x = Bottleneck(features, 1)(x, train)
            return x

        def step(block: Bottleneck, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return block(x, train), None

        scan = nn.scan(step, {"params": 0, "batch_stats": 0}, split_rngs={"params": True}, length=blocks)
        x, _ = scan(Bottleneck(features, 1), x, None)
        return x


LAYERS_50 = ResNet((3, 4, 6, 3))
LAYERS_101 = ResNet((3, 4, 23, 3))
LAYERS_101_SCANNED = ResNet((3, 4, 23, 3), scanned=True)


def inference(model: ResNet, batch: int) -> Built:
    """Logits of images [batch, 224, 224, 3], weights and statistics in bf16."""
    images = jax.ShapeDtypeStruct((batch, 224, 224, 3), jnp.bfloat16)
    variables = in_bfloat16(abstract_variables(model, jnp.zeros((1, 224, 224, 3), jnp.bfloat16), False))

    def infer(variables: Any, images: jax.Array) -> Any:
        return model.apply(variables, images, False)

    return infer, (variables, images)


def training(model: ResNet, batch: int) -> Built:
    """One step on images [batch, 224, 224, 3]: f32 weights and momentum, bf16 compute, batch statistics updated.

    The function takes (weights, velocity, statistics, images, labels) and gives back the first three and the loss.
    """
    images = jax.ShapeDtypeStruct((batch, 224, 224, 3), jnp.bfloat16)
    labels = jax.ShapeDtypeStruct((batch,), jnp.int32)
    variables = abstract_variables(model, jnp.zeros((1, 224, 224, 3), jnp.bfloat16), False)
    weights, statistics = variables["params"], variables["batch_stats"]

    def train(weights: Any, velocity: Any, statistics: Any, images: jax.Array, labels: jax.Array) -> Any:
        def loss(weights: Any) -> Any:
            logits, updated = model.apply(
                {"params": weights, "batch_stats": statistics}, images, True, mutable=["batch_stats"]
            )
            return cross_entropy(logits, labels), updated["batch_stats"]

        (value, updated), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
        return *momentum_step(weights, velocity, gradients), updated, value

    return train, (weights, weights, statistics, images, labels)


def resnet50() -> Built:
    """Inference, batch 32."""
    return inference(LAYERS_50, 32)


def resnet50_train() -> Built:
    """One training step, batch 32."""
    return training(LAYERS_50, 32)


def resnet101() -> Built:
    """Inference, batch 8."""
    return inference(LAYERS_101, 8)


def resnet101_train() -> Built:
    """One training step, batch 16, with the blocks of a stage as a scan."""
    return training(LAYERS_101_SCANNED, 16)
