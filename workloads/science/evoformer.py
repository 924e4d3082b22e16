"""AlphaFold 2's Evoformer block (Jumper et al. 2021, Nature 596, supplement 1.6)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads import Built
from workloads.abstract import abstract_variables, in_bfloat16
from workloads.transformer import attend


def _dense(features: int, bias: bool = True) -> nn.Dense:
    return nn.Dense(features, use_bias=bias, dtype=jnp.bfloat16)


def _norm(x: jax.Array) -> jax.Array:
    return nn.LayerNorm(dtype=jnp.bfloat16)(x)


class GatedAttention(nn.Module):
    """Attention along the second axis, gated by its input, as wide as it."""

    heads: int
    depth: int = 32

    @nn.compact
    def __call__(self, x: jax.Array, pair: jax.Array | None = None) -> jax.Array:
        """[rows, tokens, width], biased by [tokens, tokens, pair width] if given -> [rows, tokens, width]."""
        split = (*x.shape[:2], self.heads, self.depth)
        query, key, value = (_dense(self.heads * self.depth, False)(x).reshape(split) for _ in range(3))
        bias = None if pair is None else _dense(self.heads, False)(pair).transpose(2, 0, 1)
        gate = nn.sigmoid(_dense(self.heads * self.depth)(x))
        return _dense(x.shape[-1])(gate * attend(query, key, value, bias).reshape(gate.shape))


class Transition(nn.Module):
    """Norm and two dense layers, the hidden one four times as wide."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., width] -> the same."""
        return _dense(x.shape[-1])(nn.relu(_dense(4 * x.shape[-1])(_norm(x))))


class OuterProductMean(nn.Module):
    """Update of pairs by products of their columns, averaged over sequences."""

    features: int
    hidden: int = 32

    @nn.compact
    def __call__(self, sequences: jax.Array) -> jax.Array:
        """[sequences, residues, width] -> [residues, residues, features]."""
        x = _norm(sequences)
        left, right = _dense(self.hidden)(x), _dense(self.hidden)(x)
        outer = jnp.einsum("sia,sjb->ijab", left, right) / len(sequences)
        return _dense(self.features)(outer.reshape(*outer.shape[:2], -1))


class TriangleProduct(nn.Module):
    """Update of each pair by the two other edges of all triangles that it is in."""

    outgoing: bool

    @nn.compact
    def __call__(self, pair: jax.Array) -> jax.Array:
        """[residues, residues, width] -> the same."""
        width = pair.shape[-1]
        x = _norm(pair)
        left = nn.sigmoid(_dense(width)(x)) * _dense(width)(x)
        right = nn.sigmoid(_dense(width)(x)) * _dense(width)(x)
        product = jnp.einsum("ikc,jkc->ijc" if self.outgoing else "kic,kjc->ijc", left, right)
        return nn.sigmoid(_dense(width)(x)) * _dense(width)(_norm(product))


class Evoformer(nn.Module):
    """One block: sequences read pairs, pairs read sequences, and pairs reason over triangles."""

    @nn.compact
    def __call__(self, sequences: jax.Array, pair: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[sequences, residues, width] and [residues, residues, pair width] -> both updated."""
        sequences = sequences + GatedAttention(8)(_norm(sequences), _norm(pair))
        columns = _norm(sequences).swapaxes(0, 1)
        sequences = sequences + GatedAttention(8)(columns).swapaxes(0, 1)
        sequences = sequences + Transition()(sequences)
        pair = pair + OuterProductMean(pair.shape[-1])(sequences)
        pair = pair + TriangleProduct(outgoing=True)(pair)
        pair = pair + TriangleProduct(outgoing=False)(pair)
        rows = _norm(pair)
        pair = pair + GatedAttention(4)(rows, rows)
        columns = _norm(pair.swapaxes(0, 1))
        pair = pair + GatedAttention(4)(columns, columns).swapaxes(0, 1)
        return sequences, pair + Transition()(pair)


def evoformer() -> Built:
    """Inference of one block, 128 sequences of 192 residues, 256 and 128 channels, weights in bf16."""
    model = Evoformer()
    sequences = jax.ShapeDtypeStruct((128, 192, 256), jnp.bfloat16)
    pair = jax.ShapeDtypeStruct((192, 192, 128), jnp.bfloat16)

    def infer(variables: Any, sequences: jax.Array, pair: jax.Array) -> Any:
        return model.apply(variables, sequences, pair)

    return infer, (in_bfloat16(abstract_variables(model, sequences, pair)), sequences, pair)
