"""Transformers, attention of other kinds, diffusion and agents: sizes from their papers, and arithmetic by hand."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest

import workloads

jax = pytest.importorskip("jax")
pytest.importorskip("flax")
jax.config.update("jax_platforms", "cpu")

import jax.numpy as jnp  # noqa: E402
from flax import linen as nn  # noqa: E402

from workloads.abstract import abstract_variables  # noqa: E402
from workloads.agents import muzero, ppo  # noqa: E402
from workloads.science import evoformer  # noqa: E402
from workloads.transformer import attend  # noqa: E402
from workloads.vision import diffusion, swin  # noqa: E402

SEQUENCE, PAIR, HIDDEN = 256, 128, 32
"""Widths of the Evoformer block, and of its outer product."""

GATED = 8 * 32
"""Width of attention over sequences: 8 heads of 32; over pairs it is half of it."""


def _attention(width: int, inner: int) -> int:
    """Query, key and value without biases, gate and output with them."""
    return 4 * width * inner + inner + inner * width + width


EVOFORMER = sum(
    (
        _attention(SEQUENCE, GATED) + 2 * SEQUENCE + 2 * PAIR + PAIR * 8,  # rows, biased by pairs
        _attention(SEQUENCE, GATED) + 2 * SEQUENCE,  # columns
        8 * SEQUENCE**2 + 5 * SEQUENCE + 2 * SEQUENCE,
        2 * SEQUENCE + 2 * (SEQUENCE * HIDDEN + HIDDEN) + HIDDEN**2 * PAIR + PAIR,  # outer product mean
        2 * (6 * (PAIR**2 + PAIR) + 4 * PAIR),  # two triangle products
        2 * (_attention(PAIR, GATED // 2) + 2 * PAIR + PAIR * 4),  # two triangle attentions
        8 * PAIR**2 + 5 * PAIR + 2 * PAIR,
    )
)

ALPHAZERO = sum(
    (
        9 * 17 * 256 + 2 * 256,
        10 * 2 * (9 * 256**2 + 2 * 256),
        256 * 2 + 2 * 2 + (2 * 361 + 1) * 362,  # policy
        256 + 2 + (361 + 1) * 256 + 257,  # value
    )
)

CONVOLUTION = 9 * 256**2

MUZERO = sum(
    (
        9 * (119 + 256 + 8) * 256,  # boards, and states with moves
        2 * 16 * 2 * (CONVOLUTION + 2 * 256),
        CONVOLUTION + 256 + 256 * 73 + 73,  # policy
        256 + 1 + (64 + 1) * 256 + 257,  # value
    )
)

BLOCK = 12 * 512**2 + 13 * 512
"""Weights of a transformer block of width 512: 12 d^2, biases of 4d and 5d, two norms of 2d."""


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("vit-b", 86_567_656),  # ViT-B/16 with 1000 classes, as timm counts it
        ("mlp-mixer-b", 59_880_472),  # Mixer-B/16 with 1000 classes, as timm counts it
        ("swin-t", 28_288_354),  # as torchvision counts it
        ("whisper-encoder", 20_590_592 - 1500 * 512),  # the base encoder without its fixed positions
        ("clip", 151_277_313),  # ViT-B/32, as OpenAI's release counts
        ("alphatensor", 4 * 3 * BLOCK + 3 * (3 * 256 + (16 * 8 + 2) * 512)),
        ("evoformer", EVOFORMER),
        ("alphazero", ALPHAZERO),
        ("muzero", MUZERO),
    ],
)
def test_weights_are_those_of_the_paper(name: str, count: int) -> None:
    assert sum(leaf.size for leaf in jax.tree.leaves(workloads.get(name)()[1][0])) == count


def test_weights_of_the_policy_are_those_of_the_atari_network() -> None:
    convolutions = 8_224 + 32_832 + 36_928
    weights = workloads.get("ppo")()[1][0].weights
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == convolutions + 1_606_144 + 513 * 18 + 513


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("vit-b", (16, 1000)),
        ("mlp-mixer-b", (32, 1000)),
        ("swin-t", (8, 1000)),
        ("whisper-encoder", (1, 1500, 512)),
        ("diffusion-step", (8, 64, 64, 4)),
        ("alphatensor", (32, 3 * 256, 512)),
    ],
)
def test_result_has_the_shape_of_the_task(name: str, shape: tuple[int, ...]) -> None:
    function, args = workloads.get(name)()
    assert jax.eval_shape(function, *args).shape == shape


@cache
def _traced(name: str) -> Any:
    function, args = workloads.get(name)()
    return jax.jit(function).trace(*args)


@pytest.mark.parametrize("name", ["clip", "alphazero", "muzero"])
def test_a_training_step_gives_back_what_it_takes(name: str) -> None:
    given = workloads.get(name)()[1]
    weights, velocity, *_, loss = _traced(name).out_info
    assert _types(weights) == _types(given[0])
    assert _types(velocity) == _types(given[1])
    assert (loss.shape, loss.dtype) == ((), jnp.float32)


def _types(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


@pytest.mark.parametrize(
    ("name", "whiles", "cases"),
    [
        ("clip", 4, 0),  # two towers, there and back
        ("muzero", 7, 0),  # blocks of both towers and moves, there and back; bf16 kernels of the dynamics, once
        ("ppo", 3, 1),  # advantages, epochs, minibatches; an update or none
    ],
)
def test_loops_and_conditionals_are_in_the_program(name: str, whiles: int, cases: int) -> None:
    text = _traced(name).lower(lowering_platforms=("tpu",)).as_text()
    assert len(re.findall(r"stablehlo\.while\b", text)) == whiles
    assert len(re.findall(r"stablehlo\.case\b", text)) == cases


def test_attention_is_the_formula() -> None:
    draw = np.random.default_rng(0)
    query, key, value = (jnp.asarray(draw.normal(size=(2, tokens, 3, 4)), jnp.float32) for tokens in (5, 6, 6))
    bias = jnp.asarray(draw.normal(size=(3, 5, 6)), jnp.float32)
    for row, head, token in np.ndindex(2, 3, 5):
        weights = np.exp(key[row, :, head] @ query[row, token, head] / 2 + bias[head, token])
        expected = weights @ value[row, :, head] / weights.sum()
        np.testing.assert_allclose(attend(query, key, value, bias)[row, token, head], expected, rtol=1e-4)


def test_windows_come_apart_and_together() -> None:
    x = jnp.arange(2 * 4 * 4).reshape(2, 4, 4, 1)
    windows = swin.partition(x, 2)
    assert windows[0, :, :, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert (swin.merge(windows, 4, 2) == x).all()


def test_relative_index_depends_on_the_offset_alone() -> None:
    assert swin.relative_index(2).tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_shifted_windows_hide_what_only_wrapping_made_neighbours() -> None:
    first, right, below, corner = swin.shift_mask(4, 2, 1) == 0
    assert first.all()
    assert right.tolist() == [[i % 2 == j % 2 for j in range(4)] for i in range(4)]
    assert below.tolist() == [[i // 2 == j // 2 for j in range(4)] for i in range(4)]
    assert corner.tolist() == np.eye(4, dtype=bool).tolist()


def test_group_norm_is_that_of_flax() -> None:
    x = np.random.default_rng(0).normal(3, 2, size=(2, 3, 3, 8)).astype(np.float32)
    scale, shift = np.linspace(1, 2, 8), np.linspace(-1, 1, 8)
    ours: Any = diffusion.GroupNorm(4).apply({"params": {"scale": scale, "shift": shift}}, x)
    flax: Any = nn.GroupNorm(4).apply({"params": {"scale": scale, "bias": shift}}, x)
    np.testing.assert_allclose(ours, flax, atol=1e-4)


def test_last_denoising_step_gives_the_image_back() -> None:
    draw = np.random.default_rng(0)
    image, noise = draw.normal(size=(2, 3, 3)).astype(np.float32)
    latents = np.sqrt(1 - 1e-4) * image + np.sqrt(1e-4) * noise
    np.testing.assert_allclose(diffusion.denoise(latents, noise, noise, jnp.int32(0)), image, atol=1e-5)


def test_incoming_edges_are_outgoing_ones_of_the_transposed_pairs() -> None:
    draw = np.random.default_rng(0)
    pair = draw.normal(size=(5, 5, 16)).astype(np.float32)
    shapes = abstract_variables(evoformer.TriangleProduct(outgoing=True), jax.ShapeDtypeStruct(pair.shape, pair.dtype))
    weights = jax.tree.map(lambda leaf: draw.normal(size=leaf.shape).astype(np.float32), shapes)
    weights["params"]["Dense_4"]["kernel"] *= 0  # the gate of the result, which reads the pair itself
    outgoing, incoming = (jax.jit(evoformer.TriangleProduct(side).apply) for side in (True, False))
    np.testing.assert_allclose(outgoing(weights, pair), incoming(weights, pair.swapaxes(0, 1)), atol=0.1)
    assert abs(outgoing(weights, pair) - incoming(weights, pair)).max() > 1


def test_states_lie_between_0_and_1_and_pass_half_of_the_gradient() -> None:
    state = jnp.array([3.0, 5.0, 7.0, 4.0]).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(muzero.zero_to_one(state).ravel(), [0, 0.5, 1, 0.25], rtol=1e-5)
    value, gradient = jax.value_and_grad(lambda x: muzero.half_gradient(x) ** 2)(3.0)
    assert (value, gradient) == (9, 3)


def test_advantages_are_discounted_sums_of_surprises() -> None:
    draw = np.random.default_rng(0)
    rewards, values = draw.normal(size=(2, 6, 3))
    ends, last = (draw.random((6, 3)) < 0.3).astype(float), draw.normal(size=3)
    following = np.concatenate([values[1:], last[None]])
    surprises = rewards + 0.99 * (1 - ends) * following - values
    expected = np.zeros((6, 3))
    for actor, start in np.ndindex(3, 6):
        weight = 1.0
        for step in range(start, 6):
            expected[start, actor] += weight * surprises[step, actor]
            weight *= 0.99 * 0.95 * (1 - ends[step, actor])
    given = (jnp.asarray(array, jnp.float32) for array in (rewards, ends, values, last))
    np.testing.assert_allclose(ppo.advantages(*given), expected, rtol=1e-4, atol=1e-5)


def test_learning_stops_at_the_limit_of_divergence() -> None:
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), workloads.get("ppo")()[1][0].weights)
    learner = ppo.Learner(zeros, zeros, zeros, jnp.int32(0))
    steps, frames = jnp.zeros((2, 2)), jnp.zeros((2, 2, 84 * 84 * 4), jnp.uint8)
    learn = jax.jit(ppo.learn)

    def updates(likelihood: float) -> int:
        """Updates made on four steps whose actions had this log likelihood when they were taken."""
        rollout = ppo.Rollout(frames, steps.astype(jnp.int32), steps + likelihood, steps, steps, steps)
        return int(learn(learner, rollout, jnp.zeros(2), jnp.zeros(2, jnp.uint32))[0].count)

    assert updates(-np.log(18)) == 16  # weights of zeros: the first policy is uniform
    assert updates(-10.0) == 1
