"""What a verification reports, and which of the verified programs is the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RowName = Literal["xla default", "msa off", "plan"]

TOLERANCE = 0.001
"""A plan is better where neither model is more than this share worse, and one more than this share better."""


@dataclass(frozen=True, slots=True)
class Row:
    """One compiled program, replayed from its final text.

    Attributes:
        name: which.
        e_seconds: total under E.
        e_stall: the part of it that waits for copies.
        m_seconds: total under M.
        m_stall: likewise.
        peak_fast: most bytes of fast memory occupied at one time.
        peak_hbm: bytes of HBM that the program needs, by the compiler's report.
        missing: instructions that the replay had no cost for.
        fits: whether ``peak_hbm`` is within the device's capacity.
    """

    name: RowName
    e_seconds: float
    e_stall: float
    m_seconds: float
    m_stall: float
    peak_fast: int
    peak_hbm: int
    missing: tuple[str, ...]
    fits: bool


@dataclass(frozen=True, slots=True)
class Miss:
    """A definition, use or copy that is not as the plan has it.

    Attributes:
        kind: ``"definition"``, ``"use"`` or ``"copy"``.
        tensor: name of the tensor.
        where: name of the defining or using instruction.
        planned: what the plan says: ``"fast"``, ``"HBM"``, or where a copy starts.
        found: what the final text says.
        cause: why, in words.
    """

    kind: str
    tensor: str
    where: str
    planned: str
    found: str
    cause: str


@dataclass(frozen=True, slots=True)
class Relaxed:
    """Alias group that was left in HBM because the compiler refused an override for it.

    Attributes:
        group: its number.
        tensor: name of its tensor that the compiler refused.
        reason: the compiler's words.
    """

    group: int
    tensor: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """A plan after its recompile.

    Attributes:
        rows: XLA's default, MSA off (where its schedule is the same) and the plan, in this order.
        honoured: how many definitions, uses and planned copies are as in the plan.
        sites: how many there are.
        misses: the others, each with its cause.
        relaxed: groups that had to be left in HBM; all their sites that changed are misses.
        best: name of the best row; never worse than XLA's default.
        compiles: how many compiles it took.
        seconds: wall time.
        options: the compiler options of the plan's last compile.
        versions: of the compiler that verified.
        final: final HLO text of the plan's compile.
        buffer_assignment: its buffer-assignment text, with the addresses.
        notes: what a reader should know, one line each.
    """

    rows: tuple[Row, ...]
    honoured: int
    sites: int
    misses: tuple[Miss, ...]
    relaxed: tuple[Relaxed, ...]
    best: RowName
    compiles: int
    seconds: float
    options: Mapping[str, str]
    versions: Mapping[str, str]
    final: str
    buffer_assignment: str
    notes: tuple[str, ...] = ()

    def row(self, name: RowName) -> Row | None:
        """The row of this name, if there is one."""
        return next((row for row in self.rows if row.name == name), None)


def is_better(row: Row, default: Row) -> bool:
    """Whether ``row`` beats XLA's default: better under one model and not worse under the other."""
    e, m = row.e_seconds / default.e_seconds, row.m_seconds / default.m_seconds
    return row.fits and max(e, m) <= 1 + TOLERANCE and min(e, m) < 1 - TOLERANCE


def best_of(rows: tuple[Row, ...]) -> RowName:
    """The row to use: of those that beat XLA's default the one with the least product of E and M; else the default."""
    default = rows[0]
    better = [row for row in rows[1:] if default.e_seconds and default.m_seconds and is_better(row, default)]
    return min(better, key=lambda row: row.e_seconds * row.m_seconds).name if better else default.name
