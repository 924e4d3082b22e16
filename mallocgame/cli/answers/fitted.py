"""What ``fit``, and ``verify`` of its answers, answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mallocgame.cli.show import Document
from mallocgame.offload.maxtext import configuration
from mallocgame.report.table import plain_table
from mallocgame.report.units import duration, size

if TYPE_CHECKING:
    from mallocgame.offload.candidates import Candidate
    from mallocgame.offload.compiled import ReadBack
    from mallocgame.offload.largest import AtBatch, Largest
    from mallocgame.offload.run import Fitted
    from mallocgame.offload.verified import Verified


def of_fitted(found: Fitted, target: str, out: Path | None) -> Document:
    """The answer of ``fit``."""
    solution, confirmed = found.solution, found.confirmed
    document: Document = {
        "command": "fit",
        "program": found.problem.name,
        "target": target,
        "link": found.problem.link.name,
        "budget": found.budget,
        "moves": None if found.answer is None else found.answer.moves.moves,
        "python": None if found.answer is None else found.answer.to_python(),
        "maxtext": {} if found.answer is None else configuration(found.answer.moves),
        "everywhere": None if found.answer is None else found.answer.everywhere,
        "state": [] if found.answer is None else list(found.answer.state),
        "batch": None if found.answer is None else found.answer.batch,
        "idle": dict(found.idle),
        "options": {} if found.answer is None else dict(found.answer.options),
        "device_bytes": None if found.answer is None else found.answer.device_bytes,
        "seconds": None if found.answer is None else found.answer.seconds,
        "confirmed": confirmed is not None,
        "status": None if solution is None else solution.status,
        "bound": None if solution is None else min(solution.bound, 1e9),
        "proven_infeasible": found.proven_infeasible,
        "programs": []
        if confirmed is None
        else [_row(candidate, confirmed.budget) for candidate in confirmed.candidates],
        "answer": None if confirmed is None or confirmed.answer is None else confirmed.answer.label,
        "out": None if out is None or found.answer is None else str(out),
        "notes": [],
    }
    if found.only_modelled and solution is not None and solution.judged is not None and solution.plan is not None:
        judged = solution.judged
        document |= {"device_bytes": judged.peak, "seconds": judged.seconds, "stall": judged.stall}
        document["offloaded"] = {
            tensor.name: tensor.size
            for tensor, moves in zip(found.problem.tensors, solution.plan.moves, strict=True)
            if "offload" in moves
        }
        document["notes"].append(
            f"by the model alone: a compiled module cannot be told; everything kept takes {found.problem.seconds:.6g} s"
        )
    elif found.answer is None:
        proof = "proven by the model, and the leanest plan was compiled" if found.proven_infeasible else "no proof"
        leanest = found.leanest
        least = "" if leanest is None else f"; {leanest.needed} B is the smallest budget that fits, by {leanest.label}"
        document["notes"].append(f"no program was found that fits into {found.budget} B ({proof}){least}")
    elif confirmed is None:
        document["notes"].append("by the model alone: no compiler for this device is at hand here")
    return document


def _row(candidate: Candidate, budget: int) -> Document:
    return {
        "label": candidate.label,
        "moves": candidate.moves.moves,
        "ready": candidate.moves.ready,
        "state": list(candidate.state),
        "options": dict(candidate.options),
        "fits": candidate.fits(budget),
        "refusal": candidate.refusal,
        "unfinished": candidate.unfinished,
        "needed": candidate.needed,
        "predicted_peak": None if candidate.predicted is None else candidate.predicted.peak,
        "predicted_seconds": None if candidate.predicted is None else candidate.predicted.seconds,
        **({} if candidate.read is None else of_read_back(candidate.read)),
    }


def of_read_back(read: ReadBack) -> Document:
    """What the compiler made of a program."""
    return {
        "device_bytes": read.device_bytes,
        "host_bytes": read.host_bytes,
        "to_host": read.to_host,
        "from_host": read.from_host,
        "copies": read.copies,
        "seconds_m": read.seconds["M"],
        "seconds_e": read.seconds["E"],
        "stall_m": read.stalls["M"],
    }


def of_verified(verified: Verified) -> Document:
    """The answer of ``verify`` for a plan of ``fit``."""
    return {
        "command": "verify fit",
        "program": verified.content.program,
        "target": verified.content.target,
        "budget": verified.content.budget,
        "fits": verified.fits,
        "plan": of_read_back(verified.plan),
        "default": None if verified.default is None else of_read_back(verified.default),
        "notes": [],
    }


HEADER = ("program", "device", "host", "out + back", "M", "stall", "E", "")


def lines(document: Mapping[str, Any]) -> list[str]:
    """For people."""
    found = [f"{document['program']} for {document['target']}: budget {size(document['budget'])} of device memory"]
    for move in ("keep", "offload", "recompute"):
        names = [name for name, made in (document["moves"] or {}).items() if made == move]
        if names:
            found.append(f"{move:<12} {', '.join(names)}")
    if document["maxtext"]:
        found.append(f"MaxText      {' '.join(f'{name}={place}' for name, place in document['maxtext'].items())}")
    if document["state"]:
        found.append(f"on the host  {', '.join(document['state'])}")
    for reason in dict.fromkeys(document["idle"].values()):
        names = [name for name, why in document["idle"].items() if why == reason]
        found.append(f"no choice    {', '.join(names)}: {reason}")
    for name, bytes_ in document.get("offloaded", {}).items():
        found.append(f"offload      {name}: {size(bytes_)}")
    for name, value in document["options"].items():
        found.append(f"option       {name}={value}")
    if document["status"] is not None:
        found.append(f"model        {document['status']}; {_bound(document)}")
    if document["programs"]:
        rows = [_cells(_labelled(row), row, "fits" if row["fits"] else "") for row in document["programs"]]
        found += ["", *plain_table("", HEADER, rows), "", f"answer       {document['answer']}"]
    elif document["seconds"] is not None:
        found.append(f"predicted    {duration(document['seconds'])}, peak {size(document['device_bytes'])}")
    if document["out"]:
        found.append(f"written      {document['out']}")
    return found


def _labelled(row: Mapping[str, Any]) -> str:
    return f"{row['label']}, {' '.join(row['state'])} on the host" if row["state"] else str(row["label"])


def of_largest(found: Largest, out: Path | None) -> Document:
    """The answer of ``fit --batch max``."""
    answer = found.answer
    return {
        "command": "fit --batch max",
        "program": answer.program,
        "target": answer.target,
        "budget": found.budget,
        "batch": answer.batch,
        "moves": answer.moves.moves,
        "python": answer.to_python(),
        "state": list(answer.state),
        "device_bytes": answer.device_bytes,
        "seconds": answer.seconds,
        "batches": [_at_batch(each, found.budget) for each in found.batches],
        "beyond": None if found.beyond is None else _at_batch(found.beyond, found.budget),
        "open": found.open,
        "out": None if out is None else str(out),
        "notes": [],
    }


def _at_batch(found: AtBatch, budget: int) -> Document:
    answer = found.answer
    return {
        "batch": found.batch,
        "answer": None if answer is None else answer.label,
        "seconds_per_sample": None if answer is None else found.seconds_per_sample,
        "programs": [_row(candidate, budget) for candidate in found.candidates],
    }


BATCH_HEADER = ("batch", "program", "device", "M", "M a sample", "")


def largest_lines(document: Mapping[str, Any]) -> list[str]:
    """For people."""
    title = f"{document['program']} for {document['target']}: budget {size(document['budget'])} of device memory"
    rows = []
    for at in (*document["batches"], *([document["beyond"]] if document["beyond"] else [])):
        for row in at["programs"]:
            needed = "" if row["needed"] is None else size(row["needed"])
            remark = "quickest" if row["label"] == at["answer"] else "" if row["fits"] else "does not fit"
            remark = _not_compiled(row) if row["refusal"] else remark
            seconds = row.get("seconds_m")
            times = ("", "") if seconds is None else (duration(seconds), duration(seconds / at["batch"]))
            rows.append((str(at["batch"]), row["label"], needed, *times, remark))
    unknown = f"; {document['open']}" if document["open"] else ""
    found = [title, f"largest batch {document['batch']}{unknown}", "", *plain_table("", BATCH_HEADER, rows)]
    return [*found, *([f"written      {document['out']}"] if document["out"] else [])]


def _bound(document: Mapping[str, Any]) -> str:
    """The model's bound, unless a program that fits is quicker than it allows."""
    bound = document["bound"]
    if any(row["fits"] and row.get("seconds_m", bound) < bound for row in document["programs"]):
        return f"its bound of {duration(bound)} does not hold: a program below is quicker"
    return f"no plan is quicker than {duration(bound)}"


def verified_lines(document: Mapping[str, Any]) -> list[str]:
    """For people."""
    rows = [_cells("plan", document["plan"], "fits" if document["fits"] else "does not fit")]
    if document["default"] is not None:
        rows.insert(0, _cells("xla default", document["default"], ""))
    title = f"{document['program']} for {document['target']}: budget {size(document['budget'])} of device memory"
    return plain_table(title, HEADER, rows)


def _cells(label: str, row: Mapping[str, Any], remark: str) -> tuple[str, ...]:
    if "device_bytes" not in row:
        needed = "" if row.get("needed") is None else size(row["needed"])
        return (label, needed, "", "", "", "", "", _not_compiled(row))
    copied = f"{size(row['to_host'])} + {size(row['from_host'])}"
    times = (duration(row[key]) for key in ("seconds_m", "stall_m", "seconds_e"))
    return (label, size(row["device_bytes"]), size(row["host_bytes"]), copied, *times, remark)


def _not_compiled(row: Mapping[str, Any]) -> str:
    return "not finished" if row["unfinished"] else "refused by the compiler"
