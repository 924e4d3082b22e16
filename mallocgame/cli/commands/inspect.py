"""``inspect``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.cli.app import Json, app
from mallocgame.cli.options import Kernels, Module, Target, TripCounts, kernel_seconds, trip_counts
from mallocgame.cli.progress import tell
from mallocgame.cli.show import Document, Value, show
from mallocgame.problem.chips import program_hbm
from mallocgame.problem.counted import counted_words, shares_document, trips_of
from mallocgame.problem.placement import HBM, HOST
from mallocgame.report.table import plain_table
from mallocgame.report.units import compiler_size, duration, percent, size

if TYPE_CHECKING:
    from mallocgame.report.inspection import Inspection


@app.command
def inspect(
    file: Path,
    /,
    *,
    target: Target = None,
    module: Module = None,
    kernel: Kernels = None,
    trips: TripCounts = None,
    json: Json = False,
) -> None:
    """Tensors, sizes, peak, headroom and the ten costliest instructions."""
    from mallocgame import api

    found = api.inspect(
        file,
        target=target,
        module=module,
        kernels=kernel_seconds(kernel),
        trips=trip_counts(trips),
        progress=tell,
    )
    show(of_inspection(found), lines, json)


def of_inspection(inspection: Inspection) -> Document:
    """The answer of ``inspect``."""
    problem, compiled = inspection.problem, inspection.compiled_bytes
    return {
        "command": "inspect",
        "module": problem.module,
        "target": problem.target.name,
        "target_why": inspection.target_why,
        "fingerprint": problem.fingerprint,
        "costs": problem.costs,
        "counted": shares_document(problem),
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
        "host_bytes": inspection.host_bytes,
        "largest_at_peak": [
            {
                "tensor": buffer.tensor,
                "shape": buffer.shape,
                "bytes": buffer.size,
                "plain_bytes": buffer.plain_size,
                "source": buffer.source,
            }
            for buffer in inspection.largest_at_peak
        ],
        "compiled_hbm_bytes": None if compiled is None else compiled.get(HBM, 0),
        "compiled_host_bytes": None if compiled is None else compiled.get(HOST, 0),
        "hbm_bytes": problem.target.hbm_bytes,
        "program_hbm_bytes": program_hbm(problem.target),
        "fast_bytes": problem.target.fast_bytes,
        "reserved": [
            {
                "from": problem.instructions[one.start].name,
                "to": problem.instructions[one.end].name,
                "bytes": one.size,
            }
            for one in problem.reserved
        ],
        "m_all_hbm": inspection.all_hbm_seconds,
        "m_default": inspection.default_seconds,
        "m_bound": inspection.bound_seconds,
        "headroom_share": inspection.headroom,
        "not_counted": [problem.instructions[time].name for time in problem.uncounted],
        "trips": [
            {"loop": problem.instructions[time].name, "trips": trips_of(problem, time), "source": source}
            for time, source in problem.loops
        ],
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


LARGEST_HEADER = ("largest at the peak", "bytes", "without padding", "shape", "source")


def _memory(document: Value) -> list[str]:
    """What the compiled program needs of the HBM; without the compiler's report, whether its peak is beyond that."""
    hbm, compiled = compiler_size(document["program_hbm_bytes"]), document["compiled_hbm_bytes"]
    if compiled is None:
        beyond = document["peak_bytes"] > document["program_hbm_bytes"] + document["fast_bytes"]
        lost = f"does not fit  the peak is more than the {hbm} of HBM that a program may have and the fast memory"
        return [lost] if beyond else []
    on_host = document["compiled_host_bytes"]
    host = f"; host memory {compiler_size(on_host)}" if on_host else ""
    fits = "" if compiled <= document["program_hbm_bytes"] else ": does not fit"
    return [f"compiled     HBM {compiler_size(compiled)} of {hbm} that a program may have{host}{fits}"]


def _reserved(rows: Sequence[Value]) -> list[str]:
    """The largest of what instructions take of fast memory for themselves."""
    if not rows:
        return []
    largest = max(rows, key=lambda row: row["bytes"])
    at = largest["from"] if largest["from"] == largest["to"] else f"{largest['from']} to {largest['to']}"
    return [f"reserved     {len(rows)} times; at most {size(largest['bytes'])} of fast memory, by {at}"]


def _loops(loops: Sequence[Value]) -> list[str]:
    """All loops whose trip count the program does not tell."""
    told = [f"{row['loop']} {row['trips']}{'' if row['source'] == 'user' else ' (assumed)'}" for row in loops]
    return [f"trips        {', '.join(told)}"] if told else []


def lines(document: Value) -> list[str]:
    """The answer in words."""
    default = document["m_default"]
    xla = "" if default is None else f"XLA's default {duration(default)}, "
    host = f"host memory {size(document['host_bytes'])}; " if document["host_bytes"] else ""
    found = [
        f"{document['module']} for {document['target']}",
        f"schedule     {document['instructions']} instructions; computations: {document['computations']}, "
        f"loops: {document['loops']}",
        f"tensors      {document['tensors']}, {size(document['tensor_bytes'])} in all, the largest "
        f"{size(document['largest_bytes'])}; {document['movable_tensors']} may be in fast memory; "
        f"alias groups of several: {document['alias_groups']}",
        f"peak         {size(document['peak_bytes'])} on the device live at {document['peak_at']} (HBM and fast memory "
        f"together); {host}fast memory {size(document['fast_bytes'])}",
        *_reserved(document["reserved"]),
        *_memory(document),
        f"M            {xla}everything in HBM {duration(document['m_all_hbm'])}, relaxed bound "
        f"{duration(document['m_bound'])}",
        f"headroom     {percent(document['headroom_share'])} of "
        f"{'the time with everything in HBM' if default is None else 'the default'}",
        f"counted      {counted_words(document['counted'])}",
        *_loops(document["trips"]),
        "",
    ]
    header = ("costliest instructions", "opcode", "runs", "M in HBM", "M bound", "bytes", "time")
    rows = [
        (
            row["name"],
            row["opcode"],
            str(row["runs"]),
            duration(row["m_all_hbm"]),
            duration(row["m_bound"]),
            size(row["total_bytes"]),
            str(row["time"]),
        )
        for row in document["costliest"]
    ]
    largest = [
        (row["tensor"], size(row["bytes"]), size(row["plain_bytes"]), row["shape"], row["source"] or "")
        for row in document["largest_at_peak"]
    ]
    if largest:
        found += [*plain_table("", LARGEST_HEADER, largest), ""]
    return [*found, *plain_table("", header, rows)]
