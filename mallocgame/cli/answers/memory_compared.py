"""What ``memory --diff`` answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.cli.answers.remembered import SHOWN_SHARE, of_buffer
from mallocgame.cli.show import Document, Value
from mallocgame.report.table import plain_table
from mallocgame.report.units import compiler_size, size

if TYPE_CHECKING:
    from mallocgame.report.memory import MemoryUse, Peak
    from mallocgame.report.memory.difference import MemoryDiff, PeakDiff

ROWS = 20
"""Shown at most of each memory; the JSON document has all buffers."""


def of_diff(diff: MemoryDiff, before: Path, after: Path) -> Document:
    """The answer of ``memory --diff``."""
    return {
        "command": "memory",
        "before": _of_use(diff.before, before),
        "after": _of_use(diff.after, after),
        "memories": list(_memories(diff)),
        "kinds": list(_kinds(diff)),
        "code_bytes": _change(diff.before.code_bytes, diff.after.code_bytes) if diff.code_known else None,
        "peaks": [_of_peak(peak) for peak in diff.peaks],
    }


def _of_use(use: MemoryUse, file: Path) -> Document:
    return {"file": str(file), "module": use.module, "target": use.target, "fits": use.fits}


def _memories(diff: MemoryDiff) -> Iterator[Document]:
    """Of each memory by its name: the number of a space is another one on other targets."""
    spaces = [{space.name: space for space in use.spaces} for use in (diff.before, diff.after)]
    for name in dict.fromkeys([*spaces[0], *spaces[1]]):
        one, other = spaces[0].get(name), spaces[1].get(name)
        totals = 0 if one is None else one.total, 0 if other is None else other.total
        excess = 0 if one is None else one.excess, 0 if other is None else other.excess
        yield {"name": name, **_change(*totals), "excess_before": excess[0], "excess_after": excess[1]}


def _kinds(diff: MemoryDiff) -> Iterator[Document]:
    """Of HBM; none where one of both is only the compiler's message."""
    if diff.before.kinds is None or diff.after.kinds is None:
        return
    one, other = asdict(diff.before.kinds), asdict(diff.after.kinds)
    for name in one:
        yield {"kind": name, **_change(one[name], other[name])}


def _change(before: int, after: int) -> Document:
    return {"before": before, "after": after, "change": after - before}


def _of_peak(peak: PeakDiff) -> Document:
    changed = peak.changed
    return {
        "memory_space": peak.memory_space,
        "before": _of_side(peak.before),
        "after": _of_side(peak.after),
        "roles": list(_roles(peak)),
        "went": [of_buffer(buffer) for buffer in peak.went],
        "came": [of_buffer(buffer) for buffer in peak.came],
        "changed": [
            {"by": pair.by, "change": pair.change, "before": of_buffer(pair.before), "after": of_buffer(pair.after)}
            for pair in changed
        ],
        "same_buffers": len(peak.pairs) - len(changed),
        "same_bytes": sum(pair.after.size for pair in peak.pairs) - sum(pair.after.size for pair in changed),
    }


def _roles(peak: PeakDiff) -> Iterator[Document]:
    """What is live at each peak by role, those with most first."""
    one, other = ({} if side is None else side.by_role() for side in (peak.before, peak.after))
    for role in sorted(one.keys() | other.keys(), key=lambda role: -max(one.get(role, 0), other.get(role, 0))):
        yield {"role": role, **_change(one.get(role, 0), other.get(role, 0))}


def _of_side(peak: Peak | None) -> Document | None:
    if peak is None:
        return None
    return {"time": peak.time, "instruction": peak.instruction, "live": peak.live, "rest": peak.rest}


def lines(document: Value) -> list[str]:
    """The answer in words."""
    rows = []
    for memory in document["memories"]:
        rows.append((memory["name"], *_sizes(memory), _excess(memory)))
        if memory is document["memories"][0]:
            kinds = (kind for kind in document["kinds"] if kind["before"] or kind["after"])
            rows += [(f"  {kind['kind'].replace('_', '-')}", *_sizes(kind), "") for kind in kinds]
    if document["code_bytes"] is not None:
        rows.append(("(code)", *_sizes(document["code_bytes"]), ""))
    found = [_side(document, "before"), _side(document, "after"), ""]
    found += plain_table("", ("memory", "before", "after", "change", "too much"), rows)
    for peak in document["peaks"]:
        found += ["", *_peak(peak)]
    return found


