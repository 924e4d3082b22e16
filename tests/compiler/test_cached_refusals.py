"""Programs that do not fit are kept in the folder of finished compiles, with what their compile left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.failures import LeftBehind, OutOfMemoryError

LEFT = LeftBehind("v5e", "module @m", "HloModule m", "BufferAssignment:", "Total bytes used: 20000000000")


class Refusing:
    """A compiler that refuses everything."""

    def __init__(self, left: LeftBehind | None) -> None:
        self.left, self.asked = left, 0

    def __call__(self, request: Request, limits: Limits | None) -> Compiled:
        self.asked += 1
        error = OutOfMemoryError("the compiler refused: RESOURCE_EXHAUSTED")
        error.left = self.left
        raise error


def refusal(cache: CompileCache) -> OutOfMemoryError:
    with pytest.raises(OutOfMemoryError) as caught:
        cache(Request("v5e:1x1", lowered="module @m"))
    return caught.value


def test_what_does_not_fit_is_compiled_once(tmp_path: Path) -> None:
    compiler = Refusing(LEFT)
    first, second = refusal(CompileCache(tmp_path, compiler)), refusal(CompileCache(tmp_path, compiler))
    assert compiler.asked == 1
    assert first.left == second.left == LEFT
    assert str(first) == str(second)
    assert list(CompileCache(tmp_path, compiler).finished()) == []


def test_a_refusal_that_left_nothing_is_asked_for_again(tmp_path: Path) -> None:
    compiler = Refusing(None)
    refusal(CompileCache(tmp_path, compiler))
    refusal(CompileCache(tmp_path, compiler))
    assert compiler.asked == 2


def test_a_damaged_refusal_is_made_anew(tmp_path: Path) -> None:
    compiler = Refusing(LEFT)
    refusal(CompileCache(tmp_path, compiler))
    (entry,) = tmp_path.glob("*.zip")
    entry.write_bytes(entry.read_bytes()[:-40])
    assert refusal(CompileCache(tmp_path, compiler)).left == LEFT
    assert compiler.asked == 2
