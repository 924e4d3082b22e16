"""A problem as JSON columns and back, checked so that whoever reads it need not fear what it holds."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, get_args

from mallocgame.problem.columns import Distinct, Table
from mallocgame.problem.costs.kernels import Source
from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Reservation, Target, Tensor, Use
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError

_SOURCES = get_args(Source)
_BY_TIME = ("time", "source")
_LOOPS = ("assumed", "user")
_LINKS = ("time", "seconds")
_KINDS = ("entry", "body", "condition", "branch", "call")
_KEYS = (
    "fingerprint", "module", "costs", "notes", "target", "texts", "operands", "indices", "computations",
    "instructions", "tensors", "uses", "reserved", "kernels", "loops", "links",
)  # fmt: skip
_COMPUTATIONS = ("name", "start", "end", "kind", "caller", "trips")
_INSTRUCTIONS = ("name", "opcode", "computation", "compute_seconds", "total_bytes", "free", "cycles")
_TENSORS = (
    "time", "index", "size", "live_from", "live_to", "defined_bytes", "uses", "group", "fixed", "hbm_definition",
)  # fmt: skip
_USES = ("time", "operands", "accessed_bytes", "copy_after")
_RESERVED = ("start", "end", "offset", "size")


def problem_to_json(problem: Problem) -> dict[str, Any]:
    """The problem as a JSON value. A tensor's instruction and the groups follow from the rest and are left out.

    ``reserved``, ``kernels``, ``loops`` and ``links`` (least seconds of collectives) are there only where something is
    in them.
    """
    texts, operands, indices = Distinct(), Distinct(), Distinct()
    target = problem.target
    uses = [use for tensor in problem.tensors for use in tensor.uses]
    value = {
        "fingerprint": problem.fingerprint,
        "module": problem.module,
        "costs": problem.costs,
        "notes": list(problem.notes),
        "target": {name: getattr(target, name) for name in TARGET_FIELDS},
        "computations": {
            "name": [computation.name for computation in problem.computations],
            "start": [computation.start for computation in problem.computations],
            "end": [computation.end for computation in problem.computations],
            "kind": [_KINDS.index(computation.kind) for computation in problem.computations],
            "caller": [computation.caller for computation in problem.computations],
            "trips": [computation.trips for computation in problem.computations],
        },
        "instructions": {
            "name": [step.name for step in problem.instructions],
            "opcode": [texts.number(step.opcode) for step in problem.instructions],
            "computation": [step.computation for step in problem.instructions],
            "compute_seconds": [step.compute_seconds for step in problem.instructions],
            "total_bytes": [_short(step.total_bytes) for step in problem.instructions],
            "free": [int(step.free) for step in problem.instructions],
            "cycles": [step.cycles for step in problem.instructions],
        },
        "tensors": {
            "time": [tensor.time for tensor in problem.tensors],
            "index": [indices.number(tensor.index) for tensor in problem.tensors],
            "size": [tensor.size for tensor in problem.tensors],
            "live_from": [tensor.live[0] for tensor in problem.tensors],
            "live_to": [tensor.live[1] for tensor in problem.tensors],
            "defined_bytes": [_short(tensor.defined_bytes) for tensor in problem.tensors],
            "uses": [len(tensor.uses) for tensor in problem.tensors],
            "group": [tensor.group for tensor in problem.tensors],
            "fixed": [texts.number(tensor.fixed) for tensor in problem.tensors],
            "hbm_definition": [texts.number(tensor.hbm_definition) for tensor in problem.tensors],
        },
        "uses": {
            "time": [use.time for use in uses],
            "operands": [operands.number(use.operands) for use in uses],
            "accessed_bytes": [_short(use.accessed_bytes) for use in uses],
            "copy_after": [use.copy_after for use in uses],
        },
    }
    if problem.reserved:
        value["reserved"] = {name: [getattr(one, name) for one in problem.reserved] for name in _RESERVED}
    if problem.kernels:
        value["kernels"] = _by_time(problem.kernels, _SOURCES)
    if problem.loops:
        value["loops"] = _by_time(problem.loops, _LOOPS)
    links = [(time, step.link_seconds) for time, step in enumerate(problem.instructions) if step.link_seconds]
    if links:
        value["links"] = {"time": [time for time, _ in links], "seconds": [seconds for _, seconds in links]}
    return {**value, "texts": texts.values(), "operands": operands.values(), "indices": indices.values()}


def _by_time(rows: tuple[tuple[int, str], ...], sources: tuple[str, ...]) -> dict[str, list[int]]:
    return {"time": [time for time, _ in rows], "source": [sources.index(source) for _, source in rows]}


def _short(number: float) -> float:
    """The same number, as an integer where it is one: 4096 instead of 4096.0."""
    return int(number) if float(number).is_integer() else number


def problem_from_json(value: object, where: str) -> Problem:
    """The problem of a JSON value; ``where`` begins every message.

    Raises:
        BadInputError: a wrong type or length, a number out of range, or parts that contradict each other.
    """
    absent: dict[str, dict[str, list[int]]] = {
        "reserved": {name: [] for name in _RESERVED},
        "kernels": {name: [] for name in _BY_TIME},
        "loops": {name: [] for name in _BY_TIME},
        "links": {name: [] for name in _LINKS},
    }
    top = checked.record({**absent, **value} if isinstance(value, dict) else value, where, _KEYS)
    texts = checked.each(checked.text)(top["texts"], f"{where}: texts")
    instructions = _with_links(
        _instructions(top["instructions"], f"{where}: instructions", texts), top["links"], f"{where}: links"
    )
    computations = _computations(top["computations"], f"{where}: computations", instructions)
    tensors = _tensors(top, where, instructions, texts)
    return Problem(
        fingerprint=checked.name(top["fingerprint"], f"{where}: fingerprint"),
        module=checked.text(top["module"], f"{where}: module"),
        target=decode_target(top["target"], f"{where}: target"),
        computations=computations,
        instructions=instructions,
        tensors=tensors,
        groups=_groups(tensors, f"{where}: tensors"),
        costs=checked.text(top["costs"], f"{where}: costs"),
        notes=checked.each(checked.text)(top["notes"], f"{where}: notes"),
        reserved=_reserved(top["reserved"], f"{where}: reserved", len(instructions)),
        kernels=_sources(top["kernels"], f"{where}: kernels", len(instructions), _SOURCES),
        loops=_sources(top["loops"], f"{where}: loops", len(instructions), _LOOPS),
    )


def _sources(value: object, where: str, times: int, sources: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    table = Table(value, where, _BY_TIME)
    return tuple(zip(table.integers("time", times), table.chosen("source", sources), strict=True))


TARGET_FIELDS = (
    "name", "fast_space", "fast_bytes", "alignment", "hbm_bandwidth", "fast_read_bandwidth", "fast_write_bandwidth",
    "min_seconds", "hbm_bytes",
)  # fmt: skip


def decode_target(value: object, where: str) -> Target:
    """A target of a JSON value.

    Raises:
        BadInputError: a field is missing, unknown, or out of range.
    """
    fields = checked.record(value, where, TARGET_FIELDS)
    whole = {name: checked.natural(fields[name], f"{where}.{name}") for name in ("fast_space", "fast_bytes")}
    target = Target(
        name=checked.text(fields["name"], f"{where}.name"),
        **whole,
        alignment=checked.natural(fields["alignment"], f"{where}.alignment"),
        hbm_bandwidth=_positive(fields, "hbm_bandwidth", where),
        fast_read_bandwidth=_positive(fields, "fast_read_bandwidth", where),
        fast_write_bandwidth=_positive(fields, "fast_write_bandwidth", where),
        min_seconds=_positive(fields, "min_seconds", where),
        hbm_bytes=checked.natural(fields["hbm_bytes"], f"{where}.hbm_bytes"),
    )
    if target.alignment == 0:
        raise checked.bad(f"{where}.alignment", "a positive integer", 0)
    return target


def _positive(fields: dict[str, Any], key: str, where: str) -> float:
    found = checked.non_negative(fields[key], f"{where}.{key}")
    if found == 0:
        raise checked.bad(f"{where}.{key}", "a positive number", found)
    return found


def _instructions(value: object, where: str, texts: tuple[str, ...]) -> tuple[Instruction, ...]:
    table = Table(value, where, _INSTRUCTIONS)
    return tuple(
        map(
            Instruction,
            table.names("name"),
            table.chosen("opcode", texts),
            table.integers("computation"),
            table.numbers("compute_seconds"),
            table.numbers("total_bytes"),
            table.flags("free"),
            table.optional_integers("cycles"),
        )
    )


def _with_links(instructions: tuple[Instruction, ...], value: object, where: str) -> tuple[Instruction, ...]:
    table = Table(value, where, _LINKS)
    links = dict(zip(table.integers("time", len(instructions)), table.numbers("seconds"), strict=True))
    if not links:
        return instructions
    return tuple(
        replace(step, link_seconds=links[time]) if time in links else step for time, step in enumerate(instructions)
    )


def _computations(value: object, where: str, instructions: tuple[Instruction, ...]) -> tuple[Computation, ...]:
    """The computations; each lies within its caller's, just before the calling instruction."""
    table, times = Table(value, where, _COMPUTATIONS), len(instructions)
    found = tuple(
        map(
            Computation,
            table.names("name"),
            table.integers("start", times),
            table.integers("end", times),
            table.chosen("kind", _KINDS),
            table.optional_integers("caller", times),
            table.integers("trips"),
        )
    )
    if sum(computation.caller is None for computation in found) != 1:
        raise BadInputError(f"{where}: expected one that nothing calls")
    for time, step in enumerate(instructions):
        if step.computation >= len(found):
            raise BadInputError(f"{where}: instruction {time} is in number {step.computation}, of {len(found)}")
        if not found[step.computation].start <= time <= found[step.computation].end:
            raise BadInputError(f"{where}[{step.computation}]: instruction {time} is in it, but outside its times")
    for number, computation in enumerate(found):
        if (computation.caller is None) != (computation.kind == "entry"):
            raise BadInputError(f"{where}[{number}]: {computation.kind}, but caller is {computation.caller}")
        if computation.start > computation.end or instructions[computation.end].computation != number:
            raise BadInputError(f"{where}[{number}]: its times are not its own")
        if computation.caller is not None:
            outer = found[instructions[computation.caller].computation]
            if not outer.start <= computation.start <= computation.end < computation.caller:
                raise BadInputError(f"{where}[{number}]: its times are not within its caller's, before the call")
    return found