def _side(document: Value, side: str) -> str:
    told = document[side]
    target = f" for {told['target']}" if told["target"] else ""
    return f"{side:<13}{told['module']}{target}, {told['file']}"


def _sizes(row: Value) -> tuple[str, str, str]:
    return compiler_size(row["before"]), compiler_size(row["after"]), _signed(row["change"])


def _signed(count: int) -> str:
    return ("+" if count > 0 else "-" if count < 0 else "") + compiler_size(abs(count))


def _excess(memory: Value) -> str:
    over = [(side, memory[f"excess_{side}"]) for side in ("before", "after") if memory[f"excess_{side}"]]
    return ", ".join(f"{side} {size(count)}" for side, count in over)


def _peak(peak: Value) -> list[str]:
    name = {0: "HBM", 5: "host memory"}.get(peak["memory_space"], f"S({peak['memory_space']})")
    went, came = (sum(buffer["size"] for buffer in peak[what]) for what in ("went", "came"))
    changed = sum(pair["change"] for pair in peak["changed"])
    head = (
        f"peak         {name}: before {_at(peak['before'])}, after {_at(peak['after'])}: {size(went)} went, "
        f"{size(came)} came, {_signed(changed)} changed; {size(peak['same_bytes'])} in {peak['same_buffers']} buffers "
        "are the same"
    )
    rows = sorted([*_grouped(peak["went"], "went", -1), *_grouped(peak["came"], "came", 1), *_changes(peak["changed"])])
    if not rows:
        return [head]
    total = max(side["live"] + side["rest"] for side in (peak["before"], peak["after"]) if side is not None)
    least = SHOWN_SHARE * total
    worth = [row for about, row in rows if -about >= least]
    shown = (worth or [row for _, row in rows])[:ROWS]
    header = (f"{name}, largest", "change", "buffers", "is", "shape", "what")
    more = len(rows) - len(shown)
    roles = [(row["role"], *_sizes(row)) for row in peak["roles"] if max(row["before"], row["after"]) >= least]
    return [
        head,
        "",
        *plain_table("", (f"{name}, by role", "before", "after", "change"), roles),
        "",
        *plain_table("", header, shown),
        *([f"and {more} smaller ones"] if more else []),
    ]


def _at(side: Value | None) -> str:
    if side is None:
        return "nothing"
    return size(side["live"]) + ("" if side["time"] is None else f" at {side['instruction']} (time {side['time']})")


Row = tuple[int, Sequence[str]]
"""Minus the bytes that it is about, to sort by, and its cells."""


def _grouped(buffers: Sequence[Value], word: str, sign: int) -> Iterator[Row]:
    """A row for all of one shape, kind and place in the program."""
    groups: dict[tuple[str, str, str], list[Value]] = {}
    for buffer in buffers:
        groups.setdefault((buffer["shape"], buffer["kind"], buffer["source"] or buffer["what"]), []).append(buffer)
    for same in groups.values():
        whole, first = sum(buffer["size"] for buffer in same), same[0]
        cells = f"{word} {first['name']}", _signed(sign * whole), str(len(same)), first["kind"], first["shape"]
        yield -whole, (*cells, _what(first))


def _changes(pairs: Sequence[Value]) -> Iterator[Row]:
    for pair in pairs:
        one, other = pair["before"], pair["after"]
        kind, shape = (
            other[part] if one[part] == other[part] else f"{one[part]} -> {other[part]}" for part in ("kind", "shape")
        )
        cells = f"changed {other['name']}", _signed(pair["change"]), "1", kind, shape
        yield -abs(pair["change"]), (*cells, "; ".join(filter(None, (_what(other), f"found by {pair['by']}"))))


def _what(buffer: Value) -> str:
    return ", ".join(part for part in (buffer["what"], buffer["source"]) if part)
