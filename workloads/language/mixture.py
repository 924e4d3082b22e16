"""A transformer whose feed-forward blocks are experts (Fedus et al., arXiv 2101.03961), two of them for each token.

Routing is the top-2 of GShard (Lepikhin et al., arXiv 2006.16668), without its random choice of the second expert.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from workloads import Built
from workloads.language.layers import Weights, abstract_weights, attention, causal_bias, layer_norm, split_heads

EXPERTS = 8
CHOICES = 2


def route(probabilities: jax.Array, capacity: int) -> tuple[jax.Array, jax.Array]:
    """Places tokens in the experts' buffers, first choices first; who finds a buffer full is dropped.

    Args:
        probabilities: f32[groups, tokens, experts], the router's softmax.
        capacity: tokens that an expert takes from one group.

    Returns:
        (dispatch bool[groups, tokens, experts, capacity], combine f32 of the same shape): whether a token is in a
        place, and the share that its answer has there.
    """
    groups, tokens, experts = probabilities.shape
    shares, chosen = jax.lax.top_k(probabilities, CHOICES)
    shares /= shares.sum(-1, keepdims=True)
    combine = jnp.zeros((groups, tokens, experts, capacity), jnp.float32)
    taken = jnp.zeros((groups, 1, experts), jnp.int32)
    for choice in range(CHOICES):
        mask = jax.nn.one_hot(chosen[..., choice], experts, dtype=jnp.int32)
        place = ((jnp.cumsum(mask, 1) - mask + taken) * mask).sum(-1)
        taken += mask.sum(1, keepdims=True)
        slots = jax.nn.one_hot(place, capacity) * shares[..., choice, None]
        combine += mask[..., None] * slots[:, :, None]
    return combine > 0, combine


def experts_block(x: jax.Array, weights: Weights, capacity: int) -> jax.Array:
    """The two chosen experts' answers, weighted: [groups, tokens, width] -> the same."""
    probabilities = jax.nn.softmax(x.astype(jnp.float32) @ weights["router"], -1)
    dispatch, combine = route(probabilities, capacity)
    inputs = jnp.einsum("gsec,gsm->egcm", dispatch.astype(x.dtype), x)
    hidden = jax.nn.relu(jnp.einsum("egcm,emh->egch", inputs, weights["up"]))
    outputs = jnp.einsum("egch,ehm->egcm", hidden, weights["down"])
    return jnp.einsum("gsec,egcm->gsm", combine.astype(x.dtype), outputs)


def mixture_of_experts() -> Built:
    """Inference of 4 layers of width 1024 with 8 experts each, 4 x 1024 embedded tokens, a quarter more places."""
    batch, tokens, width, hidden, heads = 4, 1024, 1024, 4096, 16
    capacity = CHOICES * tokens * 5 // (4 * EXPERTS)
    shapes = {
        "qkv": (width, 3 * width),
        "out": (width, width),
        "up": (EXPERTS, width, hidden),
        "down": (EXPERTS, hidden, width),
        "scale1": (width,),
        "shift1": (width,),
        "scale2": (width,),
        "shift2": (width,),
    }

    def layer(x: jax.Array, weights: Weights) -> jax.Array:
        h = layer_norm(x, weights["scale1"], weights["shift1"])
        query, key, value = (split_heads(part, heads) for part in jnp.split(h @ weights["qkv"], 3, -1))
        mixed = attention(query, key, value, causal_bias(tokens), (width // heads) ** -0.5)
        x = x + mixed @ weights["out"]
        return x + experts_block(layer_norm(x, weights["scale2"], weights["shift2"]), weights, capacity)

    def infer(x: jax.Array, layers: list[Weights]) -> jax.Array:
        for weights in layers:
            x = layer(x, weights)
        return x

    router = {"router": jax.ShapeDtypeStruct((width, EXPERTS), jnp.float32)}
    layers = [abstract_weights(shapes) | router for _ in range(4)]
    return infer, (jax.ShapeDtypeStruct((batch, tokens, width), jnp.bfloat16), layers)