def _tensors(
    top: dict[str, Any], where: str, instructions: tuple[Instruction, ...], texts: tuple[str, ...]
) -> tuple[Tensor, ...]:
    table, times = Table(top["tensors"], f"{where}: tensors", _TENSORS), len(instructions)
    indices = checked.each(checked.each(checked.natural))(top["indices"], f"{where}: indices")
    uses = _uses(top, where, instructions)
    counts = table.integers("uses", len(uses) + 1)
    ends = list(accumulate(counts, initial=0))
    if ends[-1] != len(uses):
        raise BadInputError(f"{where}: tensors.uses: {ends[-1]} uses in all, but uses has {len(uses)} rows")
    defined = table.integers("time", times)
    live = list(zip(table.integers("live_from", times), table.integers("live_to", times), strict=True))
    tensors = tuple(
        map(
            Tensor,
            range(table.rows),
            (instructions[time].name for time in defined),
            table.chosen("index", indices),
            table.integers("size"),
            defined,
            live,
            table.numbers("defined_bytes"),
            (uses[start:end] for start, end in pairwise(ends)),
            table.integers("group", table.rows),
            table.optionally_chosen("fixed", texts),
            table.optionally_chosen("hbm_definition", texts),
        )
    )
    for tensor in tensors:
        _check_tensor(tensor, f"{where}: tensors[{tensor.id}]")
    return tensors


