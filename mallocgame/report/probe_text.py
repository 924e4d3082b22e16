"""The document of ``probe`` as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mallocgame.report.table import plain_table

Value = Mapping[str, Any]
HEADER = ("", "fastest", "median", "time / first", "interval", "outputs", "verdict")


def probed(document: Value) -> list[str]:
    """What was measured, in a table, and what to use."""
    device, programs = document["device"], document["programs"]
    clocks = ", ".join(f"{name} {text}" for name, text in document["before"]["clocks"].items())
    title = f"{device['kind']}: {document['rounds']} rounds in {document['seconds']:.0f} s ({document['status']})"
    return [
        *plain_table(title, HEADER, [_row(program, document) for program in programs]),
        f"best: {programs[document['best']]['name']}",
        f"machine: load {document['before']['load']:g} before, {document['after']['load']:g} after"
        + (f"; {clocks}" if clocks else ""),
        *([f"written      {document['out']}"] if document["out"] else []),
    ]


def _row(program: Value, document: Value) -> tuple[str, ...]:
    from mallocgame.report.text import duration

    known = program["ratio"] is not None
    return (
        program["name"],
        duration(program["fastest"]),
        duration(program["median"]),
        f"{program['ratio']:.4f}" if known else "",
        f"{program['low']:.4f} to {program['high']:.4f} ({100 * document['level']:g} %)" if known else "",
        "" if program is document["programs"][0] else _outputs(program["difference"]),
        program["verdict"] or "",
    )


def _outputs(difference: float | None) -> str:
    if difference is None:
        return "not comparable"
    return "same" if difference == 0 else f"within {difference:.1g}"
