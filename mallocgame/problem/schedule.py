"""The flattened schedule: every scheduled instruction at its time, in the order of OpenXLA's HloLiveRange."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mallocgame.problem.schema import Computation
from mallocgame.problem.trips import ASSUMED_TRIPS, trip_count
from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo

CALLERS = frozenset({"while", "conditional", "call", "async-start", "async-update", "async-done"})
"""Opcodes whose called computations are scheduled; a fusion's or a reduce's are not."""

MAX_INSTRUCTIONS = 10_000_000


@dataclass(frozen=True)
class Schedule:
    """A scheduled module, flattened.

    Attributes:
        steps: the instruction at each time.
        computation_of: for each time, the index of its computation.
        computations: in the order in which they start.
        times: instruction name -> time. A colouring hint, which the compiler removes before MSA, has the time of what
            it is put on and is no step of its own.
        bodies: for each computation, the HLO computation itself; a name that an outer or earlier one has too is
            followed by a number.
        hinted: times of instructions that a colouring hint is put on, parameters left out.
        assumed: times of the while loops whose trip count nobody knows, in order: ``ASSUMED_TRIPS`` is taken.
    """

    steps: tuple[hlo.Instruction, ...]
    computation_of: tuple[int, ...]
    computations: tuple[Computation, ...]
    times: Mapping[str, int]
    bodies: tuple[hlo.Computation, ...]
    hinted: frozenset[int]
    assumed: tuple[int, ...] = ()

    @property
    def entry_root(self) -> int:
        """Time of the instruction that gives the program's result."""
        return self.times[self.bodies[0].root.name]


def is_colouring_hint(instruction: hlo.Instruction) -> bool:
    """Whether a custom call does nothing but tell the compiler in which memory to put its operand."""
    return (
        instruction.opcode == "custom-call"
        and len(instruction.operands) == 1
        and "xla_coloring_hint" in instruction.attributes.get("frontend_attributes", "")
    )


@dataclass(slots=True)
class _Open:
    """A computation that is being gone through."""

    body: hlo.Computation
    kind: str
    trips: int | None
    caller: str | None
    start: int = -1
    position: int = 0
    called: bool = False


