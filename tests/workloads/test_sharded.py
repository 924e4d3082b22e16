"""Programs over several devices: how many, what each device holds, and that shardings survive lowering."""

from __future__ import annotations

from typing import Any

import pytest

import workloads

jax = pytest.importorskip("jax")
np = pytest.importorskip("numpy")

NAMES = [workload.name for workload in workloads.SHARDED]


def on_one_device(leaf: Any) -> int:
    """Elements of an abstract value that each device holds."""
    size = 1
    for length in leaf.sharding.shard_shape(leaf.shape):
        size *= length
    return size


def held(name: str, *positions: int) -> int:
    args = workloads.get(name)()[1]
    return sum(on_one_device(leaf) for position in positions for leaf in jax.tree.leaves(args[position]))


@pytest.mark.parametrize("name", NAMES)
def test_the_lowered_module_says_its_devices_and_shardings(name: str) -> None:
    from mallocgame.compiler.devices import replicas_and_partitions
    from mallocgame.compiler.stages import lowering_of

    function, args = workloads.get(name)()
    text = lowering_of(function, args, {}, "v5e").text
    assert replicas_and_partitions(text) == (1, workloads.find(name).devices)
    assert text.count("{sdy.sharding = ") + text.count(", sdy.sharding = ") >= len(jax.tree.leaves(args))
    assert "jax.buffer_donor" in text


def test_what_each_device_holds() -> None:
    assert held("sharded-mlp-train", 0) == 8 * 2048**2
    assert held("sharded-mlp-train", 2) == 4096 // 4 * 2048
    # Half of 12 d^2 matrices a layer, whole norms and positions, half of the words.
    assert held("sharded-gpt-train", 0) == 4 * (6 * 1024**2 + 4 * 1024) + 512 * 1024 + 50_304 * 1024 // 2
    assert held("sharded-gpt-train", 2) == 8 // 2 * 512
    layer = 2 * 4096**2 + 2 * 4096 * 512 + 3 * 4096 * 11_008
    assert held("sharded-llama-decode", 1) == 8 * (layer // 4 + 2 * 4096)
    assert held("sharded-llama-decode", 2) == 8 * 2 * 16 * 1024 * 512 // 4
    assert held("sharded-resnet-train", 3) == 128 // 8 * 224 * 224 * 3


def test_loss_is_the_likelihood_of_the_labels() -> None:
    from workloads.sharded.transformer import loss
    from workloads.training import cross_entropy

    values = np.random.default_rng(0)
    words = values.normal(size=(5, 1024)).astype(jax.numpy.bfloat16)
    inputs, labels = values.integers(0, 5, (2, 1, 3))
    weights = {"words": {"embedding": words}, "positions": np.zeros((3, 1024), words.dtype), "layers": []}
    assert float(loss(weights, inputs, labels)) == pytest.approx(
        float(cross_entropy(jax.numpy.asarray(words[inputs] @ words.T), labels)), rel=1e-2
    )


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("module @m {\n}", (1, 1)),
        ("#loc1 = loc(unknown)\nmodule @m attributes {mhlo.num_partitions = 8 : i32} {\n}", (1, 8)),
        ("module @m attributes {mhlo.num_partitions = 4 : i32, mhlo.num_replicas = 2 : i32} {\n}", (2, 4)),
        ("module @m attributes {mhlo.num_partitions = 0 : i32} {\n}", (1, 1)),
        ("no module", (1, 1)),
    ],
)
def test_counts_of_devices(text: str, counts: tuple[int, int]) -> None:
    from mallocgame.compiler.devices import devices_of, replicas_and_partitions

    assert replicas_and_partitions(text) == counts
    assert devices_of(text) == counts[0] * counts[1]
