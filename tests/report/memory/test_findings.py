"""What can be saved, of programs and shapes that are small enough to add up."""

from __future__ import annotations

import pytest

from mallocgame.report.memory import Buffer, Finding, Peak, memory_use
from mallocgame.report.memory.asked import Argument, Asked, asked_for
from mallocgame.report.memory.donations import donations
from mallocgame.report.memory.findings import findings_of
from mallocgame.report.memory.orders import best_order, merged, ordered
from mallocgame.report.memory.paddings import paddings
from mallocgame.report.memory.replicated import replicated
from mallocgame.report.memory.use import Kind
from tests.report.memory.made import LINE, LOWERED, WIDE, placed
from xla_dump_parser import ArrayShape, format_shape, padded_bytes, parse_shape

HALF, SHORT = "bf16[1024]{0:T(1024)(128)(2,1)}", "f32[1024]{0:T(128)}"
SQUARE = "f32[1024,1024]{1,0:T(8,128)}"


def _array(text: str) -> ArrayShape:
    shape = parse_shape(text)
    assert isinstance(shape, ArrayShape)
    return shape


def _buffer(name: str, kind: Kind, shape: str = LINE, what: str = "", size: int = 4096) -> Buffer:
    array = _array(shape)
    return Buffer(name, kind, shape, array.dtype, size, size, "parameter", what, None, (0, 9), "weights")


def test_padding_is_found_first() -> None:
    found, *largest = memory_use(placed()).findings
    assert (found.kind, found.size) == ("padding", 524288 - 8192)
    assert found.words == f"b {WIDE}: 512 KiB for 8 KiB of elements (64 x): 2 elements of dimension 1 are padded to 128"
    assert found.advice == (
        "with dimension 0 last (transpose), f32[2,1024]{1,0:T(2,128)}, it takes 8 KiB; in one dimension (reshape) 8 KiB"
    )
    assert {one.kind for one in largest} == {"largest"}
    assert "step.py:4: 512 KiB at the peak (95.4 %)" in largest[0].words


@pytest.mark.parametrize(
    ("shape", "best", "bytes"),
    [
        ("f32[1000,3]{1,0:T(8,128)}", "f32[1000,3]{0,1:T(4,128)}", 4 * 1024 * 4),
        ("bf16[1000,3]{1,0:T(8,128)(2,1)}", "bf16[1000,3]{0,1:T(4,128)(2,1)}", 4 * 1024 * 2),
        ("pred[1000,1]{1,0:T(8,128)(4,1)}", "pred[1000,1]{0,1:T(4,128)(4,1)}", 4 * 1024),
        ("f32[512,8,3]{2,1,0:T(8,128)}", "f32[512,8,3]{0,1,2:T(8,128)}", 512 * 8 * 3 * 4),
        (SQUARE, SQUARE, 2**22),
    ],
)
def test_the_best_order(shape: str, best: str, bytes: int) -> None:
    found = best_order(_array(shape))
    assert (format_shape(found), padded_bytes(found)) == (best, bytes)


def test_orders_and_one_dimension() -> None:
    assert format_shape(ordered(_array(SQUARE), (0, 1))) == "f32[1024,1024]{0,1:T(8,128)}"
    assert format_shape(merged(_array("bf16[1000,3]{1,0:T(8,128)(2,1)}"))) == "bf16[3000]{0:T(1024)(128)(2,1)}"
    assert padded_bytes(merged(_array("f32[2,3]{1,0:T(2,128)}"))) == 512


def test_where_no_order_avoids_it() -> None:
    """Three dimensions of four: tiles of 4 x 128 make 8,192 bytes of 256, in any order."""
    buffer = Buffer("b", "temporary", "f32[4,4,4]{2,1,0:T(4,128)}", "f32", 8192, 256, "add", "", None, (0, 9))
    (found,) = paddings([buffer])
    assert found.advice == (
        "no order of its dimensions avoids it (the best, f32[4,4,4]{2,1,0:T(4,128)}, takes 8 KiB); in one dimension "
        "(reshape) 512 B"
    )


def _found(*buffers: Buffer, donated: frozenset[str] = frozenset()) -> list[Finding]:
    return donations(buffers, donated)


def test_donations() -> None:
    """One output can take the place of one argument."""
    x, y, out = _buffer("x", "argument"), _buffer("y", "argument"), _buffer("add.1", "output")
    (missing,) = _found(x, y, out)
    assert (missing.kind, missing.size) == ("missing donation", 4096)
    assert missing.words == f"x {LINE}, 4 KiB, has the shape of an output and is not donated"
    (copied,) = _found(_buffer("s", "aliased", what="state"), _buffer("copy.1", "temporary", what="copy of state"))
    assert copied.words.startswith(f"state {LINE} is donated, and copied all the same, 4 KiB")
    assert _found(_buffer("s", "aliased", what="state"), out) == []


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (None, "no output has its dimensions"),
        (_buffer("o", "aliased"), "the outputs of its shape (1) have the places of other donated arguments"),
        (
            _buffer("o", "output", "bf16[1024]{0:T(1024)(128)(2,1)}"),
            "outputs of its dimensions are of another type, bf16",
        ),
        (
            _buffer("o", "output", "f32[1024]{0:T(128)}"),
            "the output of its shape has another layout, f32[1024]{0:T(128)}",
        ),
    ],
)
def test_why_a_donation_is_lost(other: Buffer | None, why: str) -> None:
    (lost,) = _found(_buffer("x", "argument"), *([] if other is None else [other]), donated=frozenset({"x"}))
    assert lost.words == f"x {LINE}, 4 KiB, is donated, and no output took its place: {why}"


