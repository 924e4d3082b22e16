"""What ``solve`` answers: a plan that is checked, but not confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.cli.show import Document, Value
from mallocgame.plan.verdict import NOTHING_BETTER
from mallocgame.problem.counted import counted_words, shares_document
from mallocgame.report.units import duration, percent, size

if TYPE_CHECKING:
    from mallocgame.api import Solved
    from mallocgame.optimizer.foresight import Foresight
    from mallocgame.plan.plan import Plan
    from mallocgame.plan.verdict import Verdict
    from mallocgame.problem.schema import Problem


def of_solved(solved: Solved, out: Path | None) -> Document:
    """The answer of ``solve``. ``confirmed`` is False: only ``verify`` confirms."""
    problem, solution = solved.loaded.problem, solved.solution
    return {
        "command": "solve",
        "file": solved.loaded.source,
        "module": problem.module,
        "target": problem.target.name,
        "target_why": solved.loaded.target_why,
        "fingerprint": problem.fingerprint,
        "costs": problem.costs,
        "counted": shares_document(problem),
        "confirmed": False,
        "solver": solution.solver,
        "status": solution.status,
        "validated": True,
        "seed": solved.named.seed,
        "seconds": round(solved.seconds, 3),
        "m_all_hbm": solution.seconds_all_hbm,
        "m_plan": solution.seconds_under_m,
        "m_saved_share": solution.share_saved,
        **of_plan(problem, solution.plan),
        **of_foresight(solved.foresight, solved.verdict, solution.plan),
        "notes": list(problem.notes),
        "out": None if out is None or solved.verdict not in (None, "better") else str(out),
    }


def of_foresight(foresight: Foresight | None, verdict: Verdict | None, plan: Plan) -> Document:
    """How a plan that nothing will compile compares with XLA's own placement; empty where it is not compared."""
    if foresight is None:
        return {}
    figures, default = foresight.figures(plan), foresight.default
    return {
        "compared": {
            "verdict": verdict,
            "xla": "foreseen" if foresight.foreseen else "known",
            "e_known_share": foresight.known,
            "e_xla": default.e_seconds,
            "e_plan": figures.e_seconds,
            "m_xla": default.m_seconds,
            "m_plan": figures.m_seconds,
        }
    }


def compared_lines(document: Value) -> list[str]:
    """The comparison in words; the last line says where nothing is better."""
    compared = document.get("compared")
    if compared is None:
        return []
    values = {model: (compared[f"{model}_plan"], compared[f"{model}_xla"]) for model in "em"}
    ratios = (
        f"{model.upper()} {duration(plan)} ({xla / plan:.4f} times as fast)"
        for model, (plan, xla) in values.items()
        if plan
    )
    how = "foreseen" if compared["xla"] == "foreseen" else "known"
    shown = (
        f"by cycles of compiles for {percent(compared['e_known_share'])}"
        if compared["e_known_share"]
        else "an estimate"
    )
    found = [f"against XLA  {', '.join(ratios)}; XLA's own placement is {how}, E {shown}"]
    return found if compared["verdict"] == "better" else [*found, NOTHING_BETTER]


def of_plan(problem: Problem, plan: Plan) -> Document:
    """Counts of a plan, and its peak in fast memory."""
    from mallocgame.models.replay import replay_plan

    return {
        "tensors": len(problem.tensors),
        "uses": sum(len(tensor.uses) for tensor in problem.tensors),
        "fast_definitions": len(plan.fast_definitions),
        "fast_uses": len(plan.fast_uses),
        "copies": len(plan.copies),
        "peak_fast": replay_plan(problem, plan, "M").peak_fast,
        "fast_bytes": problem.target.fast_bytes,
    }


def lines(document: Value) -> list[str]:
    """The answer in words."""
    how = (document["solver"], document["status"], f"seed {document['seed']}", f"{document['seconds']:.1f} s")
    found = [
        f"{document['module']} for {document['target']}: {document['tensors']} tensors, {document['uses']} uses",
        f"counted      {counted_words(document['counted'])}",
        f"solver       {', '.join(how)}",
        f"plan         {document['fast_definitions']} definitions and {document['fast_uses']} uses in fast memory, "
        f"{document['copies']} copies, validated",
        f"fast memory  peak {size(document['peak_fast'])} of {size(document['fast_bytes'])}",
        f"M            {duration(document['m_plan'])}; everything in HBM {duration(document['m_all_hbm'])}; "
        f"saved {percent(document['m_saved_share'])}",
        "not confirmed by the compiler: `mallocgame verify` recompiles and reads it back",
        *compared_lines(document),
    ]
    return [*found, f"written      {document['out']}"] if document["out"] else found
