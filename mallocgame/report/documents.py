"""Results of the commands as JSON documents, and the same documents as text for people.

Every document has ``command``; durations are seconds, sizes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mallocgame.printable import printable
from mallocgame.report.text import lines_of

if TYPE_CHECKING:
    from mallocgame.api import Reported, Solved
    from mallocgame.bench.replay_row import Compared
    from mallocgame.bench.run import Outcome
    from mallocgame.compiler.capture import Capture
    from mallocgame.compiler.verification import Row, Verification
    from mallocgame.inspection import Inspection
    from mallocgame.packing import Packing
    from mallocgame.plan import Plan
    from mallocgame.problem.schema import Problem

Document = dict[str, Any]


def show(document: Mapping[str, Any], as_json: bool) -> None:
    """Print a document on stdout."""
    if as_json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return
    for line in lines_of(document):
        print(printable(line))


def of_capture(capture: Capture, out: Path) -> Document:
    """The answer of ``capture``."""
    problem = capture.problem()
    return {
        "command": "capture",
        "function": capture.function,
        "module": problem.module,
        "target": capture.target,
        "topology": capture.topology,
        "fingerprint": problem.fingerprint,
        "options": dict(capture.options),
        "versions": dict(capture.versions),
        "seconds": round(capture.seconds, 3),
        "instructions": len(problem.instructions),
        "tensors": len(problem.tensors),
        "peak_hbm": capture.peak_hbm,
        "calibration": _of_calibration(capture) if capture.observed else None,
        "out": str(out),
    }


def _of_calibration(capture: Capture) -> Document:
    """How well a capture's observations predict each other: shares of E."""
    from mallocgame.calibration.calibrate import interpolation_errors

    errors = [abs(error) for error in interpolation_errors(capture)]
    return {
        "plans": len(errors),
        "median_error": float(np.median(errors)) if errors else None,
        "p95_error": float(np.percentile(errors, 95)) if errors else None,
    }


def of_solved(solved: Solved, out: Path | None) -> Document:
    """The answer of ``solve``. ``confirmed`` is False: only ``verify`` confirms."""
    problem, solution = solved.loaded.problem, solved.solution
    return {
        "command": "solve",
        "file": solved.loaded.source,
        "module": problem.module,
        "target": problem.target.name,
        "fingerprint": problem.fingerprint,
        "costs": problem.costs,
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
        "notes": list(problem.notes),
        "out": None if out is None else str(out),
    }


def of_plan(problem: Problem, plan: Plan) -> Document:
    """Counts of a plan, and its peak in fast memory."""
    from mallocgame.replay import replay_plan

    return {
        "tensors": len(problem.tensors),
        "uses": sum(len(tensor.uses) for tensor in problem.tensors),
        "fast_definitions": len(plan.fast_definitions),
        "fast_uses": len(plan.fast_uses),
        "copies": len(plan.copies),
        "peak_fast": replay_plan(problem, plan, "M").peak_fast,
        "fast_bytes": problem.target.fast_bytes,
    }


def of_inspection(inspection: Inspection) -> Document:
    """The answer of ``inspect``."""
    problem = inspection.problem
    return {
        "command": "inspect",
        "module": problem.module,
        "target": problem.target.name,
        "fingerprint": problem.fingerprint,
        "costs": problem.costs,
        "instructions": len(problem.instructions),
        "computations": len(problem.computations),
        "loops": inspection.loops,
        "tensors": len(problem.tensors),
        "movable_tensors": inspection.movable,
        "alias_groups": sum(len(group.tensors) > 1 for group in problem.groups),
        "tensor_bytes": inspection.tensor_bytes,
        "largest_bytes": inspection.largest_bytes,
        "peak_bytes": inspection.peak_bytes,
        "peak_at": problem.instructions[inspection.peak_time].name if problem.instructions else None,
        "fast_bytes": problem.target.fast_bytes,
        "m_all_hbm": inspection.all_hbm_seconds,
        "m_default": inspection.default_seconds,
        "m_bound": inspection.bound_seconds,
        "headroom_share": inspection.headroom,
        "costliest": [
            {
                "name": row.name,
                "opcode": row.opcode,
                "time": row.time,
                "runs": row.runs,
                "m_all_hbm": row.seconds,
                "m_bound": row.bound,
                "total_bytes": row.total_bytes,
            }
            for row in inspection.costliest
        ],
        "notes": list(problem.notes),
    }


