"""Models of images: the weights and the work that their papers state, shapes, and small computations by hand."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

import workloads

jax = pytest.importorskip("jax")
pytest.importorskip("jax.extend.core")
pytest.importorskip("flax")


@functools.cache
def _built(name: str) -> workloads.Built:
    return workloads.get(name)()


def _size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("name", "weights", "statistics"),
    [
        # Weights as torchvision counts them; its inception_v3 without the auxiliary classifier of 3,326,696.
        ("alexnet", 61_100_840, 0),
        ("vgg16", 138_357_544, 0),
        ("resnet101", 44_549_160, 2 * 52_672),
        ("densenet121", 7_978_856, 83_648),
        ("inception-v3", 27_161_264 - 3_326_696, 2 * 17_216),
        ("efficientnet-b0", 5_288_548, 42_016),
        ("mobilenet-v3", 5_483_032, 24_400),
        ("convnext-t", 28_589_128, 0),
    ],
)
def test_weights_are_those_of_the_paper(name: str, weights: int, statistics: int) -> None:
    variables = _built(name)[1][0]
    assert _size(variables["params"]) == weights
    assert _size(variables.get("batch_stats", {})) == statistics
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("bfloat16")}


def _unet_weights(features: list[int]) -> int:
    """3x3 twice on each level, going down; then 2x2 up, 3x3 of the doubled channels, 3x3; at last 1x1 to 2 classes."""
    down = sum(9 * a * b + b + 9 * b * b + b for a, b in zip([3, *features], features, strict=False))
    up = sum(4 * 2 * b * b + b + 9 * 2 * b * b + b + 9 * b * b + b for b in features[:-1])
    return down + up + 2 * features[0] + 2


def test_scanned_weights_are_all_there() -> None:
    weights, velocity, statistics = _built("resnet101-train")[1][:3]
    assert _size(weights) == _size(velocity) == 44_549_160
    assert _size(statistics) == 2 * 52_672


def test_weights_of_both_unets() -> None:
    assert _size(workloads.get("unet")()[1][0]) == _unet_weights([64, 128, 256, 512, 1024]) == 31_031_810
    assert _size(workloads.get("unet-large")()[1][0]) == _unet_weights([32, 64, 128, 256, 512])


def test_weights_of_the_radiance_field() -> None:
    first, hidden, again = 63 * 256 + 256, 6 * (256 * 256 + 256), (256 + 63) * 256 + 256
    heads = (256 + 1) + (256 * 256 + 256) + ((256 + 27) * 128 + 128) + (128 * 3 + 3)
    assert _size(workloads.get("nerf")()[1][0]) == first + hidden + again + heads == 595_844


def _products(name: str) -> int:
    """Multiply-adds of all convolutions and matrix products of a program."""

    def of(jaxpr: Any) -> int:
        total = 0
        for equation in jaxpr.eqns:
            rounds = equation.params["length"] if equation.primitive.name == "scan" else 1
            total += rounds * sum(of(inner) for inner in jax.extend.core.jaxprs_in_params(equation.params))
            shapes = [variable.aval.shape for variable in (*equation.invars, *equation.outvars)]
            if equation.primitive.name == "conv_general_dilated":
                features = equation.params["dimension_numbers"].rhs_spec[0]
                total += math.prod(shapes[2]) * math.prod(shapes[1]) // shapes[1][features]
            elif equation.primitive.name == "dot_general":
                contracted = equation.params["dimension_numbers"][0][0]
                total += math.prod(shapes[2]) * math.prod(shapes[0][axis] for axis in contracted)
        return total

    function, args = _built(name)
    return of(jax.make_jaxpr(function)(*args).jaxpr)


@pytest.mark.parametrize(
    ("name", "batch", "billions"),
    [
        # Billions of multiply-adds an image, as torchvision states them: they fail where a stride or a map is wrong.
        ("alexnet", 64, 0.71),
        ("vgg16", 16, 15.47),
        ("resnet101", 8, 7.80),
        ("densenet121", 16, 2.83),
        ("inception-v3", 16, 5.71),
        ("efficientnet-b0", 32, 0.39),
        ("mobilenet-v3", 32, 0.22),
        ("convnext-t", 32, 4.46),
    ],
)
def test_work_is_that_of_the_paper(name: str, batch: int, billions: float) -> None:
    assert round(_products(name) / batch / 1e9, 2) == billions


@pytest.mark.parametrize(
    ("name", "shape"), [("vgg16", (16, 1000)), ("unet-large", (1, 1024, 1024, 2)), ("nerf", (1024, 3))]
)
def test_results(name: str, shape: tuple[int, ...]) -> None:
    function, args = _built(name)
    assert jax.eval_shape(function, *args).shape == shape


def _loops(built: workloads.Built) -> int:
    function, args = built
    return jax.jit(function).lower(*args).as_text().count("stablehlo.while")


def test_stages_are_loops_and_loops_back() -> None:
    from workloads.vision.resnet import ResNet, training

    assert _loops(_built("convnext-t")) == 4
    assert _loops(training(ResNet((3,), scanned=True), 1)) == 2


def test_scanned_bottlenecks_compute_what_single_ones_do() -> None:
    from workloads.vision.resnet import ResNet

    scanned, single = ResNet((3,), scanned=True), ResNet((3,))
    random = np.random.default_rng(0)
    images = random.normal(size=(2, 16, 16, 3)).astype(np.float32)
    shapes = jax.eval_shape(lambda: scanned.init(jax.random.key(0), images, False))
    stacked = jax.tree.map(lambda leaf: random.normal(scale=0.1, size=leaf.shape).astype(np.float32), shapes)

    def unstacked(variables: dict[str, Any]) -> dict[str, Any]:
        second, third = (jax.tree.map(lambda leaf, i=i: leaf[i], variables["Bottleneck_1"]) for i in range(2))
        return variables | {"Bottleneck_1": second, "Bottleneck_2": third}

    def step(model: ResNet) -> Any:
        return jax.jit(lambda variables: model.apply(variables, images, True, mutable=["batch_stats"]))

    logits, updated = step(scanned)(stacked)
    expected = step(single)({kind: unstacked(tree) for kind, tree in stacked.items()})
    assert np.ptp(logits) > 0.1
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=0.01),
        (logits, {"batch_stats": unstacked(updated["batch_stats"])}),
        expected,
    )


def test_positions_are_encoded_as_waves() -> None:
    from workloads.vision.nerf import encode

    given = np.array([[0.5, 0.25, 1.0]], np.float32)
    x, sines, cosines = np.split(np.asarray(encode(given, 2))[0], [3, 9])
    np.testing.assert_array_equal(x, given[0])
    half = math.sqrt(0.5)
    np.testing.assert_allclose(sines, [1, half, 0, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(cosines, [0, half, -1, -1, 0, 1], atol=1e-6)


def test_rendering_is_the_products_of_what_passes() -> None:
    from workloads.vision.nerf import composite

    random = np.random.default_rng(0)
    density, colour = random.uniform(0, 3, (2, 5)).astype(np.float32), random.uniform(size=(2, 5, 3)).astype(np.float32)
    expected = np.zeros((2, 3))
    for ray in range(2):
        passes = 1.0
        for sample in range(5):
            absorbed = 1 - math.exp(-density[ray, sample] * 0.5)
            expected[ray] += passes * absorbed * colour[ray, sample]
            passes *= 1 - absorbed
    np.testing.assert_allclose(composite(density, colour, 0.5), expected, rtol=1e-5)


def test_squeeze_and_excitation_gates_channels() -> None:
    from flax import linen as nn

    from workloads.vision.inverted import SqueezeExcite

    x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)  # channel means 3 and 4
    first = {"kernel": np.array([[1.0], [-0.5]], np.float32), "bias": np.zeros(1, np.float32)}  # relu(3 - 2) = 1
    second = {"kernel": np.array([[0.0, 2.0]], np.float32), "bias": np.zeros(2, np.float32)}  # of 1: 0 and 2
    layer = jax.jit(SqueezeExcite(1, nn.relu, nn.sigmoid).apply)
    gated = layer({"params": {"Dense_0": first, "Dense_1": second}}, x)
    gates = np.array([0.5, 1 / (1 + math.exp(-2))])
    np.testing.assert_allclose(gated, x * gates, rtol=5e-3)


def test_squeezes_of_mobilenet_are_quarters_in_eights() -> None:
    from workloads.vision.mobilenet import BLOCKS

    squeezed = {expanded: hidden for _, expanded, _, hidden, _, _ in BLOCKS if hidden}
    # A quarter, rounded to a multiple of 8, but never by more than a tenth down: 18 becomes 24.
    assert squeezed == {72: 24, 120: 32, 480: 120, 672: 168, 960: 240}
