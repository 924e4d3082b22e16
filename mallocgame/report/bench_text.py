"""Documents of ``bench`` as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mallocgame.report.table import plain_table

Value = Mapping[str, Any]


def listed(document: Value) -> list[str]:
    """``bench --list``: the workloads, the sharded ones beside them, and why captures failed."""
    lines = _workloads(f"{len(document['workloads'])} workloads", document["workloads"])
    lines += ["", *_workloads(f"{len(document['sharded'])} over several devices", document["sharded"])]
    entries = (*document["workloads"], *document["sharded"])
    captured = sum(len(entry["captured"]) for entry in entries)
    lines += ["", f"{captured} captures in {document['captures']}"]
    return lines + [
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


def captured(document: Value) -> list[str]:
    """``bench --capture-only``: what failed, and how many there are."""
    programs = document["programs"]
    failed = [program for program in programs if program["state"] == "failed"]
    lines = [f"failed: {program['workload']} for {program['target']}: {program['reason']}" for program in failed]
    return [*lines, f"{len(programs) - len(failed)} of {len(programs)} captured in {document['captures']}"]


def benched(document: Value) -> list[str]:
    """``bench``: the table."""
    return [*document["table"].splitlines(), "", f"rows and tables in {document['out']}"]


def replayed(document: Value) -> list[str]:
    """``bench --replay``: every figure as it was and as it is."""
    rows = [
        (name, repr(pair["row"]), repr(pair["replayed"]), "same" if pair["row"] == pair["replayed"] else "DIFFERS")
        for name, pair in document["figures"].items()
    ]
    title = f"{document['workload']} for {document['target']}, {document['method']}, compiled again"
    return plain_table(title, ("", "row", "again", ""), rows)
