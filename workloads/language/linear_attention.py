"""A transformer with linear attention (Katharopoulos et al., arXiv 2006.16236), computed chunk by chunk."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import Weights, abstract_weights, layer_norm, split_heads

State = tuple[jax.Array, jax.Array]
"""Of all tokens so far: sum of key times value f32[batch, heads, d, d], and sum of keys f32[batch, heads, d]."""


def _features(x: jax.Array) -> jax.Array:
    """The positive feature map elu(x) + 1 (equation 7)."""
    return jax.nn.elu(x.astype(jnp.float32)).astype(x.dtype) + 1


def _chunk(state: State, qkv: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[State, jax.Array]:
    """One chunk, [batch, tokens, heads, d] each: what is before it comes from the state, the rest directly."""
    query, key, value = qkv
    products, keys = state
    before = jnp.einsum("bqhd,bhde->bqhe", query, products.astype(query.dtype), preferred_element_type=jnp.float32)
    before_weight = jnp.einsum("bqhd,bhd->bqh", query, keys.astype(query.dtype), preferred_element_type=jnp.float32)
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=jnp.float32)
    scores = jnp.where(jnp.tril(jnp.ones(scores.shape[-2:], bool)), scores, 0.0)
    inside = jnp.einsum("bhqk,bkhd->bqhd", scores.astype(query.dtype), value, preferred_element_type=jnp.float32)
    weight = before_weight + scores.sum(-1).swapaxes(1, 2)
    products += jnp.einsum("bkhd,bkhe->bhde", key, value, preferred_element_type=jnp.float32)
    keys += key.astype(jnp.float32).sum(1)
    return (products, keys), ((before + inside) / weight[..., None]).astype(query.dtype)


def causal_linear_attention(query: jax.Array, key: jax.Array, value: jax.Array, chunk: int) -> jax.Array:
    """Causal attention with elu + 1 features in place of the softmax (equations 8 to 12).

    Args:
        query: [batch, tokens, heads, d]; ``key`` and ``value`` have the same shape.
        chunk: tokens of one round of the loop; divides the tokens.

    Returns:
        [batch, tokens, heads, d].
    """
    batch, tokens, heads, d = query.shape

    def chunks(x: jax.Array) -> jax.Array:
        return x.reshape(batch, tokens // chunk, chunk, heads, d).swapaxes(0, 1)

    zero = jnp.zeros((batch, heads, d, d), jnp.float32), jnp.zeros((batch, heads, d), jnp.float32)
    _, mixed = jax.lax.scan(_chunk, zero, (chunks(_features(query)), chunks(_features(key)), chunks(value)))
    return mixed.swapaxes(0, 1).reshape(query.shape)


def linear_attention() -> Built:
    """Inference of 8 layers of width 1024 with 16 heads, on 8 x 1024 embedded tokens in chunks of 128."""
    batch, tokens, width, heads, chunk = 8, 1024, 1024, 16, 128
    shapes = {
        "qkv": (width, 3 * width),
        "out": (width, width),
        "up": (width, 4 * width),
        "up_bias": (4 * width,),
        "down": (4 * width, width),
        "down_bias": (width,),
        "scale1": (width,),
        "shift1": (width,),
        "scale2": (width,),
        "shift2": (width,),
    }

    def layer(x: jax.Array, weights: Weights) -> jax.Array:
        h = layer_norm(x, weights["scale1"], weights["shift1"])
        query, key, value = (split_heads(part, heads) for part in jnp.split(h @ weights["qkv"], 3, -1))
        x = x + causal_linear_attention(query, key, value, chunk).reshape(x.shape) @ weights["out"]
        h = layer_norm(x, weights["scale2"], weights["shift2"])
        return x + jax.nn.gelu(h @ weights["up"] + weights["up_bias"]) @ weights["down"] + weights["down_bias"]

    def infer(x: jax.Array, layers: list[Weights]) -> jax.Array:
        for weights in layers:
            x = layer(x, weights)
        return x

    return infer, (
        jax.ShapeDtypeStruct((batch, tokens, width), jnp.bfloat16),
        [abstract_weights(shapes) for _ in range(8)],
    )
