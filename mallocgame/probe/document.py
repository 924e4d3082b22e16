"""The documents of ``probe`` and ``probe --calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mallocgame.probe.measure import Measured, Probe
    from mallocgame.problem.target_file import MeasuredTarget


def of_probe(found: Probe, out: Path | None) -> dict[str, Any]:
    """The answer: each program's times and how it compares with the first, which one to use, and on what."""
    return {
        "command": "probe",
        "best": found.best,
        "status": found.status,
        "level": found.level,
        "margin": found.margin,
        "rounds": found.rounds,
        "rounds_in_bout": found.rounds_in_bout,
        "seconds": round(found.seconds, 3),
        "seed": found.seed,
        "programs": [_program(program) for program in found.programs],
        "device": found.device,
        "before": found.before,
        "after": found.after,
        "notes": list(found.notes),
        "out": None if out is None else str(out),
    }


def _program(found: Measured) -> dict[str, Any]:
    interval = found.interval
    return {
        "name": found.name,
        "options": found.options,
        "compile_seconds": round(found.compile_seconds, 3),
        "calls": found.calls,
        "fastest": found.fastest,
        "median": found.median,
        "ratio": interval and interval.ratio,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "verdict": found.verdict,
        "difference": found.difference,
        "finite": found.finite,
    }


def of_calibration(found: MeasuredTarget, out: Path) -> dict[str, Any]:
    """The answer of ``probe --calibrate``: what the file has."""
    from mallocgame.problem.target_file import target_json

    return {"command": "probe --calibrate", **target_json(found), "out": str(out)}
