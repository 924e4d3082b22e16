"""Stencils, clustering, transport, recommendation, graphs and products: arithmetic by hand, sizes, and loops kept."""

from __future__ import annotations

import math
from typing import Any

import pytest

import workloads

jax = pytest.importorskip("jax")
np = pytest.importorskip("numpy")


def lowered(name: str) -> str:
    from mallocgame.compiler.stages import lowering_of

    return lowering_of(*workloads.get(name)(), {}, "v5e").text


def weights(name: str, *positions: int) -> int:
    """Number of weights among the arguments at these positions."""
    args = workloads.get(name)()[1]
    return sum(leaf.size for position in positions for leaf in jax.tree.leaves(args[position]))


@pytest.mark.parametrize("name", ["heat", "lattice-boltzmann", "k-means", "sinkhorn"])
def test_loops_stay_loops(name: str) -> None:
    assert lowered(name).count("stablehlo.while") == 1


def test_heat_spreads_from_one_point() -> None:
    from workloads.science.heat import step

    grid = np.zeros((5, 5), np.float32)
    grid[2, 2] = 6
    result = np.asarray(step(grid, np.full((5, 5), 0.1, np.float32)))
    around = [[0.1, 0.4, 0.1], [0.4, 4.0, 0.4], [0.1, 0.4, 0.1]]
    np.testing.assert_allclose(result[1:4, 1:4], around, rtol=1e-6)
    assert result.sum() == pytest.approx(6)


def test_the_lattice_keeps_mass_and_momentum() -> None:
    from workloads.science import lattice_boltzmann as flow

    for (down, right), back in zip(flow.DIRECTIONS, flow.OPPOSITE, strict=True):
        assert flow.DIRECTIONS[back] == (-down, -right)
    rest = flow.equilibrium(*(np.full((2, 2), value, np.float32) for value in (2.0, 0.1, -0.05)))
    assert np.sum(rest, 0)[0, 0] == pytest.approx(2.0)
    for axis, speed in ((0, 0.1), (1, -0.05)):
        momentum = np.sum([d[axis] * field for d, field in zip(flow.DIRECTIONS, rest, strict=True)], 0)
        assert momentum[0, 0] == pytest.approx(2 * speed)

    fields = list(np.random.default_rng(0).uniform(0.1, 0.2, (9, 6, 8)).astype(np.float32))
    free, wall = np.zeros((6, 8), bool), np.ones((6, 8), bool)
    assert float(np.sum(flow.step(fields, free))) == pytest.approx(float(np.sum(fields)))
    # Inside a wall nothing but turning round and streaming happens: a field moves against its own direction.
    turned = flow.step(fields, wall)
    np.testing.assert_array_equal(turned[3], np.roll(fields[1], -1, 0))


def test_the_lattice_at_rest_stays_so() -> None:
    from workloads.science import lattice_boltzmann as flow

    fields = [np.full((4, 4), weight, np.float32) for weight in flow.WEIGHTS]
    for before, after in zip(fields, flow.step(fields, np.zeros((4, 4), bool)), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5)


def test_k_means_finds_two_clusters() -> None:
    from workloads.science.k_means import cluster

    points = np.array([[0, 0], [0, 2], [10, 0], [10, 2]], np.float32)
    centres, assigned, rounds = cluster(points, points[:2])
    # At first the points go to centres by their height; then both centres are in the middle and nothing moves.
    np.testing.assert_array_equal(assigned, [0, 1, 0, 1])
    np.testing.assert_array_equal(centres, [[5, 0], [5, 2]])
    assert rounds == 1
    centres, assigned, rounds = cluster(points, np.array([[1, 1], [8, 1]], np.float32))
    np.testing.assert_array_equal(assigned, [0, 0, 1, 1])
    np.testing.assert_array_equal(centres, [[0, 1], [10, 1]])


def test_sinkhorn_meets_its_sums() -> None:
    from workloads.science.sinkhorn import REGULARISATION, transport

    costs = np.random.default_rng(0).uniform(0, 0.2, (6, 4)).astype(np.float32)
    left, right, cost = transport(costs, np.log(np.full(6, 1 / 6, np.float32)), np.log(np.full(4, 1 / 4, np.float32)))
    plan = np.exp(np.asarray(left)[:, None] + np.asarray(right) - costs / REGULARISATION)
    np.testing.assert_allclose(plan.sum(0), 1 / 4, rtol=1e-5)
    np.testing.assert_allclose(plan.sum(1), 1 / 6, rtol=1e-3)
    assert float(cost) == pytest.approx(float((plan * costs).sum()), rel=1e-5)
    assert costs.min() < float(cost) < costs.mean()


