"""What ``probe`` and ``probe --calibrate`` answer, as lines of text."""

from __future__ import annotations

from mallocgame.cli.show import Value
from mallocgame.report.table import plain_table
from mallocgame.report.units import duration

HEADER = ("", "fastest", "median", "time / first", "interval", "outputs", "verdict")


def lines(document: Value) -> list[str]:
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


INSTRUCTIONS_SHOWN = 10
RATE_HEADER = ("", "fastest", "median", "bandwidth")
INSTRUCTION_HEADER = ("instruction", "events", "median", "total", "program")


def calibrated_lines(document: Value) -> list[str]:
    """Every rate, the costliest instructions, and where the target is."""
    rates = [
        (rate["name"], duration(rate["fastest"]), duration(rate["median"]), _bandwidth(rate))
        for rate in document["rates"]
    ]
    found = plain_table(f"{document['device']}: target {document['target']['name']}", RATE_HEADER, rates)
    rows = [
        (row["name"], str(row["events"]), duration(row["median"]), duration(row["total"]), row["program"])
        for row in document["instructions"][:INSTRUCTIONS_SHOWN]
    ]
    if rows:
        found += ["", *plain_table("", INSTRUCTION_HEADER, rows)]
    hidden = len(document["instructions"]) - len(rows)
    return [
        *found,
        *([f"and {hidden} instructions more: see the file"] if hidden else []),
        f"measured     {', '.join(document['measured'])}",
        f"written      {document['out']}",
    ]


def _bandwidth(rate: Value) -> str:
    return f"{rate['bytes'] / rate['fastest'] / 1e9:.4g} GB/s" if rate["bytes"] else ""
