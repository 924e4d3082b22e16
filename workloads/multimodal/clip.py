"""CLIP (Radford et al., arXiv 2103.00020): an image tower and a text tower that meet in a contrastive loss."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables
from workloads.training import cross_entropy, momentum_step
from workloads.transformer import Block

EMBEDDING = 512
VOCABULARY = 49408


class Tower(nn.Module):
    """A transformer as a scan over stacked layers, computed again in the backward pass (section 2.5), and a norm."""

    layers: int
    heads: int

    @nn.compact
    def __call__(self, x: jax.Array, bias: jax.Array | None = None) -> jax.Array:
        """[batch, tokens, width] -> the same, normed."""

        def layer(block: Block, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return block(x, bias), None

        scan = nn.scan(layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.layers)
        x, _ = scan(nn.remat(Block, prevent_cse=False)(self.heads, 4 * x.shape[-1]), x, None)
        normed: jax.Array = nn.LayerNorm(dtype=jnp.bfloat16)(x)
        return normed


class Clip(nn.Module):
    """ViT-B/32 and a causal text transformer of width 512."""

    @nn.compact
    def __call__(self, images: jax.Array, texts: jax.Array) -> jax.Array:
        """[batch, 224, 224, 3] and ids i32[batch, tokens] -> similarities f32[batch, batch] by image and text."""
        image, text = self.image(images), self.text(texts)
        scale = jnp.exp(self.param("temperature", nn.initializers.constant(2.659), ()))
        return scale * jnp.einsum("ie,te->it", image, text, preferred_element_type=jnp.float32)

    def image(self, images: jax.Array) -> jax.Array:
        """Unit vectors [batch, EMBEDDING] of images, read at the class token."""
        x = nn.Conv(768, (32, 32), (32, 32), padding="VALID", use_bias=False, dtype=jnp.bfloat16)(images)
        x = x.reshape(len(images), -1, 768)
        first = self.param("class", nn.initializers.normal(0.03), (1, 1, 768)).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (len(images), 1, 768)), x], 1)
        x = x + self.param("image_positions", nn.initializers.normal(0.03), x.shape[1:]).astype(x.dtype)
        x = Tower(12, 12)(nn.LayerNorm(dtype=jnp.bfloat16)(x))
        return _unit(nn.Dense(EMBEDDING, use_bias=False, dtype=jnp.bfloat16)(x[:, 0]))

    def text(self, texts: jax.Array) -> jax.Array:
        """Unit vectors [batch, EMBEDDING] of texts, read at their end, which has the greatest id."""
        batch, tokens = texts.shape
        x = nn.Embed(VOCABULARY, 512, dtype=jnp.bfloat16)(texts)
        x = x + self.param("text_positions", nn.initializers.normal(0.01), (tokens, 512)).astype(x.dtype)
        x = Tower(12, 8)(x, jnp.where(jnp.tril(jnp.ones((tokens, tokens), bool)), 0.0, -1e9))
        end = x[jnp.arange(batch), texts.argmax(-1)]
        return _unit(nn.Dense(EMBEDDING, use_bias=False, dtype=jnp.bfloat16)(end))


def _unit(x: jax.Array) -> jax.Array:
    """Rows of length 1, in bf16."""
    y = x.astype(jnp.float32)
    return (y * jax.lax.rsqrt((y * y).sum(-1, keepdims=True))).astype(x.dtype)


def clip() -> Built:
    """One training step, batch 64 of 224x224 images and 77 tokens: f32 weights and momentum, bf16 compute."""
    model = Clip()
    images = jax.ShapeDtypeStruct((64, 224, 224, 3), jnp.bfloat16)
    texts = jax.ShapeDtypeStruct((64, 77), jnp.int32)
    weights = abstract_variables(model, images, texts)

    def loss(weights: Any, images: jax.Array, texts: jax.Array) -> jax.Array:
        similarities: Any = model.apply(weights, images, texts)
        labels = jnp.arange(len(similarities))
        return (cross_entropy(similarities, labels) + cross_entropy(similarities.T, labels)) / 2

    def train(weights: Any, velocity: Any, images: jax.Array, texts: jax.Array) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, images, texts)
        return *momentum_step(weights, velocity, gradients), value

    return train, (weights, weights, images, texts)
