"""What ``memory`` answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.cli.show import Document, Value
from mallocgame.report.memory.use import KINDS
from mallocgame.report.table import plain_table
from mallocgame.report.units import compiler_size, percent, size

if TYPE_CHECKING:
    from mallocgame.report.memory import Buffer, MemoryUse, Peak

FINDINGS, BUFFERS, SOURCES = 3, 20, 10
"""Shown at most; the JSON document has all."""

SHOWN_SHARE = 1e-4
"""Of the memory's total, that a buffer has to have to be shown; the largest are in any case."""

_NAMES = {0: "HBM", 5: "host memory"}


def of_memory(use: MemoryUse) -> Document:
    """The answer of ``memory``."""
    document: Document = {
        "command": "memory",
        "module": use.module,
        "target": use.target,
        "fits": use.fits,
        "memories": [{**asdict(space), "excess": space.excess} for space in use.spaces],
        "scoped_bytes": use.scoped,
        "code_bytes": use.code_bytes or None,
        "kinds": None if use.kinds is None else asdict(use.kinds),
        "findings": [asdict(finding) for finding in use.findings],
        "peaks": [_of_peak(peak) for peak in use.peaks],
    }
    return {**document, "target_why": use.target_why} if use.target_why else document


def of_written(out: Path, format: str) -> Document:
    """What is added to the answer where a file was written."""
    return {"format": format, "bytes": out.stat().st_size, "out": str(out)}


def _of_peak(peak: Peak) -> Document:
    return {
        "memory_space": peak.memory_space,
        "time": peak.time,
        "instruction": peak.instruction,
        "live": peak.live,
        "rest": peak.rest,
        "by_kind": dict(peak.by_kind()),
        "by_role": dict(peak.by_role()),
        "by_source": [{"source": source, "size": size} for source, size in peak.by_source().items()],
        "buffers": [of_buffer(buffer) for buffer in peak.buffers],
    }


def of_buffer(buffer: Buffer) -> Document:
    """A buffer of an answer."""
    return {**asdict(buffer), "padding": buffer.padding}


def lines(document: Value) -> list[str]:
    """The answer in words."""
    first, *others = document["memories"]
    target = f" for {document['target']}" if document["target"] else ""
    found = [f"{document['module']}{target}", f"{_memory(first['name']):<13}{_of(first)}"]
    if document["kinds"] is not None:
        kinds = {name.replace("_", "-"): count for name, count in document["kinds"].items() if count}
        found.append(f"by kind      {', '.join(f'{name} {size(count)}' for name, count in kinds.items())}")
    if document["peaks"] and document["peaks"][0]["time"] is not None:
        roles = [f"{role} {size(count)}" for role, count in _worth(document["peaks"][0], "by_role")]
        found.append(f"at the peak  {', '.join(roles)}")
    for finding in document["findings"][:FINDINGS]:
        found += [f"{finding['kind'].split()[-1]:<13}{finding['words']}", f"             -> {finding['advice']}"]
    found += [f"{_memory(other['name']):<13}{_of(other)}" for other in others]
    if document["scoped_bytes"] is not None:
        found.append(f"scoped       {size(document['scoped_bytes'])} of fast memory, kept for fusions' own windows")
    if document["code_bytes"]:
        found.append(f"code         {size(document['code_bytes'])} of machine code, which is in none of these totals")
    for peak in document["peaks"]:
        found += _peak(peak)
    if "out" in document:
        found += ["", f"written      {document['out']} ({document['format']}, {size(document['bytes'])})"]
    return found


def _memory(name: str) -> str:
    return f"{name} " if len(name) > 12 else name


def _of(memory: Value) -> str:
    if memory["capacity"] is None:
        return compiler_size(memory["total"])
    over = f": does not fit, {compiler_size(memory['excess'])} too much" if memory["excess"] else ": fits"
    return f"{compiler_size(memory['total'])} of {compiler_size(memory['capacity'])}{over}"


def _peak(peak: Value) -> list[str]:
    """The peak of one memory: its time, its buffers, its totals."""
    memory = _NAMES.get(peak["memory_space"], f"S({peak['memory_space']})")
    total = peak["live"] + peak["rest"]
    kinds = ", ".join(f"{KINDS[kind]} {size(count)}" for kind, count in peak["by_kind"].items())
    if peak["time"] is None:
        head = (
            f"listed       {size(peak['live'])} of {memory} in its largest allocations; not listed {size(peak['rest'])}"
        )
    else:
        head = (
            f"peak         {size(peak['live'])} of {memory} at {peak['instruction']} (time {peak['time']}): {kinds}; "
            f"{size(peak['rest'])} of the temporaries hold nothing then"
        )
    header = (f"{memory}, largest", "bytes", "padding", "is", "role", "times", "by", "shape", "last user", "what")
    worth = [buffer for buffer in peak["buffers"] if buffer["size"] >= SHOWN_SHARE * total]
    shown = (worth or peak["buffers"])[:BUFFERS]
    more = len(peak["buffers"]) - len(shown)
    roles = [(role, size(count), percent(count / total)) for role, count in peak["by_role"].items()]
    sources = [
        (row["source"] or "(no line: arguments and the like)", size(row["size"]), percent(row["size"] / total))
        for row in peak["by_source"][:SOURCES]
    ]
    return [
        head,
        "",
        *plain_table("", header, [_row(buffer) for buffer in shown]),
        *([f"and {more} smaller ones"] if more else []),
        "",
        *plain_table("", (f"{memory}, by role", "bytes", "share"), roles),
        "",
        *plain_table("", (f"{memory}, by source line", "bytes", "share"), sources),
    ]


def _worth(peak: Value, by: str) -> list[tuple[str, int]]:
    """Totals that are worth a word, of those of a peak."""
    total = peak["live"] + peak["rest"]
    return [(name, count) for name, count in peak[by].items() if count >= SHOWN_SHARE * total]


def _row(buffer: Value) -> Sequence[str]:
    what = ", ".join(part for part in (buffer["what"], buffer["source"]) if part)
    times = "" if buffer["live"] is None else f"{buffer['live'][0]}-{buffer['live'][1]}"
    return (
        buffer["name"],
        size(buffer["size"]),
        f"{buffer['padding']:.3g} x",
        buffer["kind"],
        buffer["role"],
        times,
        buffer["opcode"],
        buffer["shape"],
        _last_user(buffer["kept"]),
        what,
    )


_KEPT = {
    "read": "{at}",
    "argument": "argument; read last by {at}",
    "donated": "donated; new value by {at}",
    "output": "output, made by {at}",
    "constant": "constant; read last by {at}",
}


def _last_user(kept: Value | None) -> str:
    """Who keeps a buffer, in words."""
    if kept is None:
        return ""
    loop = f"carried by {kept['loop']}" if kept["loop"] else ""
    if not kept["instruction"]:
        return loop or ("" if kept["why"] == "read" else f"{kept['why']}; nothing reads it")
    told = _KEPT[kept["why"]].format(at=f"{kept['instruction']} ({kept['time']})")
    return f"{told}, {loop}" if loop else told
