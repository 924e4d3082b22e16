"""Reads back what the compiler made of a program: host copies, device memory, and how long it takes by E and M.

An instruction takes what it takes under the two models of docs/judging.md, with the places in fast memory that the
final text shows and analytic costs; copies between HBM and fast memory are taken as hidden. Copies to and from the host
queue on the link, one queue a direction, and a copy-done waits for its own. A loop's body is run once with its copies
and counts its trips.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mallocgame.compiler.capturing import peak_hbm
from mallocgame.compiler.child import Compiled
from mallocgame.models.replay.costs import instruction_seconds
from mallocgame.models.replay.final_replay import NAMES_ALONE, cycles_of
from mallocgame.models.replay.records import Model
from mallocgame.problem.chips import Link
from mallocgame.problem.costs.analytic import AnalyticCosts
from mallocgame.problem.placement import HOST
from mallocgame.problem.schedule import Schedule, flatten
from mallocgame.problem.schema import Target
from xla_dump_parser import hlo, parse_buffer_assignment, parse_hlo
from xla_dump_parser.shapes import padded_bytes, walk_shape


@dataclass(frozen=True)
class ReadBack:
    """What a compiled program does.

    Attributes:
        device_bytes: HBM that the program needs; host and fast memory are not in it.
        host_bytes: host memory of its buffer assignment.
        to_host: bytes copied to the host in a run.
        from_host: bytes copied back in a run.
        copies: how many copies that are, both ways.
        seconds: of a run under E and M, by model.
        stalls: the part that waits for the host, by model.
    """

    device_bytes: int
    host_bytes: int
    to_host: int
    from_host: int
    copies: int
    seconds: dict[Model, float]
    stalls: dict[Model, float]


def read_back(compiled: Compiled, target: Target, link: Link) -> ReadBack:
    """Read the texts of a compile.

    Raises:
        BadInputError, xla_dump_parser.ParseError: they do not hold together.
    """
    module = parse_hlo(compiled.final, "final")
    schedule = flatten(module)
    allocations = parse_buffer_assignment(compiled.buffer_assignment)
    host = _host_copies(schedule)
    runs = _runs(schedule)
    sizes = {"to host": 0, "from host": 0}
    for copy in host.values():
        sizes[copy.direction] += copy.size * runs[schedule.computation_of[copy.start]]
    seconds: dict[Model, float] = {}
    stalls: dict[Model, float] = {}
    for model in ("E", "M"):
        seconds[model], stalls[model] = _run_time(module, schedule, runs, host, target, link, model)
    return ReadBack(
        device_bytes=peak_hbm(compiled.memory_usage),
        host_bytes=sum(allocation.size for allocation in allocations if allocation.memory_space == HOST),
        to_host=sizes["to host"],
        from_host=sizes["from host"],
        copies=sum(runs[schedule.computation_of[copy.start]] for copy in host.values()),
        seconds=seconds,
        stalls=stalls,
    )


@dataclass(frozen=True)
class _Copy:
    """A copy between device and host: times of its start and of its done in the final schedule."""

    direction: str
    size: int
    start: int
    done: int


def _space(shape: hlo.Shape) -> int:
    array = next((array for _, array in walk_shape(shape)), None)
    return array.layout.memory_space if array is not None and array.layout is not None else 0


def _host_copies(schedule: Schedule) -> dict[int, _Copy]:
    """By the time of the start."""
    found: dict[int, _Copy] = {}
    for done, step in enumerate(schedule.steps):
        if not step.opcode.endswith("-done") or not step.operands or step.operands[0] not in schedule.times:
            continue
        start = schedule.times[step.operands[0]]
        begin = schedule.steps[start]
        operands = [schedule.steps[schedule.times[name]].shape for name in begin.operands if name in schedule.times]
        to, origin = _space(step.shape), _space(operands[0]) if operands else 0
        moved = step.shape
        if to == origin == HOST and len(operands) > 1:
            moved, origin = operands[1], _space(operands[1])  # an update of a slice of what is on the host
        if (to == HOST) == (origin == HOST):
            continue
        size = sum(padded_bytes(array) for _, array in walk_shape(moved))
        found[start] = _Copy("to host" if to == HOST else "from host", size, start, done)
    return found


def _runs(schedule: Schedule) -> list[int]:
    """How often each computation runs."""
    found = [1] * len(schedule.computations)
    for number in sorted(range(len(found)), key=lambda number: -schedule.computations[number].end):
        computation = schedule.computations[number]
        if computation.caller is not None:
            found[number] = found[schedule.computation_of[computation.caller]] * computation.trips
    return found


def _run_time(
    module: hlo.HloModule,
    schedule: Schedule,
    runs: list[int],
    host: dict[int, _Copy],
    target: Target,
    link: Link,
    model: Model,
) -> tuple[float, float]:
    """(seconds, stall) of a run."""
    costs = AnalyticCosts(module, target)
    waits = {copy.done: copy for copy in host.values()}
    total = stalled = 0.0
    clocks = [_Clock(link) for _ in schedule.computations]
    for time, step in enumerate(schedule.steps):
        number = schedule.computation_of[time]
        caller = schedule.computations[number].caller
        if caller is not None and schedule.steps[caller].opcode.startswith("async-"):
            continue
        if time in waits:
            stall = clocks[number].wait(waits[time])
            stalled += stall * runs[number]
            total += stall * runs[number]
        if time in host:
            clocks[number].start(host[time])
        seconds = _seconds(schedule, number, step, costs, target, model)
        clocks[number].run(seconds)
        total += seconds * runs[number]
    return total, stalled


def _seconds(
    schedule: Schedule, number: int, step: hlo.Instruction, costs: AnalyticCosts, target: Target, model: Model
) -> float:
    if step.opcode in NAMES_ALONE or step.opcode.endswith(("-start", "-done", "-update")):
        return 0.0
    body = schedule.bodies[number]
    cost = costs.cost(body, step)

    def fast(shape: hlo.Shape, index: tuple[int, ...]) -> bool:
        arrays = dict(walk_shape(shape))
        array = arrays.get(index)
        return array is not None and array.layout is not None and array.layout.memory_space == target.fast_space

    read = sum(
        size
        for (operand, index), size in cost.operand_bytes.items()
        if operand < len(step.operands) and fast(body.by_name[step.operands[operand]].shape, index)
    )
    written = sum(size for index, size in cost.output_bytes.items() if fast(step.shape, index))
    return instruction_seconds(
        target, model, cost.compute_seconds, cycles_of(step), cost.total_bytes, float(read), float(written)
    )[0]


class _Clock:
    """The link while one computation runs."""

    def __init__(self, link: Link) -> None:
        self._rates = {"to host": link.to_host, "from host": link.from_host}
        self._shared = min(1.0, link.both / (link.to_host + link.from_host))
        self._queues: dict[str, deque[tuple[_Copy, float]]] = {name: deque() for name in self._rates}

    def start(self, copy: _Copy) -> None:
        """A copy joins its queue."""
        self._queues[copy.direction].append((copy, float(copy.size)))

    def run(self, seconds: float) -> None:
        """Copy for so long."""
        while seconds > 0.0 and any(self._queues.values()):
            seconds -= self._round(seconds)

    def wait(self, copy: _Copy) -> float:
        """Copy until this one has arrived; the seconds that takes."""
        waited = 0.0
        while any(other == copy for other, _ in self._queues[copy.direction]):
            waited += self._round(float("inf"))
        return waited

    def _round(self, limit: float) -> float:
        """Copy until a first copy has arrived or the limit is over; the seconds that takes."""
        busy = [name for name, queue in self._queues.items() if queue]
        factor = self._shared if len(busy) == 2 else 1.0
        ends = {name: self._queues[name][0][1] / (self._rates[name] * factor) for name in busy}
        spent = min(limit, *ends.values())
        for name in busy:
            copy, left = self._queues[name].popleft()
            if ends[name] > spent:
                self._queues[name].appendleft((copy, left - spent * self._rates[name] * factor))
        return spent