def test_a_transposed_output_takes_no_place() -> None:
    x, out = "f32[8,1024]{1,0:T(8,128)}", "f32[1024,8]{0,1:T(8,128)}"
    (lost,) = _found(_buffer("x", "argument", x), _buffer("o", "output", out), donated=frozenset({"x"}))
    assert lost.words.endswith("an output has its dimensions in another order, [1024, 8]")


MESH = """#loc = loc(unknown)
module @jit_f attributes {mhlo.num_partitions = 8 : i32, mhlo.num_replicas = 1 : i32} {
  sdy.mesh @mesh = <["data"=4, "model"=2]>
  func.func public @main(%arg0: tensor<1024x1024xf32> {jax.buffer_donor = true, sdy.sharding = \
#sdy.sharding<@mesh, [{}, {"model"}]>} loc("w"), %arg1: tensor<4096xbf16> {sdy.sharding = #sdy.sharding<@mesh, \
[{"data", "model"}]>} loc("x"), %arg2: tensor<f32>, %arg3: tensor<7x8xf32>) -> (tensor<f32>) {
"""

HLO = r"""HloModule f, buffer_donor={ (0, {}) }, num_partitions=8, frontend_attributes={xla.sdy.meshes={mesh = MESH}}

ENTRY %main.1 (w.1: f32[1024,1024], x.1: bf16[4096], s.1: f32[], y.1: f32[7,8]) -> f32[] {
  %w.1 = f32[1024,1024]{1,0} parameter(0), frontend_attributes={xla.sdy.sharding="OVER[{}, {\"model\"}]>"}
  %x.1 = bf16[4096]{0} parameter(1), frontend_attributes={xla.sdy.sharding="OVER[{\"data\", \"model\"}]>"}
  %s.1 = f32[] parameter(2)
  ROOT %y.1 = f32[7,8]{1,0} parameter(3)
}
""".replace("OVER", "#sdy.sharding<@mesh, ").replace("MESH", '#sdy.mesh<["data"=4, "model"=2]>')


@pytest.mark.parametrize("text", [MESH, HLO])
def test_what_a_program_asks_for(text: str) -> None:
    asked = asked_for(text, "program")
    assert asked == Asked(
        {
            0: Argument(True, (1024, 1024), frozenset({"model"})),
            1: Argument(False, (4096,), frozenset({"data", "model"})),
            2: Argument(False, (), None),
            3: Argument(False, (7, 8), None),
        },
        8,
        {"data": 4, "model": 2},
    )
    assert [asked.copies(number, dims) for number, dims in ((0, (1024, 512)), (1, (512,)), (2, ()))] == [4, 1, 8]
    assert asked.copies(3, (2, 8)) == 2  # four pieces of two rows, one of them of one
    assert asked.copies(0, (1024,)) == asked.copies(9, (1,)) == 1


def test_donations_that_are_asked_for() -> None:
    def donated(text: str) -> list[int]:
        asked = asked_for(text, "program")
        return [number for number in range(2) if asked.is_donated(number)]

    assert donated(LOWERED) == [1]
    assert donated(LOWERED.replace("tf.aliasing_output = 0 : i32", "jax.buffer_donor = true")) == [1]
    assert donated(LOWERED.replace("tf.aliasing_output = 0 : i32", 'mhlo.sharding = "{replicated}"')) == []
    assert donated("no program") == []


def test_replicated() -> None:
    """A weight whose halves are on two of eight devices each: four have the same, 3 of 4 MiB could be saved."""
    asked = asked_for(MESH, "program")
    weight = Buffer("w", "aliased", SQUARE, "f32", 2**22, 2**22, "parameter", "w", None, (0, 9), "weights")
    half = Buffer("w", "aliased", "f32[1024,512]{1,0:T(8,128)}", "f32", 2**21, 2**21, "parameter", "w", None, None)
    (found,) = replicated([half], {"w": 0}, asked)
    assert (found.kind, found.size) == ("replicated", 2**21 * 3 // 4)
    assert found.words == (
        "w f32[1024,512]{1,0:T(8,128)} is the same on 4 devices of axis data of the mesh: 2 MiB on each, 512 KiB if "
        "sharded over them"
    )
    (whole,) = replicated([weight], {"w": 0}, asked)  # the compiler did not shard it
    assert "is the same on 8 devices of the mesh: 4 MiB on each (weights), 512 KiB if" in whole.words
    assert replicated([weight], {}, asked) == replicated([weight], {"w": 0}, Asked()) == []


def test_what_is_small_is_not_told() -> None:
    large = Buffer("big", "temporary", SQUARE, "f32", 2**22, 2**22, "add", "", "a.py:1", (0, 9))
    peak = Peak(0, 0, "x", (large, _buffer("x", "argument"), _buffer("o", "output")), 0)
    assert [one.kind for one in findings_of(peak, peak.live, {"x": 0}, Asked())] == ["largest"]
