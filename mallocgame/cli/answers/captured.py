"""What ``capture`` answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.cli.show import Document, Value
from mallocgame.programs.target_choice import ASKED
from mallocgame.report.units import size

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture


def of_capture(capture: Capture, out: Path, target_why: str = ASKED) -> Document:
    """The answer of ``capture``; ``target_why`` in words of ``programs.target_choice``."""
    problem = capture.problem()
    return {
        "command": "capture",
        "function": capture.function,
        "module": problem.module,
        "target": capture.target,
        "target_why": target_why,
        "topology": capture.topology,
        "fingerprint": problem.fingerprint,
        "options": dict(capture.options),
        "init_args": list(capture.init_args),
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
    import numpy as np

    from mallocgame.optimizer.calibrate import interpolation_errors

    errors = [abs(error) for error in interpolation_errors(capture)]
    return {
        "plans": len(errors),
        "median_error": float(np.median(errors)) if errors else None,
        "p95_error": float(np.percentile(errors, 95)) if errors else None,
    }


def lines(document: Value) -> list[str]:
    """The answer in words."""
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    found = [
        f"{document['module']} for {document['target']}: {document['instructions']} instructions, "
        f"{document['tensors']} tensors, peak HBM {size(document['peak_hbm'])}",
        f"compiled     in {document['seconds']:.1f} s by {versions}",
    ]
    options = [f"{name}={value}" for name, value in document["options"].items()]
    if options or document["init_args"]:
        found.append(f"with         {' '.join([*document['init_args'], *options])}")
    calibration = document["calibration"]
    if calibration is not None and calibration["plans"]:
        found.append(
            f"calibrated   {calibration['plans']} plans, each predicted from the other compiles: error of E "
            f"{100 * calibration['median_error']:.2f} % in the median, {100 * calibration['p95_error']:.2f} % at p95"
        )
    elif calibration is not None:
        found.append("calibrated   by MSA switched off alone")
    return [*found, f"written      {document['out']}"]
