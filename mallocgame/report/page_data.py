"""The data of the page: everything that it shows, as one JSON value; durations are whole picoseconds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from mallocgame.models.replay import Model
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.options_file import ProgramOptions
from mallocgame.problem.schema import Problem
from mallocgame.programs.answered import split_of_answer, split_words
from mallocgame.report.comparison import ALL_HBM, MODELS, PLAN, Comparison, Side
from mallocgame.report.explain_text import paragraphs
from mallocgame.report.gains import moves_at
from mallocgame.report.memory_map import KINDS, rectangles
from mallocgame.report.timeline import lay_out, picoseconds
from mallocgame.system.errors import BadInputError
from mallocgame.system.version import __version__

_SHORT = {ALL_HBM: "all in HBM", PLAN: "plan"}

Value = dict[str, Any]


def of_page(comparison: Comparison, explanation: Mapping[str, Any], plan_file: str) -> Value:
    """What the page shows.

    Args:
        comparison: the plan beside XLA's default.
        explanation: its document by ``mallocgame.report.explanation``.
        plan_file: path of the plan, for the provenance.
    """
    problem = comparison.problem
    options, no_options = _options(comparison)
    return {
        "title": f"{problem.module} on TPU {problem.target.name}",
        "about": _about(comparison),
        "confirmed": comparison.confirmed,
        "status": _status(explanation),
        "fast_bytes": problem.target.fast_bytes,
        "kinds": list(KINDS),
        "reserved": [
            {"start": one.start, "end": one.end, "offset": one.offset, "size": one.size} for one in problem.reserved
        ],
        "bounds": {model: _bound(comparison, model) for model in MODELS},
        **_program(problem),
        "moves": _moves(comparison),
        "sides": [_side(problem, comparison.before, "XLA"), _side(problem, comparison.after, "answer")],
        "words": [[title, sentences] for title, sentences in paragraphs(explanation)],
        "options": options and json.dumps(options, indent=1),
        "option_count": len(options or ()),
        "no_options": no_options,
        "export_command": f"mallocgame export {shlex.quote(plan_file)} --format python",
        "provenance": [[name, value] for name, value in _provenance(comparison, plan_file)],
        "notes": list(comparison.notes),
    }


def _about(comparison: Comparison) -> str:
    problem = comparison.problem
    loops = sum(computation.kind == "body" for computation in problem.computations)
    looping = f", {loops} loop{'' if loops == 1 else 's'}" if loops else ""
    return (
        f"{len(problem.instructions)} scheduled instructions, {len(problem.tensors)} tensors{looping}; "
        f"{_what(comparison.answer)} beside {comparison.before.name}"
    )


def _what(answer: NamedPlan | ProgramOptions) -> str:
    return f"a plan of the solver {answer.solver}" if isinstance(answer, NamedPlan) else answer.about


def _status(explanation: Mapping[str, Any]) -> str:
    if not explanation["confirmed"]:
        return "predicted, not confirmed by the compiler"
    if not explanation["sites"]:
        return "confirmed by the compiler"
    return (
        f"confirmed by the compiler: {explanation['honoured']} of {explanation['sites']} placements and copies honoured"
    )


def _program(problem: Problem) -> Value:
    """Instructions, computations and tensors; a tensor is named by its instruction and index."""
    opcodes = sorted({instruction.opcode for instruction in problem.instructions})
    number = {opcode: position for position, opcode in enumerate(opcodes)}
    return {
        "opcodes": opcodes,
        "instructions": {
            "name": [instruction.name for instruction in problem.instructions],
            "opcode": [number[instruction.opcode] for instruction in problem.instructions],
            "free": [int(instruction.free) for instruction in problem.instructions],
        },
        "computations": [
            {"kind": computation.kind, "start": computation.start, "end": computation.end}
            for computation in problem.computations
        ],
        "tensors": {
            "time": [tensor.time for tensor in problem.tensors],
            "index": {
                str(tensor.id): tensor.name.removeprefix(tensor.instruction)
                for tensor in problem.tensors
                if tensor.index
            },
            "size": [tensor.size for tensor in problem.tensors],
        },
    }


def _bound(comparison: Comparison, model: Model) -> float | None:
    bound = comparison.bound(model)
    return None if bound is None else picoseconds(bound)


def _moves(comparison: Comparison) -> Value:
    """For each time at which anything moved: [tensor, whether it is written, whether it is in fast memory now]."""
    found: Value = {}
    for time in range(len(comparison.problem.instructions)):
        moves = moves_at(comparison.problem, comparison.before.plan, comparison.after.plan, time)
        told = [[move.tensor.id, int(move.writes), int(move.fast)] for move in moves if move.bytes > 0]
        if told:
            found[str(time)] = told
    return found


def _side(problem: Problem, side: Side, short: str) -> Value:
    ids = {tensor.name: tensor.id for tensor in problem.tensors}
    boxes = rectangles(problem, side.panel(""))
    return {
        "name": side.name,
        "short": _SHORT.get(side.name, short),
        "title": _title(side),
        "total": {model: picoseconds(side.replays[model].total) for model in MODELS},
        "stalls": {model: picoseconds(side.replays[model].stall) for model in MODELS},
        "peak": side.replays["M"].peak_fast,
        "stays": {
            "kind": [KINDS.index(box.kind) for box in boxes],
            "start": [box.start for box in boxes],
            "end": [box.end for box in boxes],
            "offset": [box.offset for box in boxes],
            "size": [box.size for box in boxes],
            "tensor": [ids[box.name] for box in boxes],
        },
        "models": {model: _timeline(problem, side, model) for model in MODELS},
    }


def _title(side: Side) -> str:
    if side.name == PLAN:
        return "The plan, as compiled" if side.source == "compiler" else "The plan, predicted"
    return side.name[0].upper() + side.name[1:]


def _timeline(problem: Problem, side: Side, model: Model) -> Value:
    timeline = lay_out(problem, side.replays[model])
    return {
        "runs": timeline.runs,
        "seconds": [picoseconds(value) for value in timeline.seconds],
        "stall": [picoseconds(value) for value in timeline.stall],
        "hbm": [picoseconds(value) for value in timeline.hbm],
        "copies": [picoseconds(value) for value in timeline.copies],
    }


def _options(comparison: Comparison) -> tuple[dict[str, str] | None, str]:
    """The plan's compiler options; None, and why, where they cannot be written."""
    from mallocgame.compiler.export.options import compiler_options

    if comparison.verification is not None:
        return dict(comparison.verification.options), ""
    assert isinstance(comparison.answer, NamedPlan)
    try:
        return compiler_options(comparison.answer), ""
    except BadInputError as error:
        return None, f"This plan has no compiler options: {error}"


def _provenance(comparison: Comparison, plan_file: str) -> Iterable[tuple[str, str]]:
    problem, answer, verification = comparison.problem, comparison.answer, comparison.verification
    yield "Program", f"{problem.module}, {len(problem.instructions)} instructions, {len(problem.tensors)} tensors"
    yield "File", comparison.file
    yield "Fingerprint", problem.fingerprint
    yield "Target", problem.target.name
    yield "Memory split", split_words(split_of_answer(answer))
    yield "Costs", "the compiler's log" if problem.costs == "log" else "analytic, from the HLO alone"
    yield "Captured by", _versions(comparison.versions)
    if verification is not None:
        yield "Confirmed by", _versions(verification.versions)
    if isinstance(answer, NamedPlan):
        yield "Solver", f"{answer.solver}, seed {answer.seed}"
        yield "Solver's options", ", ".join(f"{name} = {value}" for name, value in answer.options.items()) or "none"
    yield "Answer", plan_file
    command = ["mallocgame", "report", plan_file, comparison.file, *(["--verify"] if verification is not None else [])]
    yield "Written by", f"mallocgame {__version__}: {shlex.join(command)}"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "not recorded"
