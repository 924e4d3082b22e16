"""The workloads as a document, with what became of their captures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import workloads
from mallocgame.bench.store import CaptureStore, Made
from mallocgame.problem.targets import TARGETS


def of_listing(store: CaptureStore) -> dict[str, Any]:
    """The answer of ``bench --list``: the workloads, and for which targets there are captures or failures.

    Raises:
        BadInputError: the record of a failure is damaged.
    """
    return {
        "command": "bench --list",
        "captures": str(store.folder),
        "workloads": [_entry(store, workload) for workload in workloads.BENCHMARK],
        "sharded": [_entry(store, workload) for workload in workloads.SHARDED],
    }


def of_captures(made: Iterable[Made], store: CaptureStore) -> dict[str, Any]:
    """The answer of ``bench --capture-only``."""
    return {
        "command": "bench --capture-only",
        "captures": str(store.folder),
        "programs": [asdict(entry) for entry in made],
    }


def _entry(store: CaptureStore, workload: workloads.Workload) -> dict[str, Any]:
    states = {target: store.state(workload.name, target) for target in TARGETS}
    return {
        **asdict(workload),
        "captured": [target for target, state in states.items() if state == "captured"],
        "failed": {
            target: store.failure(workload.name, target) for target, state in states.items() if state == "failed"
        },
    }
