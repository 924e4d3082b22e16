"""What ``verify`` answers: XLA's default, MSA off and the plan, as the compiler made them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from mallocgame.cli.show import Document, Value
from mallocgame.plan.verdict import TOLERANCE, WINS, verdict_words
from mallocgame.plan.verdict import verdict as judge
from mallocgame.problem.counted import shares_document
from mallocgame.report.table import plain_table
from mallocgame.report.units import change, duration, size

if TYPE_CHECKING:
    from mallocgame.compiler.verification import Row, Verification

MISSES_SHOWN = 10


def of_verification(verification: Verification) -> Document:
    """The answer of ``verify``; ``verdict`` of a row compares it with XLA's default, whose own is empty."""
    problem, split_changed = verification.problem, verification.split_changed
    default = verification.rows[0]
    return {
        "command": "verify",
        "target": problem.target.name,
        "counted": shares_document(problem),
        "best": verification.best,
        "honoured": verification.honoured,
        "sites": verification.sites,
        "compiles": verification.compiles,
        "seconds": round(verification.seconds, 3),
        "versions": dict(verification.versions),
        "rows": [
            {
                "name": row.name,
                "e": row.e_seconds,
                "e_stall": row.e_stall,
                "m": row.m_seconds,
                "m_stall": row.m_stall,
                "peak_fast": row.peak_fast,
                "peak_hbm": row.peak_hbm,
                "fits": row.fits,
                "missing_costs": list(row.missing),
                "verdict": "" if row is default else verdict(row, default, split_changed),
            }
            for row in verification.rows
        ],
        "misses": [asdict(miss) for miss in verification.misses],
        "relaxed": [asdict(relaxed) for relaxed in verification.relaxed],
        "options": dict(verification.options),
        "notes": [*problem.notes, *verification.notes],
    }


def verdict(row: Row, default: Row, split_changed: bool = False) -> str:
    """How a row compares with XLA's default, by the rule that makes a plan *better*."""
    if not row.fits:
        return "does not fit in HBM"
    if row.uncounted != default.uncounted:
        return "cannot tell"
    judged = judge(row, default, split_changed)
    if judged in WINS:
        return verdict_words(judged)
    shares = (row.e_seconds / default.e_seconds, row.m_seconds / default.m_seconds)
    if max(shares) <= 1 + TOLERANCE:
        return "equal"
    return "mixed" if min(shares) < 1 - TOLERANCE else "worse"


VERIFY_HEADER = ("", "E", "vs XLA", "M", "vs XLA", "stall E", "stall M", "peak fast", "honoured", "verdict")


def verify_rows(document: Value) -> list[tuple[str, ...]]:
    """One row of cells for each program of a ``verify`` document, under ``VERIFY_HEADER``."""
    default = document["rows"][0]
    return [
        (
            row["name"],
            duration(row["e"]),
            change(row["e"], default["e"]),
            duration(row["m"]),
            change(row["m"], default["m"]),
            duration(row["e_stall"]),
            duration(row["m_stall"]),
            size(row["peak_fast"]),
            f"{document['honoured']}/{document['sites']}" if row["name"] == "plan" else "",
            row["verdict"],
        )
        for row in document["rows"]
    ]


def lines(document: Value) -> list[str]:
    """The answer in words."""
    table = plain_table(f"target {document['target']}", VERIFY_HEADER, verify_rows(document))
    return [*table, *outcome(document)]


def outcome(document: Value) -> list[str]:
    """The best row, what was relaxed and what was missed."""
    found = [f"best: {document['best']} ({document['compiles']} compiles, {document['seconds']:.0f} s)"]
    found += [f"relaxed: {relaxed['tensor']}: {relaxed['reason']}" for relaxed in document["relaxed"]]
    for miss in document["misses"][:MISSES_SHOWN]:
        found.append(
            f"miss: {miss['kind']} of {miss['tensor']} at {miss['where']}: planned {miss['planned']}, "
            f"found {miss['found']}: {miss['cause']}"
        )
    hidden = len(document["misses"]) - MISSES_SHOWN
    return [*found, f"and {hidden} misses more: see --json"] if hidden > 0 else found
