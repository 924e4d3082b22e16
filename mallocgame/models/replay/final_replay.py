"""E and M of a final scheduled HLO text."""

from __future__ import annotations

import re
from dataclasses import replace

from mallocgame.models.replay.costs import instruction_seconds
from mallocgame.models.replay.final_text import FinalText, is_concat
from mallocgame.models.replay.read_back import placements
from mallocgame.models.replay.records import Model, Replay, Row
from mallocgame.models.replay.walk import Call, Event, Run, Start, Wait, walk
from mallocgame.problem.schema import Instruction, Problem
from xla_dump_parser import hlo
from xla_dump_parser.shapes import padded_bytes, walk_shape

_CYCLES = re.compile(r'"estimated_cycles"\s*:\s*"?(\d{1,15})')
NAMES_ALONE = frozenset(
    {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call", "after-all",
     "add-dependency", "domain", "optimization-barrier", "opt-barrier"}
)  # fmt: skip
"""Opcodes of a final text that only name, join or pass on arrays, and take no time of their own."""


def replay_final(problem: Problem, final: hlo.HloModule, model: Model) -> Replay:
    """Replay what the compiler made of ``problem``.

    Placements are those of the text's shapes; costs are the problem's, by instruction name; the cycles of E are those
    of the text, so for the placement it was compiled with (0 or none: the M time). Copies start and are waited for
    where the text says. An instruction that the problem does not have takes no time where it only names, joins or
    passes on arrays, or starts or waits for a copy; any other is costed by its bytes and listed in ``Replay.missing``.

    Raises:
        BadInputError: the text is not scheduled, does not hold together, or is of another program.
    """
    text = FinalText(problem, final)
    starts = {transfer.start: transfer for transfer in text.transfers}
    waits = {transfer.done: transfer for transfer in text.transfers if transfer.done is not None}
    callees = _callees(text)
    entry = text.module.entry.name
    executed = {entry, *(call.computation for calls in callees.values() for call in calls)}
    by_end = sorted(text.schedule.computations, key=lambda computation: computation.end)
    events: dict[str, list[Event]] = {computation.name: [] for computation in by_end if computation.name in executed}
    missing = []
    for time, step in enumerate(text.schedule.steps):
        at = events.get(text.computation_name(time))
        if at is None:
            continue
        if step.name in waits:
            at.append(Wait(waits[step.name].start))
        known = text.times.get(step.name)
        row = _known(text, time, known, model) if known is not None else _unknown(text, time)
        if known is None and row.seconds > 0.0:
            missing.append(step.name)
        at.append(Run(row, tuple(callees.get(time, ()))))
        if step.name in starts:
            transfer = starts[step.name]
            at.append(Start(step.name, transfer.kind, transfer.size / problem.target.hbm_bandwidth))
    return replace(walk(events, entry, model, placements(text).peak_fast()), missing=tuple(missing))


def _callees(text: FinalText) -> dict[int, list[Call]]:
    """What each instruction runs, with the problem's trips; what asynchronous instructions wrap runs elsewhere."""
    trips = {computation.name: computation.trips for computation in text.problem.computations}
    found: dict[int, list[Call]] = {}
    for computation in text.schedule.computations:
        caller = computation.caller
        if caller is None or text.schedule.steps[caller].opcode.startswith("async-"):
            continue
        call = Call(computation.name, trips.get(computation.name, computation.trips), computation.kind == "branch")
        found.setdefault(caller, []).append(call)
    return found


def cycles_of(step: hlo.Instruction) -> int | None:
    """The emitter's estimate in an instruction's backend_config; None where it has none or 0."""
    found = _CYCLES.search(step.attributes.get("backend_config", ""))
    return (int(found[1]) or None) if found else None


def _known(text: FinalText, time: int, known: int, model: Model) -> Row:
    problem, step = text.problem, text.schedule.steps[time]
    instruction: Instruction = problem.instructions[known]
    seconds = hbm = 0.0
    if not instruction.free:
        sites = (problem.tensors[tensor].uses[number] for tensor, number in problem.uses_at[known])
        fast_read = sum(use.accessed_bytes * text.reads_fast(step, use.operands) for use in sites)
        outputs = (problem.tensors[tensor] for tensor in problem.definitions_at[known])
        fast_write = sum(tensor.defined_bytes for tensor in outputs if text.is_fast(step.name, tensor.index))
        seconds, hbm = instruction_seconds(
            problem.target,
            model,
            instruction.least_seconds,
            None if instruction.link_seconds else cycles_of(step),
            instruction.total_bytes,
            fast_read,
            fast_write,
        )
    return Row(step.name, step.opcode, text.computation_name(time), known, 0, seconds, hbm, 0.0)


def _unknown(text: FinalText, time: int) -> Row:
    """An instruction of the final text only: free, or as long as its arrays' bytes take."""
    step = text.schedule.steps[time]
    seconds = hbm = 0.0
    if (
        step.opcode not in NAMES_ALONE
        and not step.opcode.endswith(("-start", "-done", "-update"))
        and not is_concat(step)
    ):
        read = {True: 0, False: 0}
        for name in dict.fromkeys(step.operands):
            source = text.step(name)
            for index, array in () if source is None else walk_shape(source.shape):
                read[text.is_fast(name, index)] += padded_bytes(array)
        written = {True: 0, False: 0}
        for index, array in walk_shape(step.shape):
            written[text.is_fast(step.name, index)] += padded_bytes(array)
        total = sum(read.values()) + sum(written.values())
        target = text.problem.target
        seconds, hbm = instruction_seconds(target, "M", target.min_seconds, None, total, read[True], written[True])
    return Row(step.name, step.opcode, text.computation_name(time), None, 0, seconds, hbm, 0.0)
