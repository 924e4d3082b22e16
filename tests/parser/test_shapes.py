"""Shapes against values worked out by hand, XLA's own sizes, and round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xla_dump_parser import (
    ArrayShape,
    Layout,
    ParseError,
    Shape,
    TupleShape,
    format_shape,
    padded_bytes,
    parse_buffer_assignment,
    parse_shape,
    walk_shape,
)

TEXTS = [
    "f32[]",
    "token[]",
    "()",
    "bf16[512,512]{1,0:T(8,128)(2,1)S(1)}",
    "(s32[]{:T(128)}, (), (f32[<=3]{0}, u32[]{:S(2)}))",
    "s4[10,7]{0,1:T(8,128)(2,1)E(4)S(1)}",
    "f32[3]{0:L(1024)S(1)M(8)}",
    "f32[2,3,4]{2,1,0:T(*,8,128)SC(0:256)}",
    "f32[2,3]{1,0:D(D,C)T(8,128)S(5)}",
    "s32[4]{0:P((f32[4]{0}, s32[]))}",
    "b(f32[2]{0})",
    "f8e4m3fn[16]{0:T(1024)(4,1)#(u32)*(s64)}",
    "f32[0,3]{1,0}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_to_shape_and_back(text: str) -> None:
    assert format_shape(parse_shape(text)) == text


def test_fields() -> None:
    assert parse_shape("bf16[7,<=5]{0,1:T(8,128)(2,1)S(3)}") == ArrayShape(
        "bf16", (7, 5), Layout((0, 1), ((8, 128), (2, 1)), memory_space=3), dynamic=(False, True)
    )
    assert parse_shape("( f32[2] ,/*index=1*/ s32[] )") == TupleShape((ArrayShape("f32", (2,)), ArrayShape("s32", ())))


def test_walk_gives_every_array_with_its_index() -> None:
    shape = parse_shape("(s32[], (), (f32[3], u32[]))")
    assert [(index, array.dtype) for index, array in walk_shape(shape)] == [
        ((0,), "s32"),
        ((2, 0), "f32"),
        ((2, 1), "u32"),
    ]
    assert list(walk_shape(parse_shape("f32[3]"))) == [((), ArrayShape("f32", (3,)))]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("f32[10]", 40),
        ("pred[10]", 10),
        ("s4[10]", 10),  # without E(4), each element has its own byte
        ("s4[10]{0:E(4)}", 5),
        ("token[]", 0),
        ("bf16[512,512]{1,0:T(8,128)(2,1)}", 512 * 512 * 2),
        ("s32[]{:T(128)}", 128 * 4),
        ("pred[]{:T(512)}", 512),
        ("f32[5,100]{1,0:T(8,128)}", 8 * 128 * 4),
        ("f32[5,100]{0,1:T(8,128)}", 104 * 128 * 4),  # dimension 0 is the minor one: 100 rows of 5
        ("bf16[3,1,100]{2,1,0:T(1,128)(2,1)}", 3 * 2 * 128 * 2),  # rows are packed in pairs
        ("f32[2,3,5]{2,1,0:T(*,8)}", 2 * 16 * 4),  # * merges 3 into 5: 15 elements, in tiles of 8
        ("f32[3]{0:L(1024)}", 4096),
        ("f32[<=3]{0:M(8)}", 20),
    ],
)
def test_padded_bytes_by_hand(text: str, size: int) -> None:
    shape = parse_shape(text)
    assert isinstance(shape, ArrayShape)
    assert padded_bytes(shape) == size


@pytest.mark.parametrize("name", ["v5e_scan", "v5e_transformer", "v4lite_transformer", "cpu"])
def test_padded_bytes_are_those_of_the_buffer_assignment(name: str, dump_text) -> None:
    values = [v for a in parse_buffer_assignment(dump_text(f"{name}_buffer_assignment")) for v in a.values]
    arrays = [(v.size, v.shape) for v in values if isinstance(v.shape, ArrayShape)]
    assert len(arrays) > 30
    assert [size for size, _ in arrays] == [padded_bytes(shape) for _, shape in arrays]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "expected a shape"),
        ("f32", 1, "expected a shape"),
        ("q7[3]", 1, "unknown element type"),
        ("f32[3]x", 7, "after the end"),
        ("(f32[3]", 8, "expected ',' or ')'"),
        ("(f32[3]]", 8, "expected ',' or ')'"),
        ("f32[-3]", 5, "not a dimension"),
        ("f32[?]", 5, "unbounded"),
        ("f32[3]{1}", 8, "permutation"),
        ("f32[3,3]{1,1}", 10, "permutation"),
        ("f32[3]{0:T(0)}", 8, "not a tile"),
        ("f32[3]{0:X(1)}", 10, "field"),
        ("f32[3]{0:T(8", 11, "matching ')'"),
        ("f32[9223372036854775807]", 1, "63 bits"),
        ("f32[99999999999999999999999999]", 5, "not a dimension"),
        ("f32[1]{0:T(9223372036854775807)}", 1, "63 bits"),
        ("(" * 100_000, 65, "deeper"),
        ("f32[3]{0:P(" + "(" * 100_000, 11, "matching ')'"),
    ],
)
def test_errors_name_the_place(text: str, column: int, words: str) -> None:
    with pytest.raises(ParseError, match="file:1:") as caught:
        parse_shape(text, "file")
    assert (caught.value.line, caught.value.column) == (1, column)
    assert words in caught.value.message
    assert "\n" not in str(caught.value)


def layouts(rank: int) -> st.SearchStrategy[Layout]:
    sizes = st.lists(st.integers(1, 300), min_size=1, max_size=3)
    return st.builds(
        Layout,
        st.permutations(range(rank)).map(tuple),
        st.lists(sizes.map(tuple), max_size=3).map(tuple),
        st.integers(0, 9),
        st.sampled_from((0, 0, 4)),
        st.sampled_from(("", "L(256)", "SC(0:128)", "M(4)")),
    )


@st.composite
def arrays(draw: st.DrawFn) -> ArrayShape:
    dims = tuple(draw(st.lists(st.integers(0, 5000), max_size=4)))
    dynamic = draw(st.lists(st.booleans(), min_size=len(dims), max_size=len(dims)).map(tuple))
    return ArrayShape(
        draw(st.sampled_from(("f32", "bf16", "s4", "pred", "c64", "f8e5m2", "u32"))),
        dims,
        draw(st.none() | layouts(len(dims))),
        dynamic if any(dynamic) else (),
    )


shapes: st.SearchStrategy[Shape] = st.recursive(
    arrays(), lambda inner: st.lists(inner, max_size=4).map(lambda elements: TupleShape(tuple(elements))), max_leaves=8
)


@given(shapes)
def test_any_shape_to_text_and_back(shape: Shape) -> None:
    assert parse_shape(format_shape(shape)) == shape


@given(arrays())
def test_padding_never_shrinks_and_tiles_fill_up(shape: ArrayShape) -> None:
    bare = ArrayShape(shape.dtype, shape.dims, Layout(tuple(range(len(shape.dims))), element_bits=0))
    if shape.layout is not None and not shape.layout.element_bits:
        assert padded_bytes(shape) >= padded_bytes(bare)


@given(st.text(alphabet="f32[](){},:TSEPL0123*<= \n/*#", max_size=40))
def test_any_text_is_a_shape_or_a_one_line_error(text: str) -> None:
    outcome = shape_or_error(text)
    if isinstance(outcome, ParseError):
        assert len(str(outcome).splitlines()) == 1
    else:
        assert parse_shape(format_shape(outcome)) == outcome


def shape_or_error(text: str) -> Shape | ParseError:
    try:
        return parse_shape(text)
    except ParseError as error:
        return error
