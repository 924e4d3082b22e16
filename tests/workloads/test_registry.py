"""The registry: names without JAX, and every workload is abstract and traces."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import workloads


def test_names_need_no_jax() -> None:
    code = "import sys, workloads; workloads.names(); workloads.find('unet'); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"unknown workload 'resnet'; known: alexnet, "):
        workloads.find("resnet")


@pytest.mark.parametrize("name", workloads.names())
def test_workload_traces_without_an_array(name: str) -> None:
    jax = pytest.importorskip("jax")
    function, args = workloads.get(name)()
    leaves = jax.tree.leaves(args)
    assert leaves
    assert all(type(leaf) is jax.ShapeDtypeStruct for leaf in leaves)
    assert all((leaf.sharding is None) == (workloads.find(name).devices == 1) for leaf in leaves)
    assert jax.tree.leaves(jax.eval_shape(function, *args))


def _parameters(name: str, position: int) -> int:
    import jax

    return sum(leaf.size for leaf in jax.tree.leaves(workloads.get(name)()[1][position]))


@pytest.mark.parametrize(
    ("name", "position", "count"),
    [
        # ResNet-50: 25,557,032 weights (He et al. 2015, table 1, as counted by torchvision) + 2 * 26,560 statistics.
        ("resnet50", 0, 25_557_032 + 2 * 26_560),
        # 12 layers of 12 d^2 matrices, d-vectors: up bias 4d, down bias d, 2 scales, 2 shifts.
        ("gpt2", 1, 12 * (12 * 768**2 + 9 * 768)),
        ("gpt2-scan", 1, 12 * (12 * 768**2 + 9 * 768)),
        ("wide-mlp", 1, 16 * 4096**2),
    ],
)
def test_weights_are_those_of_the_model(name: str, position: int, count: int) -> None:
    pytest.importorskip("jax")
    assert _parameters(name, position) == count


@pytest.mark.parametrize("name", ["resnet50-train", "gpt2-train"])
def test_a_training_step_gives_back_what_it_takes(name: str) -> None:
    jax = pytest.importorskip("jax")
    function, args = workloads.get(name)()
    result: Any = jax.eval_shape(function, *args)
    weights, velocity = result[:2]
    for given, returned in ((args[0], weights), (args[1], velocity)):
        pairs = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), given, returned)
        assert all(jax.tree.leaves(pairs))
    assert result[-1].shape == ()