def of_verification(verification: Verification, target: str) -> Document:
    """The answer of ``verify``; ``verdict`` of a row compares it with XLA's default, whose own is empty."""
    default = verification.rows[0]
    return {
        "command": "verify",
        "target": target,
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
                "verdict": "" if row is default else verdict(row, default),
            }
            for row in verification.rows
        ],
        "misses": [asdict(miss) for miss in verification.misses],
        "relaxed": [asdict(relaxed) for relaxed in verification.relaxed],
        "options": dict(verification.options),
        "notes": list(verification.notes),
    }


def of_report(made: Reported, plan: Path) -> Document:
    """The answer of ``report``."""
    comparison = made.comparison
    before, after = comparison.before, comparison.after
    return {
        "command": "report",
        "plan": str(plan),
        "file": comparison.file,
        "module": comparison.problem.module,
        "target": comparison.problem.target.name,
        "fingerprint": comparison.problem.fingerprint,
        "confirmed": comparison.confirmed,
        "before": before.name,
        "e_before": before.replays["E"].total,
        "e_after": after.replays["E"].total,
        "m_before": before.replays["M"].total,
        "m_after": after.replays["M"].total,
        "format": made.format,
        "bytes": made.size,
        "notes": list(comparison.notes),
        "out": str(made.out),
    }


def of_bench(outcome: Outcome) -> Document:
    """The answer of ``bench``."""
    from mallocgame.bench.tables import markdown

    return {
        "command": "bench",
        "complete": outcome.complete,
        "made": outcome.made,
        "rows": [asdict(row) for row in outcome.rows],
        "table": markdown(outcome.rows, outcome.complete),
        "out": str(outcome.folder),
    }


def of_replay(compared: Compared) -> Document:
    """The answer of ``bench --replay``."""
    from mallocgame.bench.replay_row import COMPARED

    row = compared.row
    figures = {name: (getattr(row, name), getattr(compared.figures, name)) for name in COMPARED}
    figures["fingerprint"] = (row.fingerprint, compared.fingerprint)
    return {
        "command": "bench --replay",
        "workload": row.workload,
        "target": row.target,
        "method": row.method,
        "versions": dict(row.versions),
        "figures": {name: {"row": before, "replayed": after} for name, (before, after) in figures.items()},
        "same": not compared.differences,
    }


def of_packing(packing: Packing, file: Path, out: Path | None) -> Document:
    """The answer of ``pack``; ``out`` is None where nothing was written."""
    reasons = {
        "infeasible": f"infeasible: proven that {packing.capacity} bytes are not enough",
        "time limit": f"time limit: no packing into {packing.capacity} bytes found in {packing.seconds:.1f} s",
    }
    return {
        "command": "pack",
        "file": str(file),
        "status": packing.status,
        "capacity": packing.capacity,
        "lower_bound": packing.lower_bound,
        "offsets": packing.offsets,
        "seconds": round(packing.seconds, 3),
        "nodes": packing.nodes,
        "out": str(out) if out is not None and packing.offsets is not None else None,
        "notes": [reasons[packing.status]] if packing.offsets is None else [],
    }


def verdict(row: Row, default: Row) -> str:
    """How a row compares with XLA's default, by the rule that makes a plan *better*."""
    from mallocgame.compiler.verification import TOLERANCE, is_better

    if not row.fits:
        return "does not fit in HBM"
    if is_better(row, default):
        return "better"
    shares = (row.e_seconds / default.e_seconds, row.m_seconds / default.m_seconds)
    if max(shares) <= 1 + TOLERANCE:
        return "equal"
    return "mixed" if min(shares) < 1 - TOLERANCE else "worse"
