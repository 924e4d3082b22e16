"""Each kind of error ends in its own exit code and one line, the unexpected ones too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from tests.cli.support import Outcome


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInputError("wrong\nfile"), 2, "wrong file"),
        (NoAnswerError("too slow"), 3, "too slow"),
        (MemoryError(), 3, "out of memory"),
        (CompilerRefusedError("no room"), 4, "no room"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("division\x1b[31m"), 1, "unexpected ZeroDivisionError: division?[31m; this is a bug"),
        (RecursionError("deep"), 1, "unexpected RecursionError: deep; this is a bug"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_exit_code(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    def fail(file: Path, **_: object) -> None:
        raise error

    monkeypatch.setattr(api, "inspect", fail)
    outcome = run("inspect", "file")
    assert outcome.code == code
    assert outcome.error.startswith(line)
