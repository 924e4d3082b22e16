"""Made-up inputs keep programs in range; inputs of a file are the program's or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.probe.inputs import make_inputs, read_inputs
from mallocgame.system.errors import BadInputError

TYPES = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool", "complex64")
SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)


@given(st.lists(st.tuples(SHAPES, st.sampled_from(TYPES).map(np.dtype)), max_size=5), st.integers(0, 2**32))
def test_inputs_are_of_the_shapes_and_types_finite_and_the_same_for_the_same_seed(wanted: Any, seed: int) -> None:
    made = make_inputs(wanted, seed)
    assert [(array.shape, array.dtype) for array in made] == wanted
    assert all(np.isfinite(array).all() for array in made)
    assert all(np.array_equal(one, other) for one, other in zip(made, make_inputs(wanted, seed), strict=True))


def test_values_by_kind() -> None:
    matrix, table, scale, index, small, flag = make_inputs(
        [
            ((400, 300), np.dtype("float32")),
            ((7, 3), np.dtype("float32")),
            ((1000,), np.dtype("float32")),
            ((1000,), np.dtype("int32")),
            ((1000,), np.dtype("int8")),
            ((1000,), np.dtype("bool")),
        ],
        seed=1,
    )
    assert matrix.std() == pytest.approx(1 / 20, rel=0.02)  # 1 / sqrt(400)
    assert scale.min() >= 0.5
    assert scale.max() <= 1.5
    assert set(index.tolist()) == set(small.tolist()) == set(range(len(table)))
    assert set(flag.tolist()) == {False, True}


def test_integers_of_a_program_without_tables_are_0_and_1() -> None:
    assert set(make_inputs([((100,), np.dtype("uint8"))], seed=0)[0].tolist()) == {0, 1}


def test_bfloat16_is_floating_point() -> None:
    bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    (made,) = make_inputs([((100,), bfloat16)], seed=0)
    assert made.dtype == bfloat16
    assert 0.5 <= float(made.astype(np.float32).min()) < float(made.astype(np.float32).max()) <= 1.5


def test_inputs_of_a_file(tmp_path: Path) -> None:
    bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    wanted = [((2,), np.dtype("float32")), ((3,), bfloat16)]
    arrays = [np.array([1, 2], np.float32), np.array([3, 4, 5], bfloat16)]
    np.savez(tmp_path / "good.npz", *arrays)
    found = read_inputs(tmp_path / "good.npz", wanted)
    assert all(np.array_equal(one, other) for one, other in zip(found, arrays, strict=True))
    with pytest.raises(BadInputError, match=r"has 2 arrays, the program has 1 inputs"):
        read_inputs(tmp_path / "good.npz", wanted[:1])
    with pytest.raises(BadInputError, match=r"arr_0 is float32\[2\], the program wants float32\[4\]"):
        read_inputs(tmp_path / "good.npz", [((4,), np.dtype("float32")), wanted[1]])
    with pytest.raises(BadInputError, match=r"arr_0 is float32\[2\], the program wants int32\[2\]"):
        read_inputs(tmp_path / "good.npz", [((2,), np.dtype("int32")), wanted[1]])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY", b"text"])
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.npz"
    file.write_bytes(content)
    with pytest.raises(BadInputError, match=r"bad\.npz: not a file of numpy\.savez") as caught:
        read_inputs(file, [((2,), np.dtype("float32"))])
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInputError, match=r"missing\.npz"):
        read_inputs(tmp_path / "missing.npz", [])


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "pickle.npz", np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInputError, match=r"not a file of numpy\.savez"):
        read_inputs(tmp_path / "pickle.npz", [((1,), np.dtype("float32"))])
