"""What a verification reports, and which of the verified programs is the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mallocgame.models.replay import replay_final, uncounted_of_final
from mallocgame.plan.verdict import WINS, Kind, verdict
from mallocgame.problem.schema import Problem
from xla_dump_parser import hlo


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
        uncounted: what kernels and collectives of which nothing is known have in fast memory
            (``mallocgame.models.replay.uncounted``).
    """

    name: Kind
    e_seconds: float
    e_stall: float
    m_seconds: float
    m_stall: float
    peak_fast: int
    peak_hbm: int
    missing: tuple[str, ...]
    fits: bool
    uncounted: tuple[str, ...] = ()


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

    def __str__(self) -> str:
        """In one line."""
        return f"{self.kind} of {self.tensor} at {self.where}: planned {self.planned}, found {self.found}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Relaxed:
    """Alias group that was left in HBM because the compiler refused an override for it.

    Attributes:
        group: its number.
        tensor: name of its tensor that the compiler refused.
        reason: the compiler's words.
        cut: whether it was not this group that was refused, but others beside it.
    """

    group: int
    tensor: str
    reason: str
    cut: bool = False


@dataclass(frozen=True)
class Verification:
    """A plan after its recompile.

    Attributes:
        problem: whose costs the plan's figures rest on.
        rows: XLA's default, its own placement at the plan's split if that is another one, MSA off (where its schedule
            is the same), and the plan or other answer, in this order.
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
        split_changed: whether the answer is for another memory split than XLA's default.
    """

    problem: Problem
    rows: tuple[Row, ...]
    honoured: int
    sites: int
    misses: tuple[Miss, ...]
    relaxed: tuple[Relaxed, ...]
    best: Kind
    compiles: int
    seconds: float
    options: Mapping[str, str]
    versions: Mapping[str, str]
    final: str
    buffer_assignment: str
    notes: tuple[str, ...] = ()
    split_changed: bool = False

    def row(self, name: Kind) -> Row | None:
        """The row of this name, if there is one."""
        return next((row for row in self.rows if row.name == name), None)


def best_of(rows: tuple[Row, ...], split_changed: bool = False) -> Kind:
    """The row to use: of those that beat XLA's default the one with the least product of E and M; else the default.

    XLA's default is first; the others are of its memory split, unless ``split_changed``.
    """
    default = rows[0]
    better = [row for row in rows[1:] if verdict(row, default, split_changed) in WINS]
    return min(better, key=lambda row: row.e_seconds * row.m_seconds).name if better else default.name


def replayed(name: Kind, problem: Problem, final: hlo.HloModule, peak_hbm: int) -> Row:
    """The row of a final text, replayed with the costs of ``problem``.

    Args:
        name: which.
        problem: of the schedule that the text was compiled from.
        final: HLO after code generation.
        peak_hbm: bytes of HBM that the program needs, by the compiler's report.

    Raises:
        BadInputError: the text is not scheduled, or of another program.
    """
    e, m = replay_final(problem, final, "E"), replay_final(problem, final, "M")
    return Row(
        name=name,
        e_seconds=e.total,
        e_stall=e.stall,
        m_seconds=m.total,
        m_stall=m.stall,
        peak_fast=m.peak_fast,
        peak_hbm=peak_hbm,
        missing=m.missing,
        fits=peak_hbm <= problem.target.hbm_bytes,
        uncounted=uncounted_of_final(problem, final),
    )
