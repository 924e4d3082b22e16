"""What ``bench`` and its options answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import workloads
from mallocgame.cli.show import Document, Value
from mallocgame.problem.targets import TARGETS
from mallocgame.report.table import plain_table

if TYPE_CHECKING:
    from mallocgame.bench.replay_row import Compared
    from mallocgame.bench.run import Outcome
    from mallocgame.bench.store import CaptureStore, Made


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


def of_listing(store: CaptureStore) -> Document:
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


def of_captures(made: Iterable[Made], store: CaptureStore) -> Document:
    """The answer of ``bench --capture-only``."""
    return {
        "command": "bench --capture-only",
        "captures": str(store.folder),
        "programs": [asdict(entry) for entry in made],
    }


def _entry(store: CaptureStore, workload: workloads.Workload) -> Document:
    states = {target: store.state(workload.name, target) for target in TARGETS}
    return {
        **asdict(workload),
        "captured": [target for target, state in states.items() if state == "captured"],
        "failed": {
            target: store.failure(workload.name, target) for target, state in states.items() if state == "failed"
        },
    }


def listed_lines(document: Value) -> list[str]:
    """``bench --list``: the workloads, the sharded ones beside them, and why captures failed."""
    found = _workloads(f"{len(document['workloads'])} workloads", document["workloads"])
    found += ["", *_workloads(f"{len(document['sharded'])} over several devices", document["sharded"])]
    entries = (*document["workloads"], *document["sharded"])
    captured = sum(len(entry["captured"]) for entry in entries)
    found += ["", f"{captured} captures in {document['captures']}"]
    return found + [
        f"does not compile: {entry['name']} for {target}: {reason}"
        for entry in entries
        for target, reason in entry["failed"].items()
    ]


def _workloads(title: str, entries: list[Value]) -> list[str]:
    rows = [
        (
            entry["name"],
            entry["family"],
            entry["phase"],
            ", ".join((*entry["captured"], *(f"not {target}" for target in entry["failed"]))) or "-",
            entry["about"],
        )
        for entry in entries
    ]
    return plain_table(title, ("name", "family", "phase", "captured", "about"), rows)


def captured_lines(document: Value) -> list[str]:
    """``bench --capture-only``: what failed, and how many there are."""
    programs = document["programs"]
    failed = [program for program in programs if program["state"] == "failed"]
    found = [f"failed: {program['workload']} for {program['target']}: {program['reason']}" for program in failed]
    return [*found, f"{len(programs) - len(failed)} of {len(programs)} captured in {document['captures']}"]


def lines(document: Value) -> list[str]:
    """``bench``: the table."""
    return [*document["table"].splitlines(), "", f"rows and tables in {document['out']}"]


def replayed_lines(document: Value) -> list[str]:
    """``bench --replay``: every figure as it was and as it is."""
    rows = [
        (name, repr(pair["row"]), repr(pair["replayed"]), "same" if pair["row"] == pair["replayed"] else "DIFFERS")
        for name, pair in document["figures"].items()
    ]
    title = f"{document['workload']} for {document['target']}, {document['method']}, compiled again"
    return plain_table(title, ("", "row", "again", ""), rows)
