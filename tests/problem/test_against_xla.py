"""Buffers and live ranges against XLA's own, on a module that JAX compiles for the CPU here, by the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reading.liveness import compare, make


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a loop in a loop that carries arrays; XLA's dump and its log."""
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("dumps") / "nested"
    assert make(folder, "cpu", "nested", seconds=300) is None
    return folder


def test_ours_are_those_of_xla(dump: Path) -> None:
    found = compare(dump)
    assert (found.counts["modules"], found.unexplained) == (1, [])
    assert min(found.counts[what] for what in ("live ranges", "shared buffers", "uses", "pairs live at once")) > 0


@pytest.mark.parametrize(
    ("file", "told", "other", "difference"),
    [
        ("*-live-range.txt", ":0-", ":1-", "live range of"),
        ("*-buffer-assignment-values.txt", ", operand 0", ", operand 7", "use of"),
        ("log", ">, <", ">, [", "buffer only ours"),
    ],
    ids=["live range", "use", "buffer"],
)
def test_a_difference_is_told(dump: Path, tmp_path: Path, file: str, told: str, other: str, difference: str) -> None:
    """One word of XLA's dump is another."""
    for path in dump.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (changed,) = tmp_path.glob(file)
    text = changed.read_text()
    assert told in text
    changed.write_text(text.replace(told, other))
    assert any(line.startswith(difference) for line in compare(tmp_path).unexplained)
