"""Machine code that is kept: made once, loaded without numba, made anew where it is damaged or its source changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from ctypes import c_int64
from pathlib import Path

import pytest

from mallocgame.packing import compile_native
from mallocgame.system import object_code
from mallocgame.system.errors import NotWrittenError
from mallocgame.system.object_code import ObjectCode

ENTRIES = """
from numba import cfunc, njit, types

@njit(error_model="numpy")
def half(value):
    return value // 2

@cfunc(types.int64(types.int64), error_model="numpy")
def answer(value):
    return half(value) + 1
"""
Answer = Callable[[int], int]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of its own whose ``entries`` have the function ``answer``."""
    package = tmp_path / "kept_code"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "entries.py").write_text(ENTRIES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield package
    for name in ("kept_code", "kept_code.entries"):
        sys.modules.pop(name, None)


def answer() -> Answer:
    """The function, loaded anew."""
    sys.modules.pop("kept_code.entries", None)
    function: Answer = ObjectCode("kept_code.entries", ["answer"]).function("answer", c_int64, c_int64)
    return function


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*.o"))


def test_made_once(folder: Path) -> None:
    assert answer()(20) == 11
    assert "kept_code.entries" in sys.modules
    assert len(kept(folder)) == 1
    assert answer()(-7) == -3
    assert "kept_code.entries" not in sys.modules, "the second one is loaded"


def test_a_damaged_file_is_made_anew(folder: Path) -> None:
    answer()
    (path,) = kept(folder)
    path.write_bytes(path.read_bytes()[:-1])
    assert answer()(20) == 11
    assert "kept_code.entries" in sys.modules
    assert answer()(20) == 11
    assert "kept_code.entries" not in sys.modules


def test_another_source_is_another_file(folder: Path) -> None:
    answer()
    (folder / "entries.py").write_text(ENTRIES.replace("+ 1", "+ 100"))
    assert answer()(20) == 110
    assert len(kept(folder)) == 2


def test_where_nothing_can_be_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NotWrittenError("no")

    monkeypatch.setattr(object_code, "write_atomically", refuse)
    assert answer()(20) == 11
    assert kept(folder) == []


def test_in_the_cache_where_the_folder_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (folder / "__pycache__").write_text("a file in the folder's place")
    assert answer()(20) == 11
    assert len(list((tmp_path / "cache" / "mallocgame").glob("*.o"))) == 1


def test_packing_loads_no_numba() -> None:
    compile_native()
    code = "import sys, mallocgame.packing as p; p.compile_native(); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
