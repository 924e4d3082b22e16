"""Seconds of each instruction of a program, by JAX's profiler. It can abort the process, or tell nothing."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mallocgame.system.errors import CompilerRefusedError

OPERATION = "hlo_op"
"""The statistic of an event that names its instruction."""

OPERATIONS_LINE = "XLA Ops"
"""Of an accelerator's lines the one with an event for each instruction; others would count it again."""


def measure(run: Callable[[], None], runs: int) -> list[dict[str, Any]]:
    """Profile so many runs.

    Returns:
        For each instruction, those that take longest together first: ``name``, ``events`` in all runs, and their
        ``median`` and ``total`` seconds.

    Raises:
        CompilerRefusedError: the profile names no instructions.
    """
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="mallocgame-profile-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with jax.profiler.trace(folder):
            for _ in range(runs):
                run()
        for path in Path(folder).rglob("*.xplane.pb"):
            for name, seconds in events(jax.profiler.ProfileData.from_file(str(path)).planes):
                times.setdefault(name, []).append(seconds)
    if not times:
        raise CompilerRefusedError("the profile names no instructions on this device")
    rows = [
        {"name": name, "events": len(found), "median": float(np.median(found)), "total": sum(found)}
        for name, found in times.items()
    ]
    return sorted(rows, key=lambda row: (-row["total"], row["name"]))


def events(planes: Iterable[Any]) -> Iterator[tuple[str, float]]:
    """(instruction, seconds) of each event of a profile: of the accelerators where there are any, else of the host."""
    found = list(planes)
    devices = [plane for plane in found if plane.name.startswith("/device:")]
    for plane in devices or found:
        lines = list(plane.lines)
        chosen = [line for line in lines if line.name == OPERATIONS_LINE] or lines
        for line in chosen:
            for event in line.events:
                name = next((value for key, value in event.stats if key == OPERATION), None)
                if name is None and line.name == OPERATIONS_LINE:
                    name = event.name.split(" ")[0]
                if name is not None:
                    yield str(name).lstrip("%"), event.duration_ns * 1e-9