class _Names:
    """Names of instructions, which a text may use once in each computation and a schedule once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: Counter[str] = Counter()

    def apart(self, body: hlo.Computation) -> hlo.Computation:
        """The computation with names of its own."""
        again = self._taken & body.by_name.keys()
        self._taken |= body.by_name.keys()
        return body.renamed({name: self._fresh(name) for name in body.by_name if name in again}) if again else body

    def _fresh(self, name: str) -> str:
        fresh = name
        while fresh in self._taken:
            self._numbers[name] += 1
            fresh = f"{name}.{self._numbers[name]}"
        self._taken.add(fresh)
        return fresh


def scheduled_computations(module: hlo.HloModule) -> Iterator[hlo.Computation]:
    """The entry and what it calls, apart from fused computations."""
    pending, seen = [module.entry.name], {module.entry.name}
    while pending:
        computation = module.computations[pending.pop()]
        yield computation
        for instruction in computation.instructions:
            if instruction.opcode in CALLERS:
                new = [name for name in instruction.called if name not in seen and name in module.computations]
                seen.update(new)
                pending.extend(new)


def flatten(module: hlo.HloModule) -> Schedule:
    """The schedule of a module: callees before their caller; of a while loop the condition, the body, the while.

    Raises:
        BadInputError: the module is not scheduled, or its computations do not nest.
    """
    if not module.is_scheduled:
        raise BadInputError(
            f"{module.source}: the module is not scheduled (no is_scheduled=true); give the HLO after scheduling"
        )
    steps: list[hlo.Instruction] = []
    owners: list[str] = []
    times: dict[str, int] = {}
    closed: list[tuple[_Open, int]] = []
    names = _Names()
    stack = [_Open(module.entry, "entry", 1, None)]
    seen = {module.entry.name}
    while stack:
        top = stack[-1]
        if top.start < 0:
            top.start = len(steps)
            top.body = names.apart(top.body)
        if top.position == len(top.body.instructions):
            closed.append((top, len(steps) - 1))
            stack.pop()
            continue
        instruction = top.body.instructions[top.position]
        if not top.called and instruction.opcode in CALLERS:
            top.called = True
            callees = _callees(module, top.body, instruction, seen)
            stack.extend(reversed(callees))
            if callees:
                continue
        if is_colouring_hint(instruction) and instruction.operands[0] in times:
            times[instruction.name] = times[instruction.operands[0]]
            top.position += 1
            continue
        times[instruction.name] = len(steps)
        steps.append(instruction)
        owners.append(top.body.name)
        top.position += 1
        top.called = False
        if len(steps) > MAX_INSTRUCTIONS:
            raise BadInputError(f"{module.source}: more than {MAX_INSTRUCTIONS} scheduled instructions")
    return _schedule(module, steps, owners, times, closed)


def _callees(module: hlo.HloModule, body: hlo.Computation, instruction: hlo.Instruction, seen: set[str]) -> list[_Open]:
    """The computations that an instruction calls and that are not flattened yet, in their order in time."""
    where = f"{module.source}:{instruction.line}"
    names = list(
        _asynchronous(module, body, instruction) if instruction.opcode.startswith("async-") else instruction.called
    )
    kind = {"conditional": "branch"}.get(instruction.opcode, "call")
    trips: int | None = 1
    if instruction.opcode == "while":
        names = [_named(instruction, role, where) for role in ("condition", "body")]
        trips = trip_count(module, body, instruction)
    callees = []
    for number, name in enumerate(names):
        if name in seen and instruction.opcode.startswith("async-"):
            continue
        if name in seen:
            raise BadInputError(f"{where}: computation {name} is called from two places or calls itself")
        if name not in module.computations:
            raise BadInputError(f"{where}: {instruction.name} calls {name}, which the text does not have")
        seen.add(name)
        role = ("condition", "body")[number] if instruction.opcode == "while" else kind
        callees.append(_Open(module.computations[name], role, trips, instruction.name))
    return callees


def _is_hint(step: hlo.Instruction, name: str) -> bool:
    return step.name != name and step.opcode != "parameter"


def asynchronous_start(body: hlo.Computation, instruction: hlo.Instruction) -> hlo.Instruction | None:
    """The async-start that an async-start, -update or -done is of; None where it is not in the same computation."""
    step: hlo.Instruction | None = instruction
    while step is not None and step.opcode in ("async-update", "async-done"):
        step = body.by_name.get(step.operands[0]) if step.operands else None
    return step if step is not None and step.opcode == "async-start" else None


def _asynchronous(module: hlo.HloModule, body: hlo.Computation, instruction: hlo.Instruction) -> tuple[str, ...]:
    """What an asynchronous operation calls, once all its operands are there: some get them only at an update."""
    start = asynchronous_start(body, instruction)
    if start is None:
        return instruction.called
    wrapped = [module.computations[name] for name in start.called if name in module.computations]
    wanted = sum(inside.opcode == "parameter" for computation in wrapped for inside in computation.instructions)
    given = len(start.operands)
    step: hlo.Instruction = instruction
    while step is not start:
        given += len(step.operands) - 1
        step = body.by_name[step.operands[0]]
    return start.called if given >= wanted else ()


def _named(instruction: hlo.Instruction, role: str, where: str) -> str:
    name = instruction.attributes.get(role, "").strip().lstrip("%")
    if not name:
        raise BadInputError(f"{where}: {instruction.name} is a while without {role}=")
    return name


def _schedule(
    module: hlo.HloModule,
    steps: list[hlo.Instruction],
    owners: list[str],
    times: dict[str, int],
    closed: list[tuple[_Open, int]],
) -> Schedule:
    if not steps:
        raise BadInputError(f"{module.source}: the entry computation has no instructions")
    empty = [item.body.name for item, _ in closed if not item.body.instructions]
    if empty:
        raise BadInputError(f"{module.source}: computation {empty[0]} has no instructions")
    closed.sort(key=lambda item: (item[0].start, -item[1]))
    computations = []
    for item, end in closed:
        caller = None if item.caller is None else times[item.caller]
        trips = ASSUMED_TRIPS if item.trips is None else item.trips
        computations.append(Computation(item.body.name, item.start, end, item.kind, caller, trips))
    index = {computation.name: number for number, computation in enumerate(computations)}
    return Schedule(
        steps=tuple(steps),
        computation_of=tuple(index[owner] for owner in owners),
        computations=tuple(computations),
        times=times,
        bodies=tuple(item.body for item, _ in closed),
        hinted=frozenset(time for name, time in times.items() if _is_hint(steps[time], name)),
        assumed=tuple(sorted({times[item.caller] for item, _ in closed if item.trips is None and item.caller})),
    )
