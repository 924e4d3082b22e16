"""From a parsed schedule before MSA and its costs to the ``Problem``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mallocgame.problem.aliasing import alias_groups
from mallocgame.problem.costs.analytic import AnalyticCosts
from mallocgame.problem.costs.cost import Cost, is_asynchronous, is_untimed
from mallocgame.problem.costs.kernels import KernelCost
from mallocgame.problem.costs.logged import logged_cost
from mallocgame.problem.counted import noted
from mallocgame.problem.dataflow import Dataflow, Value, analyse
from mallocgame.problem.fingerprint import fingerprint
from mallocgame.problem.links import collectives_of, network_notes
from mallocgame.problem.liveness import covering, live_ranges
from mallocgame.problem.placement import HINTED, carried_by, hbm_definition, is_given, never_fast, read_by_condition
from mallocgame.problem.prefetches import earliest_starts
from mallocgame.problem.reserved import reserved_in
from mallocgame.problem.schedule import Schedule, asynchronous_start, flatten, scheduled_computations
from mallocgame.problem.schema import Group, Instruction, Problem, ShapeIndex, Target, Tensor, Use
from mallocgame.problem.target_log import target_from_log, times_beside_asynchronous
from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo
from xla_dump_parser.compile_log import CompileLog
from xla_dump_parser.shapes import padded_bytes

_FREE = frozenset(
    {"parameter", "tuple", "get-tuple-element", "bitcast", "after-all", "optimization-barrier", "opt-barrier",
     "add-dependency", "domain", "while", "conditional", "call"}
)  # fmt: skip
_CYCLES = re.compile(r'"estimated_cycles"\s*:\s*"?(\d{1,15})')


def build_problem(
    module: hlo.HloModule,
    target: Target,
    log: CompileLog | None = None,
    final: hlo.HloModule | None = None,
    kernels: Mapping[str, KernelCost] | None = None,
    topology: str | None = None,
) -> Problem:
    """The problem of a scheduled module before memory space assignment.

    Args:
        module: the schedule before MSA.
        target: the memories; what the log says of them replaces the target's own constants.
        log: the costs; without one they are analytic.
        final: the compiled module, for the emitter's cycles alone.
        kernels: by digest, what kernels without their authors' estimates cost.
        topology: of the program's devices (``mallocgame.problem.topologies``), for the links between chips; None where
            that is not known.

    Raises:
        BadInputError: the module is not scheduled, does not hold together, or is not what the log is of.
        ParseError: a part of the module's text cannot be read.
    """
    schedule = flatten(module)
    if log is not None:
        _check_log(module, schedule, log)
        running = times_beside_asynchronous(schedule.steps)
        target = target_from_log(target, log, {schedule.steps[time].name for time in running})
    dataflow = analyse(schedule, module.source)
    groups = alias_groups(schedule, dataflow, module)
    analytic = AnalyticCosts(module, target, kernels)
    costs = _costs(analytic, schedule, log)
    beside = _asynchronous_computations(schedule)
    collectives = collectives_of(module, schedule, target, topology, beside)
    problem = Problem(
        fingerprint=fingerprint(schedule),
        module=module.name,
        target=target,
        computations=schedule.computations,
        instructions=_instructions(schedule, costs, final, beside, collectives.charged),
        tensors=_tensors(module, schedule, dataflow, groups, costs, target),
        groups=_groups(dataflow, groups),
        costs="analytic" if log is None else "log",
        reserved=() if log is None else reserved_in(log, len(schedule.steps)),
        kernels=_sources(analytic, schedule, collectives.charged),
        loops=tuple((time, "assumed") for time in schedule.assumed),
    )
    notes = (*noted(problem, analytic.guesses(schedule.steps)), *network_notes(collectives))
    return replace(problem, notes=notes) if notes else problem


def _sources(
    analytic: AnalyticCosts, schedule: Schedule, charged: Mapping[int, float | None]
) -> tuple[tuple[int, str], ...]:
    """``Problem.kernels``."""
    found: dict[int, str] = {time: "none" if seconds is None else "links" for time, seconds in charged.items()}
    for time, step in enumerate(schedule.steps):
        source = analytic.source(step)
        if source is not None:
            found[time] = source
    return tuple(sorted(found.items()))


def _check_log(module: hlo.HloModule, schedule: Schedule, log: CompileLog) -> None:
    if not log.costs:
        raise BadInputError("the log has no cost lines: MSA was off, or the compile was answered from a cache")
    logged = [name for _, name in log.sequence] or [resource.instruction for resource in log.resources]
    ours = [step.name for step in schedule.steps]
    if logged == ours:
        return
    time = next((t for t, (one, other) in enumerate(zip(logged, ours, strict=False)) if one != other), -1)
    difference = (
        f"{len(logged)} instructions against {len(ours)}"
        if time < 0
        else f"at time {time} it has {logged[time]}, the module {ours[time]}"
    )
    raise BadInputError(f"{module.source}: the log is of another schedule: {difference}")


def _costs(analytic: AnalyticCosts, schedule: Schedule, log: CompileLog | None) -> list[Cost]:
    elsewhere = _other_threads(schedule)
    costs = []
    for time, step in enumerate(schedule.steps):
        body = schedule.bodies[schedule.computation_of[time]]
        if schedule.computation_of[time] in elsewhere:
            costs.append(Cost(0.0, 0.0))
            continue
        cost = analytic.cost(body, step)
        if log is not None and not is_untimed(step.opcode) and analytic.source(step) != "kernel":
            logged = log.costs.get((body.name, step.name))
            cost = cost if logged is None else logged_cost(logged, cost)
        costs.append(cost)
    return costs


def _other_threads(schedule: Schedule) -> set[int]:
    """Computations that run on another core than the program's: MSA gives them no time."""
    found: set[int] = set()
    for number, computation in enumerate(schedule.computations):
        caller: hlo.Instruction | None = None if computation.caller is None else schedule.steps[computation.caller]
        if caller is None or computation.caller is None:
            continue
        start = asynchronous_start(schedule.bodies[schedule.computation_of[computation.caller]], caller)
        thread = "" if start is None else start.attributes.get("async_execution_thread", "")
        if schedule.computation_of[computation.caller] in found or thread.strip('"') not in ("", "main"):
            found.add(number)
    return found


