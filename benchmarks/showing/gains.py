"""What ``solve --solver auto`` gained, by program and target, from committed rows: the source of all figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mallocgame.bench.rows import AUTO, BenchRow, Key
from mallocgame.bench.rows_file import read_rows
from mallocgame.bench.statistics import ratios
from mallocgame.problem.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "benchmarks" / "results" / "auto" / "rows.jsonl"
"""The rows that README, site and picture tell of. Another benchmark is another path here."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The answer of one program on one target.

    Attributes:
        program: its name in the catalogue.
        target: e.g. ``"v5p"``.
        methods: all rows of this program and target, by method; ``"auto"`` is one of them.
        line: of the answer's row in its file, from 1.
        faster_e: XLA's default / answer under E; None where there are no figures.
        faster_m: likewise under M.
    """

    program: str
    target: str
    methods: dict[str, BenchRow]
    line: int
    faster_e: float | None
    faster_m: float | None

    @property
    def row(self) -> BenchRow:
        """That of the answer."""
        return self.methods[AUTO]


def read_gains(path: Path = ROWS) -> list[Gain]:
    """Those of a file.

    Raises:
        BadInputError: the file cannot be read, or a line is no row.
    """
    return gains_of(read_rows(path))


def gains_of(rows: Sequence[BenchRow]) -> list[Gain]:
    """One for each row of ``auto``: programs in the order of the rows, targets in that of ``TARGETS``."""
    methods: dict[tuple[str, str, int], dict[str, BenchRow]] = {}
    lines: dict[Key, int] = {}
    for line, row in enumerate(rows, 1):
        methods.setdefault((row.workload, row.target, row.seed), {})[row.method] = row
        lines[row.key] = line
    gains = [
        Gain(program, target, found, lines[found[AUTO].key], *(ratios(found[AUTO]) or (None, None)))
        for (program, target, _), found in methods.items()
        if AUTO in found
    ]
    order = list(TARGETS)
    return sorted(gains, key=lambda gain: order.index(gain.target))


def targets_of(gains: Sequence[Gain]) -> list[str]:
    """Those that occur, in order."""
    return list(dict.fromkeys(gain.target for gain in gains))
