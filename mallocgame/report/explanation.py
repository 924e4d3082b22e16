"""What a plan does and what is left, as data: the document of ``explain``, and the words of the page."""

from __future__ import annotations

from typing import Any

from mallocgame.compiler.verification import Row
from mallocgame.models.replay import Model
from mallocgame.plan.confirmation import Stated
from mallocgame.plan.plan import CopyKind
from mallocgame.plan.verdict import MIN_HEADROOM, verdict
from mallocgame.problem.counted import shares_document
from mallocgame.problem.schema import Problem
from mallocgame.report.comparison import DEFAULT, MODELS, Comparison, Side
from mallocgame.report.gains import Gain, Move, gains_of
from mallocgame.report.limits import REASONS, Remaining, remaining, seconds_by_limit

LARGEST = 5
"""How many gains, losses and remaining tensors are told."""

Document = dict[str, Any]


def of_comparison(comparison: Comparison) -> Document:
    """The document; seconds and bytes, changes as shares of the time before."""
    problem = comparison.problem
    gains = {model: gains_of(comparison, model) for model in MODELS}
    return {
        "command": "explain",
        "file": comparison.file,
        "module": problem.module,
        "target": problem.target.name,
        "fingerprint": problem.fingerprint,
        "confirmed": comparison.confirmed,
        "counted": shares_document(problem),
        "versions": dict(comparison.versions if comparison.verification is None else comparison.verification.versions),
        "before": comparison.before.name,
        "verdict": _verdict(comparison),
        "honoured": comparison.verification and comparison.verification.honoured,
        "sites": comparison.verification and comparison.verification.sites,
        "answer": comparison.after.name,
        "against_default": _against_default(comparison),
        "tried": [] if comparison.answer.confirmation is None else list(comparison.answer.confirmation.tried),
        "figures": {model: _figures(comparison, model) for model in MODELS},
        "fast_bytes": problem.target.fast_bytes,
        "peak_before": comparison.before.replays["M"].peak_fast,
        "peak_after": comparison.after.replays["M"].peak_fast,
        "moved": _moved(comparison),
        "copies_before": _copies(comparison.before),
        "copies_after": _copies(comparison.after),
        "gains": {model: [_gain(gain) for gain in gains[model][:LARGEST] if gain.seconds > 0] for model in MODELS},
        "losses": {
            model: [_gain(gain) for gain in gains[model][: -LARGEST - 1 : -1] if gain.seconds < 0] for model in MODELS
        },
        "gained": {model: sum(gain.seconds for gain in gains[model] if gain.seconds > 0) for model in MODELS},
        "lost": {model: -sum(gain.seconds for gain in gains[model] if gain.seconds < 0) for model in MODELS},
        "left": _left(comparison),
        "notes": list(comparison.notes),
    }


def _verdict(comparison: Comparison) -> str | None:
    """game.md's word for the plan beside XLA's default; None where either is not confirmed."""
    if comparison.verification is None:
        return None
    default, answer = comparison.verification.rows[0], comparison.verification.rows[-1]
    return verdict(answer, default, comparison.verification.split_changed)


def _is_elsewhere(comparison: Comparison) -> bool:
    """Whether XLA's default, which an answer is judged by, is not what it is shown beside."""
    return comparison.before.name != DEFAULT


def _against_default(comparison: Comparison) -> Document | None:
    """The confirmed figures beside those of XLA's default, where these are not the ones that are explained."""
    kept, found = comparison.answer.confirmation, comparison.verification
    pair: tuple[Row, Row] | tuple[Stated, Stated] | None
    if found is None:
        pair = None if kept is None else (kept.default, kept.answer)
    else:
        pair = (found.rows[0], found.rows[-1]) if _is_elsewhere(comparison) else None
    if pair is None:
        return None
    default, answer = pair
    return {
        "E": _pair(default.e_seconds, answer.e_seconds, default.e_stall, answer.e_stall),
        "M": _pair(default.m_seconds, answer.m_seconds, default.m_stall, answer.m_stall),
    }


def _pair(before: float, after: float, stall_before: float, stall_after: float) -> Document:
    return {
        "before": before,
        "after": after,
        "change": after / before - 1 if before else 0.0,
        "stall_before": stall_before,
        "stall_after": stall_after,
    }


def _figures(comparison: Comparison, model: Model) -> Document:
    before, after = (side.replays[model] for side in (comparison.before, comparison.after))
    bound = comparison.bound(model)
    headroom = 1 - bound / before.total if bound is not None and before.total else 0.0
    return {
        **_pair(before.total, after.total, before.stall, after.stall),
        "bound": bound,
        "beaten_estimate": comparison.estimates[model] if bound is None else None,
        "headroom": None if bound is None else headroom,
        "closed": (before.total - after.total) / (before.total * headroom) if headroom >= MIN_HEADROOM else None,
    }


def _moved(comparison: Comparison) -> Document:
    """How the placements differ: tensors that are in fast memory, for part of their life or all of it, under one."""
    problem = comparison.problem
    touched = [_touched(side) for side in (comparison.before, comparison.after)]

    def of(ids: set[int]) -> Document:
        return {"tensors": len(ids), "bytes": sum(problem.tensors[id].size for id in ids)}

    return {
        "to_fast": of(touched[1] - touched[0]),
        "to_hbm": of(touched[0] - touched[1]),
        "fast_before": of(touched[0]),
        "fast_after": of(touched[1]),
    }


def _touched(side: Side) -> set[int]:
    """The tensors that have anything in fast memory."""
    return set(side.plan.fast_definitions) | {tensor for tensor, _ in side.plan.fast_uses}


def _copies(side: Side) -> Document:
    kinds: tuple[CopyKind, ...] = ("prefetch", "eviction")
    flights = side.replays["M"].flights
    found: Document = {}
    for kind in kinds:
        sizes = [
            side.copies[flight.key].size for flight in flights if flight.kind == kind and flight.key in side.copies
        ]
        found[kind] = {"copies": len(sizes), "bytes": sum(sizes)}
    return found


def _gain(gain: Gain) -> Document:
    return {
        "instruction": gain.name,
        "opcode": gain.opcode,
        "time": gain.time,
        "runs": gain.runs,
        "before": gain.before,
        "after": gain.after,
        "stall_before": gain.stall_before,
        "stall_after": gain.stall_after,
        "moves": [_move(move) for move in gain.moves],
    }


def _move(move: Move) -> Document:
    return {
        "tensor": move.tensor.name,
        "size": move.tensor.size,
        "does": "writes" if move.writes else "reads",
        "bytes": move.bytes,
        "memory": "fast" if move.fast else "HBM",
    }


def _left(comparison: Comparison) -> Document:
    problem, after = comparison.problem, comparison.after
    sites = remaining(problem, after.plan, after.replays["M"])
    return {
        "limits": {model: dict(seconds_by_limit(problem, after.replays[model])) for model in MODELS},
        "reasons": {reason: sum(site.seconds for site in sites if site.reason == reason) for reason in REASONS},
        "in_hbm": [_remaining(problem, site) for site in sites[:LARGEST]],
    }


def _remaining(problem: Problem, site: Remaining) -> Document:
    return {
        "instruction": problem.instructions[site.time].name,
        "tensor": site.tensor.name,
        "size": site.tensor.size,
        "does": "writes" if site.writes else "reads",
        "seconds": site.seconds,
        "reason": site.reason,
        "detail": site.detail,
    }