def _check_tensor(tensor: Tensor, where: str) -> None:
    if not tensor.live[0] <= tensor.time <= tensor.live[1]:
        raise BadInputError(f"{where}: defined at {tensor.time}, outside its live range {list(tensor.live)}")
    for one, other in pairwise(tensor.uses):
        if one.time >= other.time:
            raise BadInputError(f"{where}: its uses are not in program order, each instruction once")


def _uses(top: dict[str, Any], where: str, instructions: tuple[Instruction, ...]) -> tuple[Use, ...]:
    table, times = Table(top["uses"], f"{where}: uses", _USES), len(instructions)
    place = checked.each(_operand)
    uses = tuple(
        map(
            Use,
            table.integers("time", times),
            table.chosen("operands", checked.each(place)(top["operands"], f"{where}: operands")),
            table.numbers("accessed_bytes"),
            table.optional_integers("copy_after", times),
        )
    )
    for number, use in enumerate(uses):
        after = use.copy_after
        if after is None:
            continue
        if after >= use.time or instructions[after].computation != instructions[use.time].computation:
            raise BadInputError(
                f"{where}: uses.copy_after[{number}]: {after} is not before {use.time}, in its computation"
            )
    return uses


def _operand(value: object, where: str) -> tuple[int, tuple[int, ...]]:
    number, index = checked.row(value, where, 2)
    return checked.natural(number, where), checked.each(checked.natural)(index, where)


def _reserved(value: object, where: str, times: int) -> tuple[Reservation, ...]:
    table = Table(value, where, _RESERVED)
    starts, ends = table.integers("start", times), table.integers("end", times)
    found = tuple(map(Reservation, starts, ends, table.integers("offset"), table.integers("size")))
    last = -1
    for number, one in enumerate(found):
        if not last < one.start <= one.end or one.size == 0:
            raise BadInputError(f"{where}[{number}]: is empty, or not after the one before")
        last = one.end
    return found


def _groups(tensors: tuple[Tensor, ...], where: str) -> tuple[Group, ...]:
    members: dict[int, list[int]] = {}
    for tensor in tensors:
        members.setdefault(tensor.group, []).append(tensor.id)
    if sorted(members) != list(range(len(members))):
        raise BadInputError(f"{where}.group: the numbers are not 0 to {len(members) - 1}, none left out")
    return tuple(
        Group(tuple(members[number]), max(tensors[id].size for id in members[number])) for number in range(len(members))
    )
