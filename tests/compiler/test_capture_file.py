"""Capture files: what is written comes back, and nothing in a file is trusted."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.compiler import archive
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import is_capture, load_capture, save_capture, to_bytes
from mallocgame.system.errors import BadInputError

CAPTURE = Capture(
    target="v5e",
    topology="v5e:1x1",
    function="m:f",
    options={"xla_tpu_scoped_vmem_limit_kib": "32768"},
    versions={"libtpu": "0.0.52"},
    seconds=1.5,
    peak_hbm=12345,
    schedule="ab" * 16,
    lowered="module {}",
    before_msa="HloModule jit_f",
    final="HloModule jit_f, is_scheduled=true",
    log="Initial resource[0] = 1 (a)\n",
    buffer_assignment="BufferAssignment:\n",
    memory_usage="Memory Space: default (color=0)\n\u00e9",
)


def test_round_trip_and_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.mgz"
    save_capture(CAPTURE, path)
    assert load_capture(path) == CAPTURE
    assert path.read_bytes() == to_bytes(CAPTURE)
    assert is_capture(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mgz"]
    assert CAPTURE.scoped_vmem_kib == 32768
    assert replace(CAPTURE, options={}).scoped_vmem_kib is None
    flagged = replace(CAPTURE, init_args=("--xla_a", "-1", "--noxla_b"), options={"optimization_level": "39"})
    save_capture(flagged, path)
    assert load_capture(path) == flagged
    kept = replace(CAPTURE, kernels='{"ab":{}}', code_bytes=4474368)
    save_capture(kept, path)
    assert load_capture(path) == kept


def written(path: Path, entries: dict[str, bytes]) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())
    return path


def entries() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(to_bytes(CAPTURE))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "capture format 2"),
        ({"format": "other"}, "not a capture"),
        ({"peak_hbm": -1}, "no valid peak_hbm"),
        ({"peak_hbm": 10**30}, "no valid peak_hbm"),
        ({"seconds": "1"}, "no valid seconds"),
        ({"target": None}, "no valid target"),
        ({"schedule": 5}, "no valid schedule"),
        ({"options": {"a": 1}}, "no valid options"),
        ({"options": {"xla_tpu_scoped_vmem_limit_kib": "lots"}}, "has to be a number of KiB"),
        ({"options": {"xla_jf_dump_to": "/etc"}}, "not an option that a capture may have"),
        ({"options": {"--xla_a b": "1"}}, "not an option that a capture may have"),
        ({"versions": []}, "no valid versions"),
        ({"options": {"optimization_level": "O1"}}, "optimization_level has to be a number, not 'O1'"),
        ({"init_args": "--xla_a"}, "init_args: expected a list"),
        ({"init_args": ["--xla_a b"]}, r"init_args\[0\]: expected a word"),
        ({"init_args": ["--xla_a=" + "1" * 131_072]}, "longer than a value of LIBTPU_INIT_ARGS can be"),
        ({"init_args": ["-xla_jf_dump_to", "/etc"]}, "'xla_jf_dump_to' is not a flag that a compile may have"),
    ],
)
def test_bad_manifests(tmp_path: Path, change: dict[str, object], words: str) -> None:
    found = entries()
    found["manifest.json"] = json.dumps({**json.loads(found["manifest.json"]), **change}).encode()
    with pytest.raises(BadInputError, match=words) as caught:
        load_capture(written(tmp_path / "a.mgz", found))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_manifests_that_are_no_object(tmp_path: Path, manifest: bytes) -> None:
    with pytest.raises(BadInputError):
        load_capture(written(tmp_path / "a.mgz", {**entries(), "manifest.json": manifest}))


def test_missing_text_and_missing_file(tmp_path: Path) -> None:
    found = entries()
    del found["final.txt"]
    with pytest.raises(BadInputError, match=r"it has no final.txt"):
        load_capture(written(tmp_path / "a.mgz", found))
    with pytest.raises(BadInputError, match="cannot be read"):
        load_capture(tmp_path / "none.mgz")
    assert not is_capture(tmp_path / "none")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TEXT_BYTES", 1000)
    found = {**entries(), "final.txt": b"a" * 1001}
    with pytest.raises(BadInputError, match=r"final.txt has more than the \d+ bytes that are allowed"):
        load_capture(written(tmp_path / "a.mgz", found))


def test_what_zipfile_says_of_a_long_foreign_name_is_cut(tmp_path: Path) -> None:
    data = bytearray(WHOLE)
    at = data.index(b"manifest.json") - 4
    data[at : at + 2] = (2**16 - 1).to_bytes(2, "little")  # the length of the first name in its own header
    (tmp_path / "a.mgz").write_bytes(data)
    with pytest.raises(BadInputError, match="damaged, or not a capture") as caught:
        load_capture(tmp_path / "a.mgz")
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


WHOLE = to_bytes(CAPTURE)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_any_changed_byte_or_cut_ends_in_one_line_or_the_same_capture(at: int, byte: int, cut: bool) -> None:
    data = WHOLE[:at] if cut else WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else ".") / "mallocgame-test-capture.mgz"
    path.write_bytes(data)
    try:
        assert load_capture(path) == CAPTURE
    except BadInputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        path.unlink()


def test_unwritable_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be written"):
        save_capture(CAPTURE, tmp_path / "no" / "a.mgz")
