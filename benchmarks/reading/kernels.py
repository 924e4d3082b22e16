"""What we read from public kernels, beside their authors' estimates.

    python -m benchmarks.reading.kernels [TARGET]

Kernels of JAX (``jax.experimental.pallas.ops.tpu``) and, where it is installed, of tokamax are lowered for described
devices, v5e if not given; nothing is compiled. One that cannot be lowered here is listed with the reason.

Columns:
    flops     our operations / the author's
    once      our bytes, each place of an operand or result once, over the author's: what a problem has
    moved     our bytes, a block each time that it is fetched, over the author's
    guesses   what the module does not tell

Authors count bytes in one of two ways: what is read or written once (JAX's flash attention, most of tokamax) or what
is fetched (the grouped products of megablox and what descends from them). ``as`` says which the author's is; bytes are
compared with ours of the same way.

Exit code 1 where fewer than 10 kernels carry an estimate, or the median relative difference of bytes is more than 10 %
or that of operations more than 25 %.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import signature
from statistics import median
from typing import Any

from mallocgame.compiler import described
from mallocgame.compiler.kernels.read import read_kernel
from mallocgame.compiler.kernels.tally import shape_of
from mallocgame.compiler.stages import lowering_of
from mallocgame.problem.costs.kernels import KernelCost
from mallocgame.problem.targets import topology_for
from mallocgame.report.table import plain_table
from mallocgame.system.printable import one_line

BYTES_BOUND, FLOPS_BOUND, LEAST = 0.10, 0.25, 10
BITS = re.compile(r"(\d+)")
Made = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True)
class Found:
    """One kernel of a lowered program: its name, what its author says (flops, bytes), and what we read."""

    name: str
    author: tuple[float, float] | None
    ours: KernelCost
    once: float
    moved: float


def array(*shape: int, dtype: str = "bfloat16") -> Any:
    import jax

    return jax.ShapeDtypeStruct(shape, dtype)


def heads(batch: bool = True) -> tuple[Any, ...]:
    """Queries, keys and values of 8 heads over 2048 places."""
    one = array(4, 8, 2048, 128) if batch else array(8, 2048, 128)
    return (one, one, one)


def flash() -> Made:
    from jax.experimental.pallas.ops.tpu.flash_attention import flash_attention

    return lambda q, k, v: flash_attention(q, k, v, causal=False), heads()


def flash_gradient() -> Made:
    import jax

    function, args = flash()
    return jax.grad(lambda *given: function(*given).astype("float32").sum(), (0, 1, 2)), args


def splash() -> Made:
    import jax
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel, splash_attention_mask

    mask = splash_attention_mask.MultiHeadMask([splash_attention_mask.FullMask((2048, 2048))] * 8)
    kernel = splash_attention_kernel.make_splash_mha(mask, head_shards=1, q_seq_shards=1)
    return jax.grad(lambda *given: kernel(*given).astype("float32").sum(), (0, 1, 2)), heads(batch=False)


def paged() -> Made:
    from jax.experimental.pallas.ops.tpu.paged_attention import paged_attention

    pages = array(8, 1024, 16, 128)
    args = (array(16, 16, 128), pages, pages, array(16, dtype="int32"), array(16, 64, dtype="int32"))
    return lambda *given: paged_attention(*given, pages_per_compute_block=8), args


def ragged_paged() -> Made:
    from jax.experimental.pallas.ops.tpu.ragged_paged_attention import ragged_paged_attention

    sizes = (array(16, dtype="int32"), array(16, 64, dtype="int32"), array(17, dtype="int32"), array(1, dtype="int32"))
    return (
        lambda *given: ragged_paged_attention(*given, num_kv_pages_per_block=8, num_queries_per_block=32),
        (array(512, 16, 128), array(1024, 16, 16, 128), *sizes),
    )


def matmul() -> Made:
    from jax.experimental.pallas.ops.tpu.matmul import matmul as product

    return lambda x, y: product(x, y, block_shape=(512, 512)), (array(4096, 4096), array(4096, 4096))


GROUPS, ROWS, DEPTH, COLUMNS = 8, 32768, 2048, 4096
TILES = (512, 1024, 1024)


def grouped(package: str, transposed: bool = False) -> Made:
    """Rows of 8 groups, each times its own matrix."""
    rhs = array(GROUPS, COLUMNS, DEPTH) if transposed else array(GROUPS, DEPTH, COLUMNS)
    args = (array(ROWS, DEPTH), rhs, array(GROUPS, dtype="int32"))
    if package == "jax":
        from jax.experimental.pallas.ops.tpu.megablox import gmm as module

        return lambda *given: _gmm(module)(
            *given, preferred_element_type="bfloat16", tiling=TILES, transpose_rhs=transposed
        ), args
    from tokamax._src.ops.ragged_dot import pallas_mosaic_tpu_kernel

    return lambda *given: pallas_mosaic_tpu_kernel.gmm(
        *given, precision=_default(), out_dtype="bfloat16", tiling=TILES, transpose_rhs=transposed
    ), args


def grouped_gradient(package: str) -> Made:
    """The gradient of the matrices: for each group its columns of one side times its rows of the other."""
    args = (array(DEPTH, ROWS), array(ROWS, COLUMNS), array(GROUPS, dtype="int32"))
    if package == "jax":
        from jax.experimental.pallas.ops.tpu.megablox import gmm as module

        return lambda *given: _module(module).tgmm(*given, preferred_element_type="bfloat16", tiling=TILES), args
    from tokamax._src.ops.ragged_dot import pallas_mosaic_tpu_kernel

    return lambda *given: pallas_mosaic_tpu_kernel.tgmm(
        *given, precision=_default(), out_dtype="bfloat16", tiling=TILES
    ), args


def grouped_v2() -> Made:
    from tokamax._src.ops.gmm_v2.gmm_v2 import gmm_v2

    return gmm_v2, (array(ROWS, DEPTH), array(GROUPS, DEPTH, COLUMNS), array(GROUPS, dtype="int32"))


def grouped_gradient_v2() -> Made:
    from tokamax._src.ops.gmm_v2.tgmm_v2 import tgmm_v2

    args = (array(ROWS, DEPTH), array(ROWS, COLUMNS), array(GROUPS, dtype="int32"))
    return lambda *given: tgmm_v2(*given, num_actual_groups=GROUPS, preferred_element_type="bfloat16"), args


def tokamax_splash(shared: bool) -> Made:
    """Attention and its gradient; ``shared``: one head of keys and values for all."""
    import jax
    from tokamax._src.ops.experimental.tpu.splash_attention import splash_attention_kernel, splash_attention_mask

    mask = splash_attention_mask.FullMask((2048, 2048))
    make = splash_attention_kernel.make_splash_mqa if shared else splash_attention_kernel.make_splash_mha
    kernel = make(mask, q_seq_shards=1)
    one = array(2048, 128) if shared else array(8, 2048, 128)
    return (
        jax.grad(lambda *given: kernel(*given).astype("float32").sum(), (0, 1, 2)),
        (array(8, 2048, 128), one, one),
    )


def cross_entropy(gradient: bool) -> Made:
    from tokamax._src.ops.linear_softmax_cross_entropy_loss import pallas_mosaic_tpu_kernel as module

    x, labels, w = array(4096, 1024), array(4096, dtype="int32"), array(1024, 8192)
    if not gradient:
        return lambda *given: module.linear_softmax_cross_entropy_loss_fwd_pallas_mosaic_tpu(*given), (x, labels, w)
    args = (array(dtype="float32"), array(4096, dtype="float32"), x, labels, w)
    return lambda *given: module.linear_softmax_cross_entropy_loss_bwd_pallas_mosaic_tpu(*given), args


ONCE, FETCHED = "once", "moved"
PROGRAMS: tuple[tuple[str, str, Callable[[], Made]], ...] = (
    ("jax flash attention", ONCE, flash_gradient),
    ("jax splash attention", ONCE, splash),
    ("jax paged attention", ONCE, paged),
    ("jax ragged paged attention", ONCE, ragged_paged),
    ("jax matmul", ONCE, matmul),
    ("jax megablox gmm", FETCHED, lambda: grouped("jax")),
    ("jax megablox gmm, transposed", FETCHED, lambda: grouped("jax", transposed=True)),
    ("jax megablox tgmm", FETCHED, lambda: grouped_gradient("jax")),
    ("tokamax ragged dot", FETCHED, lambda: grouped("tokamax")),
    ("tokamax ragged dot, transposed", FETCHED, lambda: grouped("tokamax", transposed=True)),
    ("tokamax ragged dot, gradient", FETCHED, lambda: grouped_gradient("tokamax")),
    ("tokamax gmm v2", ONCE, grouped_v2),
    ("tokamax tgmm v2", ONCE, grouped_gradient_v2),
    ("tokamax splash mha", ONCE, lambda: tokamax_splash(shared=False)),
    ("tokamax splash mqa", ONCE, lambda: tokamax_splash(shared=True)),
    ("tokamax cross entropy", ONCE, lambda: cross_entropy(gradient=False)),
    ("tokamax cross entropy, gradient", ONCE, lambda: cross_entropy(gradient=True)),
)
"""What it is, how its author counts bytes, and how it is made."""


def _module(module: Any) -> Any:
    """A module that a function of its name may have taken the place of."""
    import importlib

    return (
        module if hasattr(module, "tgmm") else importlib.import_module("jax.experimental.pallas.ops.tpu.megablox.gmm")
    )


def _gmm(module: Any) -> Any:
    return _module(module).gmm


def _default() -> Any:
    import jax

    return jax.lax.DotAlgorithmPreset.BF16_BF16_F32


def on(target: str) -> AbstractContextManager[Any]:
    """In this context kernels that ask are for this target."""
    import jax

    kind = described.describe(topology_for(target, 1))[0].device_kind
    named = {"platform": "tpu"} if "platform" in signature(jax.sharding.AbstractDevice).parameters else {}
    device = jax.sharding.AbstractDevice(device_kind=kind, num_cores=1, **named)
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=device))


def kernels_of(text: str) -> Iterator[Found]:
    """The kernels of a lowered module."""
    from jax.interpreters import mlir

    with mlir.make_ir_context():
        module = mlir.ir.Module.parse(text)
        calls: list[Any] = []

        def walk(operation: Any) -> None:
            for region in operation.regions:
                for block in region.blocks:
                    for inner in block.operations:
                        calls.append(inner.operation)
                        walk(inner.operation)

        walk(module.operation)
        for call in calls:
            if call.name == "stablehlo.custom_call" and call.attributes["call_target_name"].value == "tpu_custom_call":
                yield _found(call)


def _found(call: Any) -> Found:
    config = json.loads(call.attributes["backend_config"].value)["custom_call_config"]
    ours = read_kernel(base64.b64decode(config["body"]))
    given = config.get("cost_estimate")
    author = (float(given["flops"]), float(given["bytes_accessed"])) if given else None
    types = [value.type for value in (*call.operands, *call.results)]
    counts = [(None, None)] * ours.bounds + [(access.distinct, access.moved) for access in ours.accesses]
    once = moved = 0.0
    for kind, (distinct, fetched) in zip(types, counts, strict=True):
        elements, bits = 1, _bits(str(kind.element_type))
        for size in shape_of(kind) or ():
            elements *= size
        once += bits / 8 * (elements if distinct is None else min(elements, distinct))
        moved += bits / 8 * (elements if fetched is None else fetched)
    return Found(
        call.attributes["kernel_name"].value if "kernel_name" in call.attributes else "", author, ours, once, moved
    )


def _bits(kind: str) -> int:
    found = BITS.search(kind)
    return int(found[1]) if found else 8


def main(arguments: list[str]) -> int:
    target = arguments[0] if arguments else "v5e"
    rows: list[tuple[str, ...]] = []
    errors: dict[str, list[float]] = {"flops": [], ONCE: [], FETCHED: [], "bytes": []}
    for name, way, make in PROGRAMS:
        try:
            function, args = make()
            with on(target):
                found = list(kernels_of(lowering_of(function, args, {}, target).text))
        except Exception as error:  # of a package that is not here, or of a kernel for other versions
            rows.append((name, "", "", "", "", "", f"cannot be lowered: {one_line(error, 100)}"))
            continue
        rows += [_row(name, way, kernel, errors) for kernel in found]
    header = ("kernel", "as", "flops", ONCE, FETCHED, "GFLOP, MB once", "guesses")
    print("\n".join(plain_table("", header, rows)))
    medians = {name: median(values) if values else 1.0 for name, values in errors.items()}
    count = len(errors["flops"])
    print(f"{count} kernels with an estimate; median relative difference of operations {medians['flops']:.1%},")
    print(f"of bytes as the author counts {medians['bytes']:.1%}; of all authors' to ours,")
    print(f"each place once {medians[ONCE]:.1%}, moved {medians[FETCHED]:.1%}")
    passed = count >= LEAST and medians["bytes"] <= BYTES_BOUND and medians["flops"] <= FLOPS_BOUND
    return 0 if passed else 1


def _row(name: str, way: str, kernel: Found, errors: dict[str, list[float]]) -> tuple[str, ...]:
    told = f"{kernel.ours.flops / 1e9:.4g}, {kernel.once / 1e6:.4g}"
    guesses = "; ".join(kernel.ours.guesses)
    if kernel.author is None:
        return (name, "", "", "", "", told, guesses)
    flops, size = kernel.author
    ratios = {"flops": kernel.ours.flops / flops, ONCE: kernel.once / size, FETCHED: kernel.moved / size}
    for what, ratio in (*ratios.items(), ("bytes", ratios[way])):
        errors[what].append(abs(ratio - 1))
    return (name, way, *(f"{ratios[what]:.3f}" for what in ("flops", ONCE, FETCHED)), told, guesses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
