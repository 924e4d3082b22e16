"""The document of ``solve --solver auto``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mallocgame.report.probe_document import of_probe

if TYPE_CHECKING:
    from mallocgame.loop.automatic import Automatic
    from mallocgame.loop.driver import Improved
    from mallocgame.loop.programs import Tried


def of_automatic(found: Automatic, out: Path | None) -> dict[str, Any]:
    """The answer: every program with its figures, which ones nobody beats, and which one is the answer."""
    from mallocgame.named_plan import NamedPlan

    problem = found.loaded.problem
    document: dict[str, Any] = {
        "command": "solve --solver auto",
        "file": found.loaded.source,
        "module": problem.module,
        "target": problem.target.name,
        "fingerprint": problem.fingerprint,
        "costs": problem.costs,
        "confirmed": found.improved is not None,
        "status": found.status,
        "seconds": round(found.seconds, 3),
        "notes": [*problem.notes, *found.notes],
        "out": None if out is None else str(out),
        "out_kind": "plan" if isinstance(found.answer, NamedPlan) else "compiler options",
        "probe": None if found.probed is None else of_probe(found.probed, None),
    }
    if found.improved is not None:
        return document | _confirmed(found.improved)
    assert found.predicted is not None
    predicted_e, predicted_m = found.predicted
    assert isinstance(found.answer, NamedPlan)
    objective = found.answer.options["objective"]
    return document | {"objective": objective, "predicted_e": predicted_e, "predicted_m": predicted_m}


def _confirmed(found: Improved) -> dict[str, Any]:
    return {
        "objective": found.choice.objective,
        "strict": found.choice.strict,
        "compiles": found.compiles,
        "compile_seconds": round(found.compile_seconds, 3),
        "search_seconds": round(found.search_seconds, 3),
        "programs": [_program(tried, found) for tried in found.tried],
        "answer": next(number for number, tried in enumerate(found.tried) if tried is found.answer),
        "options": dict(found.answer.options),
    }


def _program(tried: Tried, found: Improved) -> dict[str, Any]:
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
        "strict_verdict": tried.strict_verdict,
        "pareto": any(entry is tried for entry in found.pareto),
        "honoured": tried.honoured,
        "sites": tried.sites,
        "compiles": tried.compiles,
        "failure": tried.failure,
    }
