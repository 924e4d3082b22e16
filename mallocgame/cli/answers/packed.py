"""The answers of ``pack``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.cli.show import Document, Value

if TYPE_CHECKING:
    from mallocgame.packing import Core, Packing, Spilling

MOST_LISTED = 20
"""Buffers that a line names."""


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
        "core": {"ids": packing.core.ids, "minimal": packing.core.minimal} if packing.core is not None else None,
        "out": str(out) if out is not None and packing.offsets is not None else None,
        "notes": [reasons[packing.status]] if packing.offsets is None else [],
    }


def of_spilling(spilling: Spilling, file: Path, out: Path | None) -> Document:
    """The answer of ``pack --spill``."""
    return {
        "command": "pack",
        "file": str(file),
        "status": spilling.status,
        "capacity": spilling.capacity,
        "offsets": spilling.offsets,
        "spilled": spilling.spilled,
        "cost": spilling.cost,
        "cost_lower_bound": spilling.lower_bound,
        "seconds": round(spilling.seconds, 3),
        "nodes": spilling.nodes,
        "out": str(out) if out is not None else None,
        "notes": [],
    }


def in_the_way(core: Core | None) -> str:
    """The core in words."""
    if core is None:
        return "no set of buffers was proven not to fit"
    proof = "without any one of them the others do" if core.minimal else "not proven that each of them is needed"
    return f"in the way: {_listed(core.ids)}: these {len(core.ids)} alone do not fit, {proof}"


def spill_lines(document: Value) -> list[str]:
    """The answer of ``pack --spill`` in words."""
    spilled, offsets = document["spilled"], document["offsets"]
    proof = "proven least" if document["status"] == "optimal" else f"at least {document['cost_lower_bound']} proven"
    found = [
        f"{document['file']}: {len(offsets) - len(spilled)} of {len(offsets)} buffers in {document['capacity']} bytes",
        f"spilled      {_listed(spilled) or 'nothing'}",
        f"cost         {document['cost']}, {proof}",
        f"search       {document['seconds']:.2f} s, {document['nodes']} sets",
    ]
    return [*found, f"written      {document['out']}"] if document["out"] else found


def _listed(ids: Sequence[str]) -> str:
    """Some ids, and how many more there are."""
    more = f" and {len(ids) - MOST_LISTED} more" if len(ids) > MOST_LISTED else ""
    return ", ".join(ids[:MOST_LISTED]) + more


def lines(document: Value) -> list[str]:
    """The answer in words, where there are offsets."""
    found = [
        f"{document['file']}: {len(document['offsets'])} buffers in {document['capacity']} bytes",
        f"status       {document['status']}, at least {document['lower_bound']} bytes are needed",
        f"search       {document['seconds']:.2f} s, {document['nodes']} nodes",
    ]
    return [*found, f"written      {document['out']}"] if document["out"] else found
