"""What ``solve`` answers for many programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mallocgame.report.table import plain_table

if TYPE_CHECKING:
    from mallocgame.batch import Outcome, Result


def of_batch(outcome: Outcome) -> dict[str, Any]:
    """The answer: counts, and a row for each program with its answer or error."""
    failed = len(outcome.failed)
    return {
        "command": "solve (several)",
        "programs": len(outcome.results),
        "answers": len(outcome.results) - failed,
        "failed": failed,
        "made": outcome.made,
        "rows": [_row(result, outcome) for result in outcome.results],
        "out": str(outcome.folder),
    }


def _row(result: Result, outcome: Outcome) -> dict[str, Any]:
    return {
        "name": result.name,
        "code": result.code,
        "error": result.error or None,
        "seconds": result.seconds,
        "out": None if result.answer is None or not result.out else str(outcome.folder / result.out),
        "answer": None if result.answer is None else asdict(result.answer),
    }


def lines(document: Mapping[str, Any]) -> list[str]:
    """A table of the answers, a line for each program without one, and the counts."""
    answered = [row for row in document["rows"] if row["answer"] is not None]
    found = plain_table("", HEADER, [_cells(row) for row in answered]) if answered else []
    found += [f"no answer: {row['name']}: {row['error']}" for row in document["rows"] if row["answer"] is None]
    counts = f"{document['programs']} programs: {document['answers']} answers, {document['failed']} without one"
    return [*found, f"{counts}; {document['made']} done now", f"written      {document['out']}"]


HEADER = ("", "module", "target", "M saved", "XLA / E", "XLA / M", "time", "status")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """``M saved`` is against everything in HBM."""
    answer = row["answer"]
    saved = "" if answer["m_saved_share"] is None else f"{100 * answer['m_saved_share']:.1f} %"
    over = ("" if answer[name] is None else f"{answer[name]:.4f}" for name in ("xla_over_e", "xla_over_m"))
    status = answer["status"] if answer["confirmed"] else f"{answer['status']}, not confirmed"
    status += "" if row["out"] else ", nothing better"
    return (row["name"], answer["module"], answer["target"], saved, *over, f"{row['seconds']:.1f} s", status)
