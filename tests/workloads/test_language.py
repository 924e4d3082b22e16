"""Language models: weights as in the papers, loops and branches that survive, and arithmetic against plain formulas."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402

import workloads  # noqa: E402
from workloads.language import (  # noqa: E402
    bert,
    early_exit,
    linear_attention,
    llama,
    mixture,
    recurrent,
    state_space,
    t5,
    wavenet,
)

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return jnp.asarray(RANDOM.normal(size=shape), jnp.float32)


def built(name: str) -> tuple[Any, Any]:
    return workloads.get(name)()


def size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def lowered(name: str) -> str:
    function, args = built(name)
    jitted = function if hasattr(function, "trace") else jax.jit(function)
    return str(jitted.lower(*args).as_text())


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        # BERT-base has 109,482,240 with its pooler, as published checkpoints do.
        ("bert-base", 3, 109_482_240),
        # Without the pooler, with a masked-token head that is tied to the embedding: d^2 + 3d + vocabulary.
        ("bert-base-train", 1, 109_482_240 - 768**2 - 768 + 768**2 + 3 * 768 + 30522),
        # TinyLlama has 1,100,048,384; 14 of its 22 layers are left out.
        ("llama-prefill", 2, 1_100_048_384 - 14 * (2 * 2048**2 + 2 * 2048 * 256 + 3 * 2048 * 5632 + 2 * 2048)),
        # T5 small has 60,506,624.
        ("t5", 3, 60_506_624),
        # Mamba-370M has 371,516,416: 48 layers, a tied embedding of 50280 x 1024 and the last norm.
        ("state-space", 2, 2 * 1024**2 + (371_516_416 - 50280 * 1024 - 1024) * 4 // 48),
        # Attention 4 d^2, 8 experts of 8 d^2, a router 8 d, two norms.
        ("mixture-of-experts", 2, 4 * 1024**2 + 4 * (4 * 1024**2 + 64 * 1024**2 + 8 * 1024 + 4 * 1024)),
        # Embedding and output 10000 d each, 3 d^2 for the input, 3 d^2 for the state, biases.
        ("gru", 1, 2 * 10000 * 1024 + 6 * 1024**2 + 3 * 1024),
        # 20 layers: 2 taps of 128 x 256, a residual 128^2, a skip 128 x 256; ends 256 x 128 and twice 256^2.
        ("wavenet", 2, 20 * (3 * 128 * 256 + 128**2) + 256 * 128 + 2 * 256**2),
        ("linear-attention", 2, 8 * 1024**2 + 8 * (12 * 1024**2 + 9 * 1024)),
    ],
)
def test_weights_are_those_of_the_paper(name: str, arguments: int, count: int) -> None:
    assert size(built(name)[1][:arguments]) == count


@pytest.mark.parametrize(
    ("name", "operation", "count"),
    [
        ("gpt2-scan", "stablehlo.while", 1),
        ("lstm", "stablehlo.while", 1),
        ("gru", "stablehlo.while", 2),
        ("bert-base-train", "stablehlo.while", 2),
        ("state-space", "stablehlo.while", 4),
        ("linear-attention", "stablehlo.while", 8),
        ("early-exit", "stablehlo.case", 3),
        ("llama-decode-b8", "stablehlo.dynamic_update_slice", 16),
    ],
)
def test_loops_and_branches_are_in_the_program(name: str, operation: str, count: int) -> None:
    assert lowered(name).count(operation) == count


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_decoding_gives_back_its_caches_in_place(batch: int) -> None:
    function, args = built(f"llama-decode-b{batch}")
    logits, caches = jax.eval_shape(function, *args)
    assert logits.shape == (batch, 32000)
    assert jax.tree.map(lambda c: (c.shape, c.dtype), caches) == jax.tree.map(lambda c: (c.shape, c.dtype), args[2])
    assert size(caches) == 8 * 2 * batch * 4 * 1024 * 64
    assert lowered(f"llama-decode-b{batch}").count("tf.aliasing_output") == 16


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("bert-base", [(16, 128, 768), (16, 768)]),
        ("t5", [(8, 128, 32128)]),
        ("early-exit", [(8, 3)]),
        ("wavenet", [(4, 8192, 256)]),
        ("mixture-of-experts", [(4, 1024, 1024)]),
        ("state-space", [(2, 1024, 1024)]),
        ("linear-attention", [(8, 1024, 1024)]),
        ("lstm", [(64, 64, 10000)]),
    ],
)
def test_results(name: str, shapes: list[tuple[int, ...]]) -> None:
    function, args = built(name)
    assert [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(function, *args))] == shapes


@pytest.mark.parametrize(("name", "state"), [("bert-base-train", 4), ("gru", 2)])
def test_a_training_step_gives_back_its_state_and_a_loss(name: str, state: int) -> None:
    function, args = built(name)
    result = jax.eval_shape(function, *args)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), list(result[:-1])) == jax.tree.map(
        lambda x: (x.shape, x.dtype), list(args[:state])
    )
    assert (result[-1].shape, result[-1].dtype) == ((), jnp.float32)


def test_decoding_continues_a_prompt() -> None:
    """The logits after 5 words are those after 4 words with their caches and then the fifth."""
    width, head, groups = 256, llama.HEAD_WIDTH, 2
    matrices = {
        "query": (width, width),
        "key": (width, groups * head),
        "value": (width, groups * head),
        "out": (width, width),
        "gate": (width, 32),
        "up": (width, 32),
        "down": (32, width),
    }
    ends = {"embedding": normal(11, width), "norm": jnp.ones(width), "output": normal(width, 11) / 16}
    layers = [
        {name: normal(*shape) / 16 for name, shape in matrices.items()}
        | {"norm1": jnp.ones(width), "norm2": jnp.ones(width)}
        for _ in range(2)
    ]
    words = jnp.asarray([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
    prefill = jax.jit(llama.prefill)
    whole, _ = prefill(ends, layers, words)
    _, caches = prefill(ends, layers, words[:, :4])
    room = jax.tree.map(lambda c: jnp.pad(c, ((0, 0), (0, 0), (0, 3), (0, 0)), constant_values=7.0), caches)
    last, updated = jax.jit(llama.decode)(ends, layers, room, words[:, 4], jnp.int32(4))
    np.testing.assert_allclose(last, whole, rtol=1e-4, atol=1e-4)
    assert not np.allclose(updated[0][0][:, :, 4], 7.0)
    assert np.all(updated[0][0][:, :, 5:] == 7.0)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    query, key = normal(1, 1, 1, 8), normal(1, 1, 1, 8)

    def score(at: int, other: int) -> float:
        return float((llama.rotate(query, jnp.asarray([at])) * llama.rotate(key, jnp.asarray([other]))).sum())

    assert score(5, 2) == pytest.approx(score(103, 100), rel=1e-4)
    assert score(0, 0) == pytest.approx(float((query * key).sum()), rel=1e-5)


def test_linear_attention_equals_the_quadratic_form() -> None:
    query, key, value = normal(2, 12, 3, 4), normal(2, 12, 3, 4), normal(2, 12, 3, 4)
    mixed = jax.jit(linear_attention.causal_linear_attention, static_argnums=3)(query, key, value, 4)

    def features(x: Any) -> Any:
        return np.where(np.asarray(x) > 0, np.asarray(x) + 1, np.exp(np.asarray(x)))

    scores = np.einsum("bqhd,bkhd->bhqk", features(query), features(key)) * np.tril(np.ones((12, 12)))
    expected = np.einsum("bhqk,bkhd->bqhd", scores / scores.sum(-1, keepdims=True), value)
    np.testing.assert_allclose(mixed, expected, rtol=1e-4, atol=1e-5)


def test_selective_scan_equals_the_recurrence() -> None:
    tokens, channels, states = 2 * state_space.CHUNK, 3, 2
    x, drive, read = normal(1, tokens, channels), normal(1, tokens, states), normal(1, tokens, states)
    step: Any = jnp.abs(normal(1, tokens, channels))
    decay: Any = -jnp.abs(normal(states, channels))
    y = jax.jit(state_space.selective_scan)(x, step, decay, drive, read)

    h = np.zeros((states, channels))
    x, step, decay, drive, read = (np.asarray(value) for value in (x, step, decay, drive, read))
    expected = []
    for t in range(tokens):
        h = np.exp(step[0, t] * decay) * h + np.outer(drive[0, t], step[0, t] * x[0, t])
        expected.append(read[0, t] @ h)
    np.testing.assert_allclose(y[0], expected, rtol=1e-4, atol=1e-4)


def test_gru_cell_equals_its_formula() -> None:
    hidden, x, gates, candidate = normal(2, 4), normal(2, 12), normal(4, 8), normal(4, 4)
    new = recurrent.gru_cell(hidden, x, gates, candidate)

    def sigmoid(v: Any) -> Any:
        return 1 / (1 + np.exp(-np.asarray(v)))

    reset = sigmoid(x[:, :4] + hidden @ gates[:, :4])
    update = sigmoid(x[:, 4:8] + hidden @ gates[:, 4:])
    proposed = np.tanh(x[:, 8:] + (reset * hidden) @ candidate)
    np.testing.assert_allclose(new, update * hidden + (1 - update) * proposed, rtol=1e-5, atol=1e-6)


def test_dilated_convolution_sees_itself_and_one_sample_before() -> None:
    x = jnp.arange(1.0, 7.0)[None, :, None]
    kernel = jnp.asarray([10.0, 1.0])[:, None, None]
    y = wavenet.causal_convolution(x, kernel, 2)
    assert y[0, :, 0].tolist() == [1, 2, 3 + 10, 4 + 20, 5 + 30, 6 + 40]


def test_experts_take_first_choices_first_and_drop_what_has_no_place() -> None:
    # Three tokens prefer expert 0, then 1, 1 and 2; an expert has two places.
    probabilities = jnp.asarray([[[0.6, 0.4, 0.0], [0.8, 0.2, 0.0], [0.5, 0.1, 0.4]]])
    dispatch, combine = jax.jit(mixture.route, static_argnums=1)(probabilities, 2)
    expected = np.zeros((1, 3, 3, 2))
    expected[0, 0, 0, 0], expected[0, 0, 1, 0] = 0.6, 0.4
    expected[0, 1, 0, 1], expected[0, 1, 1, 1] = 0.8, 0.2
    expected[0, 2, 2, 0] = 0.4 / 0.9
    np.testing.assert_allclose(combine, expected, rtol=1e-6)
    np.testing.assert_array_equal(dispatch, expected > 0)


def test_experts_with_room_for_all_equal_a_weighted_sum() -> None:
    x = normal(1, 5, 4)
    weights = {"router": normal(4, 8), "up": normal(8, 4, 6), "down": normal(8, 6, 4)}
    y = jax.jit(mixture.experts_block, static_argnums=2)(x, weights, 5)

    shares = np.exp(np.asarray(x[0] @ weights["router"]))
    tokens, up, down = (np.asarray(value) for value in (x[0], weights["up"], weights["down"]))
    for token, share, answer in zip(tokens, shares, y[0], strict=True):
        best = np.argsort(-share)[:2]
        answers = [np.maximum(token @ up[e], 0) @ down[e] for e in best]
        expected = sum(share[e] / share[best].sum() * a for e, a in zip(best, answers, strict=True))
        np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("distance", "encoder", "decoder"),
    # Encoder: 16 buckets a side, 8 exact, then 8 + 8 log(n / 8) / log(16).
    # Decoder: 16 of its 32 buckets exact, then 16 + 16 log(n / 16) / log(8).
    [(0, 0, 0), (-1, 1, 1), (1, 17, 0), (-7, 7, 7), (-20, 10, 17), (20, 26, 0), (-127, 15, 31), (-500, 15, 31)],
)
def test_relative_positions_of_t5(distance: int, encoder: int, decoder: int) -> None:
    assert int(t5.bucket(jnp.int32(distance), both_ways=True)) == encoder
    assert int(t5.bucket(jnp.int32(distance), both_ways=False)) == decoder


def test_an_exit_is_taken_when_the_whole_batch_is_sure() -> None:
    sure, unsure = [9.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    assert bool(early_exit.is_sure(jnp.asarray([sure, sure])))
    assert not bool(early_exit.is_sure(jnp.asarray([sure, unsure])))


def test_padding_changes_nothing_in_bert() -> None:
    weights = {name: normal(*shape) / 20 for name, shape in bert.LAYER.items()}
    x = normal(1, 6, bert.WIDTH)
    present = jnp.asarray([[True, True, True, True, False, False]])
    layer = jax.jit(bert.layer)
    padded = layer(x, weights, bert.padding_bias(present))
    alone = layer(x[:, :4], weights, bert.padding_bias(present[:, :4]))
    np.testing.assert_allclose(padded[:, :4], alone, rtol=1e-4, atol=1e-5)
