"""What ``solve --solver auto`` answers: every program that was tried, and which one is the answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.cli.answers import probed
from mallocgame.cli.answers.solved import compared_lines, of_foresight
from mallocgame.cli.show import Document, Value
from mallocgame.plan.verdict import strictly, verdict_words
from mallocgame.probe.document import of_probe
from mallocgame.problem.counted import shares_document
from mallocgame.report.table import plain_table
from mallocgame.report.units import duration

if TYPE_CHECKING:
    from mallocgame.optimizer.automatic import Automatic
    from mallocgame.optimizer.improve import Improved
    from mallocgame.optimizer.knowledge.candidates import Tried


def of_automatic(found: Automatic, out: Path | None) -> Document:
    """The answer: every program with its figures, which ones nobody beats, and which one is the answer."""
    from mallocgame.plan.named_plan import NamedPlan

    problem = found.loaded.problem
    document: Document = {
        "command": "solve --solver auto",
        "file": found.loaded.source,
        "module": problem.module,
        "target": problem.target.name,
        "target_why": found.loaded.target_why,
        "fingerprint": problem.fingerprint,
        "costs": problem.costs,
        "counted": shares_document(problem),
        "confirmed": found.improved is not None,
        "status": found.status,
        "seconds": round(found.seconds, 3),
        "notes": [*problem.notes, *found.notes],
        "out": str(out) if out is not None and found.is_written else None,
        "out_kind": "plan" if isinstance(found.answer, NamedPlan) else "compiler options",
        "probe": None if found.probed is None else of_probe(found.probed, None),
    }
    if found.improved is not None:
        return document | _confirmed(found.improved)
    assert found.predicted is not None
    predicted_e, predicted_m = found.predicted
    assert isinstance(found.answer, NamedPlan)
    objective = found.answer.options["objective"]
    predicted = {"objective": objective, "predicted_e": predicted_e, "predicted_m": predicted_m}
    return document | predicted | of_foresight(found.foresight, found.verdict, found.answer.plan)


def _confirmed(found: Improved) -> Document:
    return {
        "objective": found.choice.objective,
        "strict": found.choice.strict,
        "compiles": found.compiles,
        "compile_time": found.compile_time,
        "compile_seconds": round(found.compile_seconds, 3),
        "search_seconds": round(found.search_seconds, 3),
        "carried_over": _carried_over(found),
        "programs": [_program(tried, found) for tried in found.tried],
        "answer": next(number for number, tried in enumerate(found.tried) if tried is found.answer),
        "options": dict(found.answer.options),
    }


def _carried_over(found: Improved) -> Document | None:
    """Of the alias groups that the answer has in fast memory that it started from, how many were found again."""
    carried = found.carried
    return None if carried is None else {"about": carried.about, "found": carried.found, "groups": carried.groups}


def _program(tried: Tried, found: Improved) -> Document:
    row = tried.row
    predicted_e, predicted_m = tried.predicted or (None, None)
    return {
        "proposer": tried.proposer,
        "kind": tried.kind,
        "about": tried.about,
        "scoped_vmem_kib": tried.scoped_vmem_kib,
        "e": row and row.e_seconds,
        "e_stall": row and row.e_stall,
        "m": row and row.m_seconds,
        "m_stall": row and row.m_stall,
        "peak_fast": row and row.peak_fast,
        "peak_hbm": row and row.peak_hbm,
        "fits": row and row.fits,
        "predicted_e": predicted_e,
        "predicted_m": predicted_m,
        "verdict": tried.verdict,
        "pareto": any(entry is tried for entry in found.pareto),
        "honoured": tried.honoured,
        "sites": tried.sites,
        "compiles": tried.compiles,
        "failure": tried.failure,
    }


def lines(document: Value) -> list[str]:
    """A table of the programs that were tried, and the answer."""
    title = f"{document['module']} for {document['target']}, best under {document['objective']}"
    if not document["confirmed"]:
        under_e, under_m = document["predicted_e"], document["predicted_m"]
        found = [
            f"{title}: a plan, {document['status']}",
            f"predicted    E {duration(under_e)}, M {duration(under_m)}",
            "not confirmed by the compiler",
            *([] if document["probe"] else compared_lines(document)),
        ]
    else:
        found = plain_table(title, AUTO_HEADER, [_program_row(row, document) for row in document["programs"]])
        answer = document["programs"][document["answer"]]
        found += [
            f"answer: {answer['about']}, E {_faster(answer, document, 'e')}, M {_faster(answer, document, 'm')} "
            f"({document['status']}; {document['compiles']} compiles, {document['compile_seconds']:.0f} s; "
            f"search {document['search_seconds']:.0f} s)",
        ]
    if document["probe"] is not None:
        found += ["", *probed.lines(document["probe"])]
    return [*found, f"written      {document['out']} ({document['out_kind']})"] if document["out"] else found


AUTO_HEADER = ("", "E", "XLA / E", "M", "XLA / M", "honoured", "compiles", "verdict")


def _program_row(row: Value, document: Value) -> tuple[str, ...]:
    if row["failure"] is not None:
        return (row["about"], *("-",) * 5, str(row["compiles"]), row["failure"][:100])
    honoured = "" if row["honoured"] is None else f"{row['honoured']}/{row['sites']}"
    verdict = strictly(row["verdict"]) if document["strict"] else row["verdict"]
    words = [verdict_words(verdict), *(["Pareto"] if row["pareto"] else [])]
    return (
        row["about"],
        duration(row["e"]),
        _faster(row, document, "e"),
        duration(row["m"]),
        _faster(row, document, "m"),
        honoured,
        str(row["compiles"]),
        ", ".join(words),
    )


def _faster(row: Value, document: Value, model: str) -> str:
    """XLA's default over a program."""
    default = document["programs"][0][model]
    return f"{default / row[model]:.4f}" if row[model] else "-"
