"""What each part of the loop contributes: the answers with it, and without the programs that it proposed."""

from __future__ import annotations

from collections.abc import Sequence

from mallocgame.bench.grid import Cell, Grid, mean
from mallocgame.bench.programs import TriedProgram
from mallocgame.bench.rows import AUTO, BenchRow
from mallocgame.plan.verdict import WINS, strictly

_NOTE = (
    "Without a part: the answers if its programs had not been there and its compiles were left unused. Rows of "
    '"auto without ..." are whole runs that spend these compiles otherwise.'
)


def portfolio(rows: Sequence[BenchRow]) -> list[Grid]:
    """One grid for each target that has rows of the loop."""
    found = []
    for target in dict.fromkeys(row.target for row in rows):
        chosen = [row for row in rows if row.target == target and row.method == AUTO and row.programs]
        if chosen:
            found.append(_grid(target, chosen))
    return found


def _grid(target: str, rows: Sequence[BenchRow]) -> Grid:
    proposers = dict.fromkeys(program.proposer for row in rows for program in row.programs[1:])
    compiles = sum(row.compiles for row in rows)
    table = [[Cell("all parts"), Cell(str(len(rows)), len(rows)), Cell(str(compiles), compiles), *_answers(rows, None)]]
    for name in proposers:
        mine = [program for row in rows for program in row.programs if program.proposer == name]
        given = sum(row.proposer == name for row in rows)
        spent = sum(program.compiles for program in mine)
        table.append([Cell(f"without {name}"), Cell(str(given), given), Cell(str(spent), spent), *_answers(rows, name)])
    means = ["E, geometric mean [95 %]", "M, geometric mean [95 %]"]
    header = ["portfolio", "answers it gave", "its compiles", *means, "better"]
    return Grid(f"{target}: what each part contributes, {len(rows)} programs", header, table, (_NOTE,))


def _answers(rows: Sequence[BenchRow], without: str | None) -> list[Cell]:
    pairs = [_answer(row, without) for row in rows]
    better = sum(pair != (1.0, 1.0) for pair in pairs)
    return [mean([e for e, _ in pairs]), mean([m for _, m in pairs]), Cell(str(better), better)]


def _answer(row: BenchRow, without: str | None) -> tuple[float, float]:
    """Default / answer under E and M of what the other proposers found."""
    strict = row.options.get("strict") is True
    better = [
        (_value(program, row), (row.programs[0].e_seconds or 0.0, row.programs[0].m_seconds or 0.0), program)
        for program in row.programs
        if program.proposer != without and (strictly(program.verdict) if strict else program.verdict) in WINS
    ]
    if not better:
        return 1.0, 1.0
    _, (e, m), best = min(better, key=lambda entry: entry[0])
    return e / (best.e_seconds or e), m / (best.m_seconds or m)


def _value(program: TriedProgram, row: BenchRow) -> float:
    e, m = program.e_seconds or 0.0, program.m_seconds or 0.0
    return {"E": e, "M": m}.get(str(row.options.get("objective")), e * m)
