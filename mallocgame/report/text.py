"""Documents of the commands as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mallocgame.report import bench_text, offload_document, probe_text
from mallocgame.report.batch_document import batch_lines
from mallocgame.report.table import plain_table

Value = Mapping[str, Any]
MISSES_SHOWN = 10


def lines_of(document: Value) -> list[str]:
    """The lines for people of one document."""
    return [*_WRITERS[document["command"]](document), *_notes(document)]


def duration(seconds: float) -> str:
    """``"12.3 us"``: three to four digits in the unit that suits."""
    if seconds == 0:
        return "0"
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if abs(seconds) < limit:
            return f"{seconds * factor:.4g} {unit}"
    return f"{seconds:.4g} s"


def size(count: float) -> str:
    """``"1.5 MiB"``."""
    for limit, unit in ((2**10, "B"), (2**20, "KiB"), (2**30, "MiB")):
        if abs(count) < limit:
            return f"{count / (limit // 2**10):.4g} {unit}" if unit != "B" else f"{count:.0f} B"
    return f"{count / 2**30:.4g} GiB"


def percent(share: float) -> str:
    """``"12.3 %"``."""
    return f"{100 * share:.1f} %"


def _captured(document: Value) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines = [
        f"{document['module']} for {document['target']}: {document['instructions']} instructions, "
        f"{document['tensors']} tensors, peak HBM {size(document['peak_hbm'])}",
        f"compiled     in {document['seconds']:.1f} s by {versions}",
    ]
    calibration = document["calibration"]
    if calibration is not None and calibration["plans"]:
        lines.append(
            f"calibrated   {calibration['plans']} plans, each predicted from the other compiles: error of E "
            f"{100 * calibration['median_error']:.2f} % in the median, {100 * calibration['p95_error']:.2f} % at p95"
        )
    elif calibration is not None:
        lines.append("calibrated   by MSA switched off alone")
    return [*lines, f"written      {document['out']}"]


def _solved(document: Value) -> list[str]:
    costs = "the compiler's log" if document["costs"] == "log" else "analytic, from the HLO alone"
    how = (document["solver"], document["status"], f"seed {document['seed']}", f"{document['seconds']:.1f} s")
    lines = [
        f"{document['module']} for {document['target']}: {document['tensors']} tensors, {document['uses']} uses",
        f"costs        {costs}",
        f"solver       {', '.join(how)}",
        f"plan         {document['fast_definitions']} definitions and {document['fast_uses']} uses in fast memory, "
        f"{document['copies']} copies, validated",
        f"fast memory  peak {size(document['peak_fast'])} of {size(document['fast_bytes'])}",
        f"M            {duration(document['m_plan'])}; everything in HBM {duration(document['m_all_hbm'])}; "
        f"saved {percent(document['m_saved_share'])}",
        "not confirmed by the compiler: `mallocgame verify` recompiles and reads it back",
    ]
    return [*lines, f"written      {document['out']}"] if document["out"] else lines


def _inspected(document: Value) -> list[str]:
    default = document["m_default"]
    xla = "" if default is None else f"XLA's default {duration(default)}, "
    lines = [
        f"{document['module']} for {document['target']} (costs: {document['costs']})",
        f"schedule     {document['instructions']} instructions; computations: {document['computations']}, "
        f"loops: {document['loops']}",
        f"tensors      {document['tensors']}, {size(document['tensor_bytes'])} in all, the largest "
        f"{size(document['largest_bytes'])}; {document['movable_tensors']} may be in fast memory; "
        f"alias groups of several: {document['alias_groups']}",
        f"peak         {size(document['peak_bytes'])} live at {document['peak_at']}; "
        f"fast memory {size(document['fast_bytes'])}",
        f"M            {xla}everything in HBM {duration(document['m_all_hbm'])}, relaxed bound "
        f"{duration(document['m_bound'])}",
        f"headroom     {percent(document['headroom_share'])} of "
        f"{'the time with everything in HBM' if default is None else 'the default'}",
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
    return [*lines, *plain_table("", header, rows)]


VERIFY_HEADER = ("", "E", "vs XLA", "M", "vs XLA", "stall E", "stall M", "peak fast", "honoured", "verdict")


def verify_rows(document: Value) -> list[tuple[str, ...]]:
    """One row of cells for each program of a ``verify`` document, under ``VERIFY_HEADER``."""
    default = document["rows"][0]
    return [
        (
            row["name"],
            duration(row["e"]),
            change(row["e"], default["e"]),
            duration(row["m"]),
            change(row["m"], default["m"]),
            duration(row["e_stall"]),
            duration(row["m_stall"]),
            size(row["peak_fast"]),
            f"{document['honoured']}/{document['sites']}" if row["name"] == "plan" else "",
            row["verdict"],
        )
        for row in document["rows"]
    ]


def change(value: float, base: float) -> str:
    """``"-1.25 %"``: how much longer than ``base``."""
    return f"{100 * (value / base - 1):+.2f} %" if base else ""


def _verified(document: Value) -> list[str]:
    lines = plain_table(f"target {document['target']}", VERIFY_HEADER, verify_rows(document))
    return [*lines, *_outcome(document)]


def _outcome(document: Value) -> list[str]:
    """The best row, what was relaxed and what was missed."""
    lines = [f"best: {document['best']} ({document['compiles']} compiles, {document['seconds']:.0f} s)"]
    lines += [f"relaxed: {relaxed['tensor']}: {relaxed['reason']}" for relaxed in document["relaxed"]]
    for miss in document["misses"][:MISSES_SHOWN]:
        lines.append(
            f"miss: {miss['kind']} of {miss['tensor']} at {miss['where']}: planned {miss['planned']}, "
            f"found {miss['found']}: {miss['cause']}"
        )
    hidden = len(document["misses"]) - MISSES_SHOWN
    return [*lines, f"and {hidden} misses more: see --json"] if hidden > 0 else lines


def _demonstrated(document: Value) -> list[str]:
    rows = [
        (f"{part['target']}: {row[0]}", *row[1:]) for part in document["targets"] for row in verify_rows(part["verify"])
    ]
    title = f"{document['workload']}: every row compiled, read back and replayed"
    lines = plain_table(title, ("", *VERIFY_HEADER[1:]), rows)
    for part in document["targets"]:
        kept, solved, verified = part["capture"], part["solve"], part["verify"]
        lines += [
            "",
            f"{part['target']}: {kept['instructions']} instructions, {kept['tensors']} tensors; compiled in "
            f"{kept['seconds']:.0f} s by libtpu {kept['versions'].get('libtpu')}, solved in {solved['seconds']:.0f} s",
            *_outcome(verified),
            *_notes(verified),
            f"capture {kept['out']}, plan {solved['out']}, memory maps {part['picture']}",
        ]
    return lines


def _packed(document: Value) -> list[str]:
    lines = [
        f"{document['file']}: {len(document['offsets'])} buffers in {document['capacity']} bytes",
        f"status       {document['status']}, at least {document['lower_bound']} bytes are needed",
        f"search       {document['seconds']:.2f} s, {document['nodes']} nodes",
    ]
    return [*lines, f"written      {document['out']}"] if document["out"] else lines


def _trained(document: Value) -> list[str]:
    return [
        f"{document['folder']}: {document['iterations']} iterations, {document['updates']} updates",
        f"replay       {document['positions']} positions",
    ]


def _reported(document: Value) -> list[str]:
    source = "confirmed by the compiler" if document["confirmed"] else "predicted: the compiler has not confirmed it"
    figures = (
        f"{model.upper()} {duration(document[f'{model}_before'])} -> {duration(document[f'{model}_after'])} "
        f"({change(document[f'{model}_after'], document[f'{model}_before'])})"
        for model in ("e", "m")
    )
    return [
        f"{document['module']} for {document['target']}: the plan against {document['before']}, {source}",
        f"figures      {', '.join(figures)}",
        f"written      {document['out']} ({document['format']}, {size(document['bytes'])})",
    ]


def _explained(document: Value) -> list[str]:
    from mallocgame.report.explain_text import explained

    return explained(document)


def _notes(document: Value) -> list[str]:
    return [f"note: {note}" for note in document.get("notes", ())]


def automatic_text(document: Value) -> list[str]:
    """``solve --solver auto``: every program that was tried, and the answer."""
    title = f"{document['module']} for {document['target']}, best under {document['objective']}"
    if not document["confirmed"]:
        under_e, under_m = document["predicted_e"], document["predicted_m"]
        lines = [
            f"{title}: a plan, {document['status']}",
            f"predicted    {'' if under_e is None else f'E {duration(under_e)}, '}M {duration(under_m)}",
            "not confirmed by the compiler",
        ]
    else:
        lines = plain_table(title, AUTO_HEADER, [_program_row(row, document) for row in document["programs"]])
        answer = document["programs"][document["answer"]]
        lines += [
            f"answer: {answer['about']}, E {_faster(answer, document, 'e')}, M {_faster(answer, document, 'm')} "
            f"({document['status']}; {document['compiles']} compiles, {document['compile_seconds']:.0f} s; "
            f"search {document['search_seconds']:.0f} s)",
        ]
    if document["probe"] is not None:
        lines += ["", *probe_text.probed(document["probe"])]
    return [*lines, f"written      {document['out']} ({document['out_kind']})"] if document["out"] else lines


AUTO_HEADER = ("", "E", "XLA / E", "M", "XLA / M", "honoured", "compiles", "verdict")


def _program_row(row: Value, document: Value) -> tuple[str, ...]:
    if row["failure"] is not None:
        return (row["about"], *("-",) * 5, str(row["compiles"]), row["failure"][:100])
    honoured = "" if row["honoured"] is None else f"{row['honoured']}/{row['sites']}"
    words = [row["strict_verdict" if document["strict"] else "verdict"], *(["Pareto"] if row["pareto"] else [])]
    return (
        row["about"],
        duration(row["e"]),
        _faster(row, document, "e"),
        duration(row["m"]),
        _faster(row, document, "m"),
        honoured,
        str(row["compiles"]),
        ", ".join(words),
    )


def _faster(row: Value, document: Value, model: str) -> str:
    """XLA's default over a program."""
    default = document["programs"][0][model]
    return f"{default / row[model]:.4f}" if row[model] else "-"


_WRITERS: dict[str, Callable[[Value], list[str]]] = {
    "capture": _captured,
    "solve": _solved,
    "inspect": _inspected,
    "verify": _verified,
    "demo": _demonstrated,
    "report": _reported,
    "explain": _explained,
    "pack": _packed,
    "train": _trained,
    "solve --solver auto": automatic_text,
    "solve (several)": batch_lines,
    "probe": probe_text.probed,
    "probe --calibrate": probe_text.calibrated,
    "bench": bench_text.benched,
    "bench --list": bench_text.listed,
    "bench --capture-only": bench_text.captured,
    "bench --replay": bench_text.replayed,
    "offload": offload_document.text_of_offloaded,
    "verify offload": offload_document.text_of_verified,
}
