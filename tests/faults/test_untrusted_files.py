"""Files from strangers: bombs, false headers, lists without end; refused in one line and bounded memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mallocgame.compiler import archive
from mallocgame.compiler.capture_file import load_capture
from mallocgame.system.arrays import array_of
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import read_bytes
from mallocgame.system.zips import MAX_DIRECTORY_BYTES, open_zip
from tests.cli.support import Outcome
from tests.faults.sources import ROOT
from xla_dump_parser import ParseError, read_text

BOUNDED = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)); "
    "from mallocgame.cli import main; main(sys.argv[1:])"
)


def _in_bounded_memory(*tokens: object) -> Outcome:
    """A command in a process of at most 3 GiB of addresses."""
    command = [sys.executable, "-c", BOUNDED, *map(str, tokens)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def _sparse(path: Path) -> Path:
    """A file of 5 GB that takes no room."""
    with path.open("wb") as file:
        file.truncate(5_000_000_000)
    return path


@pytest.mark.parametrize("name", ["dump.txt", "dump.hlo", "dump.txt.gz", "dump.mgp", "dump.mgz"])
def test_five_gigabytes(tmp_path: Path, name: str) -> None:
    outcome = _in_bounded_memory("inspect", _sparse(tmp_path / name), "--target", "v5e")
    assert outcome.code == 2
    assert "unexpected" not in outcome.error


def test_five_gigabytes_of_text_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="too large to read"):
        read_text(_sparse(tmp_path / "dump.txt"))


def test_five_gigabytes_in_a_dump_folder(tmp_path: Path) -> None:
    _sparse(tmp_path / "module_0001.jit_f.after_optimizations_before_buffer_assignment.txt")
    outcome = _in_bounded_memory("inspect", tmp_path, "--target", "v5e")
    assert (outcome.code, "too large to read" in outcome.error) == (2, True)


def test_a_gzip_bomb_of_a_problem_file(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mgp"
    path.write_bytes(gzip.compress(b" " * (1 << 27)))
    outcome = _in_bounded_memory("inspect", path)
    assert (outcome.code, "larger than" in outcome.error) == (2, True)


@pytest.mark.parametrize("tokens", [("pack",), ("export",), ("inspect", "--target", "v5e"), ("train", "--out", "OUT")])
def test_files_that_never_end(tmp_path: Path, tokens: tuple[str, ...]) -> None:
    more = [token.replace("OUT", str(tmp_path / "out")) for token in tokens[1:]]
    outcome = _in_bounded_memory(tokens[0], "/dev/zero", *more)
    assert (outcome.code, bool(outcome.error)) == (2, True)


def test_read_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_bytes(path, 10) == b"x" * 10
    with pytest.raises(BadInputError, match="larger than 9 bytes"):
        read_bytes(path, 9)
    with pytest.raises(BadInputError, match="cannot be read"):
        read_bytes(tmp_path / "none", 9)


def _zip(members: dict[str, bytes], comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
        packed.comment = comment
    return buffer.getvalue()


def _open(data: bytes) -> list[str]:
    with open_zip(io.BytesIO(data)) as packed:
        return packed.namelist()


def test_zips() -> None:
    whole = _zip({"a": b"1", "b": b"2"})
    assert _open(whole) == ["a", "b"]
    for damaged in (b"", b"PK", whole[:-1], whole + b"\0", _zip({}, b"comment"), b"\0" * 100):
        with pytest.raises(zipfile.BadZipFile):
            _open(damaged)


def test_a_list_of_members_without_end() -> None:
    many = _zip({f"{number:0200}": b"" for number in range(MAX_DIRECTORY_BYTES // 200)})
    with pytest.raises(zipfile.BadZipFile, match="list of members"):
        _open(many)


def test_an_archive_that_says_it_is_larger_than_4_gib() -> None:
    whole = _zip({"a": b"1"})
    end = whole[-22:]
    locator = b"PK\x06\x07" + b"\0" * 16
    with pytest.raises(zipfile.BadZipFile, match="4 GiB"):
        _open(whole[:-22] + locator + end)


def test_texts_of_a_capture_share_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TEXT_BYTES", 1000)
    path = tmp_path / "a.zip"
    for each, fits in ((500, True), (501, False)):
        path.write_bytes(archive.pack("capture", 1, {}, {"x": "a" * each, "y": "b" * each}))
        if fits:
            archive.unpack(path, "capture", 1, ("x", "y"))
        else:
            with pytest.raises(BadInputError, match=r"y.txt has more than the 499 bytes"):
                archive.unpack(path, "capture", 1, ("x", "y"))


def test_a_capture_in_a_file_with_a_comment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mgz"
    path.write_bytes(_zip({"manifest.json": b"{}"}, b"x"))
    with pytest.raises(BadInputError, match="does not end as a zip archive does"):
        load_capture(path)


def _npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        np.array(0.5),
        np.array([True, False]),
        np.zeros((0, 3), np.uint32),
        np.arange(5, dtype=np.uint8),
    ],
)
def test_arrays_come_back(array: np.ndarray) -> None:
    found = array_of(_npy(array))
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())
    assert found.flags.writeable


WHOLE = _npy(np.arange(4, dtype=np.float32))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        WHOLE[:-1],
        WHOLE + b"\0",
        WHOLE[:50],
        WHOLE.replace(b"(4,)", b"(9,)"),
        WHOLE.replace(b"<f4", b">f4"),
        WHOLE.replace(b"<f4", b"<f3"),
        WHOLE.replace(b"False", b"print"),
        WHOLE.replace(b"\x01\x00v", b"\x02\x00v"),
        _npy(np.array([{"a": 1}], dtype=object)),
        _npy(np.array(["text"])),
        _npy(np.zeros(2, [("a", "i4")])),
    ],
)
def test_what_is_no_array_of_numbers(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(no|an) array"):
        array_of(data)


def _checkpoint(body: bytes) -> bytes:
    return f"mallocgame-checkpoint 1 {hashlib.sha256(body).hexdigest()}\n".encode() + body


@pytest.mark.parametrize(
    "body",
    [
        lambda: _zip({"x.npy": _npy(np.zeros(1 << 22, np.int8))}),
        lambda: _zip({}),
        lambda: b"no archive",
        lambda: _stored({"x.npy": WHOLE.replace(b"(4,)", b"(999999999999,)")}),
        lambda: _stored({"x.npy": _npy(np.array([{"a": 1}], dtype=object))}),
        lambda: _stored({"header.npy": _npy(np.frombuffer(b"[]", np.uint8))}),
    ],
    ids=["compressed", "empty", "no archive", "false header", "pickle", "header"],
)
def test_checkpoints_with_a_right_digest_and_a_bad_content(tmp_path: Path, body: Callable[[], bytes]) -> None:
    from muzero.training.checkpoint import read

    path = tmp_path / "checkpoint-00000001.mgc"
    path.write_bytes(_checkpoint(body()))
    with pytest.raises(BadInputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def _stored(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return buffer.getvalue()