def _asynchronous_computations(schedule: Schedule) -> set[int]:
    """Computations that run beside the program."""
    found: set[int] = set()
    for number, computation in enumerate(schedule.computations):
        if computation.caller is None:
            continue
        outer = schedule.computation_of[computation.caller]
        if outer in found or schedule.steps[computation.caller].opcode.startswith("async-"):
            found.add(number)
    return found


def _instructions(
    schedule: Schedule,
    costs: list[Cost],
    final: hlo.HloModule | None,
    beside: Collection[int],
    charged: Mapping[int, float | None],
) -> tuple[Instruction, ...]:
    cycles = {} if final is None else _cycles(final, schedule.times)
    return tuple(
        Instruction(
            name=step.name,
            opcode=step.opcode,
            computation=schedule.computation_of[time],
            compute_seconds=cost.compute_seconds,
            total_bytes=cost.total_bytes,
            free=step.opcode in _FREE or is_asynchronous(step.opcode) or schedule.computation_of[time] in beside,
            cycles=None if charged.get(time) else cycles.get(step.name),
            link_seconds=charged.get(time) or 0.0,
        )
        for time, (step, cost) in enumerate(zip(schedule.steps, costs, strict=True))
    )


def _cycles(final: hlo.HloModule, wanted: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for computation in scheduled_computations(final):
        for instruction in computation.instructions:
            if instruction.name not in wanted:
                continue
            cycles = _CYCLES.search(instruction.attributes.get("backend_config", ""))
            if cycles:
                found[instruction.name] = int(cycles[1])
    return found


def _tensors(
    module: hlo.HloModule,
    schedule: Schedule,
    dataflow: Dataflow,
    groups: tuple[tuple[int, ...], ...],
    costs: list[Cost],
    target: Target,
) -> tuple[Tensor, ...]:
    group_of = {value: number for number, members in enumerate(groups) for value in members}
    last_time = len(schedule.steps) - 1
    ranges = live_ranges(schedule, dataflow, module)
    reads = [_reads_of(value) for value in dataflow.values]
    read = {group_of[number] for number, own in enumerate(reads) if own}
    hinted = {
        group_of[number]
        for number, value in enumerate(dataflow.values)
        if any(time in schedule.hinted for time, _ in value.positions)
    }
    tested = {(read_by_condition(schedule, value), group_of[number]) for number, value in enumerate(dataflow.values)}
    tensors = []
    for number, value in enumerate(dataflow.values):
        group, loop = group_of[number], carried_by(schedule, value)
        size = padded_bytes(value.shape)
        reason = hbm_definition(schedule, value, target, group in read, loop is not None and (loop, group) in tested)
        tensors.append(
            Tensor(
                id=number,
                instruction=schedule.steps[value.time].name,
                index=value.index,
                size=size,
                time=value.time,
                live=covering(value, ranges[number], last_time),
                defined_bytes=costs[value.time].output_bytes.get(value.index, 0.0),
                uses=_uses(schedule, value, reads[number], costs, reason),
                group=group,
                fixed=HINTED if group in hinted else never_fast(schedule, value, size, target),
                hbm_definition=reason,
            )
        )
    return tuple(tensors)


def _reads_of(value: Value) -> dict[int, list[tuple[int, ShapeIndex]]]:
    """The operands through which each instruction reads a value, by time."""
    operands: dict[int, list[tuple[int, ShapeIndex]]] = {}
    for time, operand, index in value.reads:
        operands.setdefault(time, []).append((operand, index))
    return operands


def _uses(
    schedule: Schedule,
    value: Value,
    reads: Mapping[int, Sequence[tuple[int, ShapeIndex]]],
    costs: list[Cost],
    hbm_definition: str | None,
) -> tuple[Use, ...]:
    starts = earliest_starts(schedule, value, reads, is_given(schedule.steps[value.time].opcode, hbm_definition))
    return tuple(
        Use(
            time=time,
            operands=tuple(sorted(places)),
            accessed_bytes=float(sum(costs[time].operand_bytes.get(place, 0.0) for place in places)),
            copy_after=starts[time],
        )
        for time, places in sorted(reads.items())
    )


def _groups(dataflow: Dataflow, groups: tuple[tuple[int, ...], ...]) -> tuple[Group, ...]:
    return tuple(
        Group(members, max(padded_bytes(dataflow.values[number].shape) for number in members)) for members in groups
    )
