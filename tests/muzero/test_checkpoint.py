"""Checkpoints: whole or refused with a cause, and then the one before is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import silent
from muzero.training.checkpoint import KEPT, Checkpoint, file_of, files_in, newest, read, write


def small(number: int) -> Checkpoint:
    return Checkpoint(
        {"iteration": number, "text": "a\nb"}, {"x/y": np.arange(number, dtype=np.int8), "z": np.array(0.5)}
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = write(tmp_path, 12, small(12))
    assert path.name == "checkpoint-00000012.mgc"
    found = read(path)
    assert found.header == small(12).header
    assert {name: (array.dtype, array.tolist()) for name, array in found.arrays.items()} == {
        "x/y": (np.dtype(np.int8), list(range(12))),
        "z": (np.dtype(np.float64), 0.5),
    }


def test_the_last_few_are_kept(tmp_path: Path) -> None:
    for number in range(1, KEPT + 3):
        write(tmp_path, number, small(number))
    assert files_in(tmp_path) == [file_of(tmp_path, number) for number in range(KEPT + 2, 2, -1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files_in(tmp_path))


def test_every_damaged_byte_is_found(tmp_path: Path) -> None:
    whole = write(tmp_path, 1, small(1)).read_bytes()
    broken = tmp_path / "broken"
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        broken.write_bytes(damaged)
        with pytest.raises(BadInputError, match=r"damaged|version"):
            read(broken)


def test_every_cut_is_found(tmp_path: Path) -> None:
    whole = write(tmp_path, 1, small(1)).read_bytes()
    broken = tmp_path / "broken"
    for length in range(len(whole)):
        broken.write_bytes(whole[:length])
        with pytest.raises(BadInputError, match="damaged"):
            read(broken)


def test_arrays_with_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write(tmp_path, 1, Checkpoint({}, {"x": np.array([{}])}))


def test_the_one_before_a_damaged_one_is_used(tmp_path: Path) -> None:
    lines: list[str] = []
    write(tmp_path, 1, small(1))
    write(tmp_path, 2, small(2)).write_bytes(b"mallocgame-checkpoint 1 ")
    found = newest(tmp_path, lines.append)
    assert found is not None
    assert found[0] == file_of(tmp_path, 1)
    assert lines == [
        f"{file_of(tmp_path, 2)}: not a checkpoint, or its first line is damaged; the checkpoint before it is used"
    ]


def test_no_checkpoint_and_no_whole_checkpoint(tmp_path: Path) -> None:
    assert newest(tmp_path, silent) is None
    write(tmp_path, 1, small(1)).write_bytes(b"")
    with pytest.raises(BadInputError, match=r"no checkpoint in .* is whole; the oldest: .*first line is damaged"):
        newest(tmp_path, silent)