def test_dlrm_has_the_layers_of_its_benchmark() -> None:
    from workloads.recommendation.dlrm import BOTTOM, TOP, interactions

    assert BOTTOM == (13, 512, 256, 128)
    assert TOP == (479, 1024, 1024, 512, 256, 1)  # 128 + 27 * 26 / 2, as in MLPerf's
    assert weights("dlrm", 0) == 26 * 100_000 * 128
    assert weights("dlrm", 1) == 13 * 512 + 512 + 512 * 256 + 256 + 256 * 128 + 128
    vectors = np.array([[[1, 2], [3, 4], [5, 6]]], np.float32)
    np.testing.assert_array_equal(interactions(vectors), [[3 + 8, 5 + 12, 15 + 24]])


def test_wide_and_deep_updates_only_what_was_looked_up() -> None:
    from workloads.recommendation.wide_and_deep import RATE, loss, update

    table, squares = np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)
    gradient = np.array([[[3.0, -4.0]]], np.float32)
    updated, sums = update(jax.numpy.asarray(table), jax.numpy.asarray(squares), np.array([[2]]), gradient)
    np.testing.assert_allclose(sums[2], [9, 16])
    np.testing.assert_allclose(updated[2], [1 - RATE, 1 + RATE], rtol=1e-6)
    np.testing.assert_array_equal(updated[:2], table[:2])
    layers = [(np.zeros((4, 1), np.float32), np.zeros(1, np.float32))]
    rows, wide = np.ones((1, 2, 2), np.float32), np.array([[0.5, 1.5]], np.float32)
    assert float(loss(rows, wide, layers, np.ones(1, np.float32))) == pytest.approx(math.log1p(math.exp(-2)), rel=1e-6)


def test_wide_and_deep_updates_in_place() -> None:
    text = lowered("wide-and-deep")
    weights_and_squares = 2 * (2 + 2 * 4)
    assert text.count("tf.aliasing_output") == weights_and_squares
    assert text.count('"stablehlo.scatter"') == 4


def test_graph_convolution_is_the_dense_formula() -> None:
    from workloads.graphs.convolution import infer

    adjacency = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], np.float64)
    scale = adjacency.sum(1) ** -0.5
    propagate = scale[:, None] * adjacency * scale
    receivers, senders = np.nonzero(adjacency)
    values = np.random.default_rng(0)
    x, first, second = (values.integers(-2, 3, size).astype(np.float32) for size in ((3, 4), (4, 2), (2, 2)))
    wanted = propagate @ (np.maximum(propagate @ x @ first, 0) @ second)
    edges = (senders, receivers, propagate[receivers, senders].astype(np.float32))
    np.testing.assert_allclose(infer([first, second], x, *edges), wanted, rtol=0.02, atol=0.02)


def test_graph_convolution_trains_all_layers() -> None:
    assert weights("graph-convolution", 0) == 128 * 256 + 256 * 256 + 256 * 40
    function, args = workloads.get("graph-convolution")()
    layers, velocity, value = jax.eval_shape(function, *args)
    assert [layer.shape for layer in layers] == [v.shape for v in velocity] == [(128, 256), (256, 256), (256, 40)]
    assert value.shape == ()


def test_graph_network_has_two_networks_a_step() -> None:
    def network(inputs: int, outputs: int = 128, norm: bool = True) -> int:
        return inputs * 128 + 128 + 128 * 128 + 128 + 128 * outputs + outputs + 2 * outputs * norm

    steps = 8 * (network(3 * 128) + network(2 * 128))
    assert weights("graph-network", 0) == network(12) + network(7) + steps + network(128, 3, norm=False)


def test_graph_network_does_not_care_for_the_order_of_edges() -> None:
    from workloads.graphs.interaction import abstract_network, simulate

    values = np.random.default_rng(0)

    def network(inputs: int, outputs: int = 128, norm: bool = True) -> dict[str, Any]:
        shapes = abstract_network(inputs, outputs, norm)
        return {name: values.normal(0, 0.1, leaf.shape).astype(np.float32) for name, leaf in shapes.items()}

    model = {
        "nodes": network(12),
        "edges": network(7),
        "steps": [{"edges": network(384), "nodes": network(256)}],
        "results": network(128, 3, norm=False),
    }
    nodes, edges = (values.normal(size=size).astype(np.float32) for size in ((3, 12), (4, 7)))
    senders, receivers = np.array([0, 1, 2, 0]), np.array([1, 2, 0, 2])
    result = simulate(model, nodes, edges, senders, receivers)
    other = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(result, simulate(model, nodes, edges[other], senders[other], receivers[other]), 1e-3)
    assert result.shape == (3, 3)


def test_the_chain_is_the_product() -> None:
    from workloads.dense.matmul_chain import SIZES, product

    values = np.random.default_rng(0)
    matrices = [values.integers(-2, 3, size).astype(np.float32) for size in ((2, 3), (3, 4), (4, 2), (2, 5), (5, 3))]
    np.testing.assert_array_equal(product(matrices), np.linalg.multi_dot(matrices))
    assert len(SIZES) == 13
    assert lowered("matmul-chain").count("stablehlo.dot_general") == 11
