"""Every command that reads a file, given one that is no UTF-8: one line that says so, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import run as run
from tests.cli.support import Outcome

Run = Callable[..., Outcome]
LATIN = "HloModule caf\u00e9, is_scheduled=true\n".encode("latin-1")


@pytest.mark.parametrize(
    "tokens",
    [
        ("solve", "FILE.txt", "--target", "v5e", "--out", "OUT"),
        ("inspect", "FILE.txt", "--target", "v5e"),
        ("export", "FILE.json"),
        ("verify", "FILE.json", "FILE.mgz"),
        ("pack", "FILE.csv", "--out", "OUT"),
        ("train", "FILE.toml", "--out", "OUT"),
        ("bench", "--replay", "FILE.jsonl:1"),
        ("capture", "FILE.mlir", "--target", "v5e", "--out", "OUT"),
        ("inspect", "FILE.mgz"),
        ("inspect", "FILE.mgp"),
    ],
    ids=" ".join,
)
def test_no_utf_8(run: Run, tmp_path: Path, tokens: tuple[str, ...]) -> None:
    names = [token for token in tokens if token.startswith("FILE")]
    for name in names:
        (tmp_path / name.split(":")[0]).write_bytes(LATIN)
    replaced = [str(tmp_path / token) if token.startswith(("FILE", "OUT")) else token for token in tokens]
    outcome = run(*replaced)
    assert (outcome.code, bool(outcome.error)) == (2, True)
    assert "unexpected" not in outcome.error
    assert not (tmp_path / "OUT").exists() or not list((tmp_path / "OUT").iterdir())
