"""Which values must share one buffer (OpenXLA hlo_alias_analysis.cc and alias_info.cc).

In-place operations, loop carries, conditional results and asynchronous operations join values into one HloBuffer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mallocgame.problem.dataflow import Dataflow, is_in_place_permute, is_wrapped
from mallocgame.problem.schedule import Schedule
from mallocgame.problem.schema import ShapeIndex
from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo, walk_shape

InPlace = tuple[int, ShapeIndex, ShapeIndex]
"""(operand number, index in the operand, index in the result) that share a buffer."""

_CUSTOM_ALIAS = re.compile(r"\{([\d, ]*)\}\s*:\s*\(\s*(\d{1,9})\s*,\s*\{([\d, ]*)\}")
_MAX_FUSION_DEPTH = 100


def alias_groups(schedule: Schedule, dataflow: Dataflow, module: hlo.HloModule) -> tuple[tuple[int, ...], ...]:
    """The values of each buffer, in order of definition; buffers in order of their first value.

    Raises:
        BadInputError: fusions nested too deep, or aliasing attributes that name what is not there.
    """
    parent = list(range(len(dataflow.values)))

    def find(value: int) -> int:
        while parent[value] != value:
            parent[value] = parent[parent[value]]
            value = parent[value]
        return value

    def join(one: int, other: int) -> None:
        first, second = sorted((find(one), find(other)))
        parent[second] = first

    for number, value in enumerate(dataflow.values):
        for source in value.inputs:
            join(number, source)
    for time, step in enumerate(schedule.steps):
        for operand, inside, outside in in_place_pairs(module, step):
            read = dataflow.at[schedule.times[step.operands[operand]]]
            if inside in read and outside in dataflow.at[time]:
                join(read[inside], dataflow.at[time][outside])
    for result, parameter in _module_aliases(schedule, dataflow, module):
        join(result, parameter)
    groups: dict[int, list[int]] = {}
    for number in range(len(parent)):
        groups.setdefault(find(number), []).append(number)
    return tuple(tuple(members) for members in groups.values())


def in_place_pairs(module: hlo.HloModule, instruction: hlo.Instruction, depth: int = 0) -> list[InPlace]:
    """The operands that an instruction updates in place."""
    return _pairs(module, instruction, instruction.opcode, depth)


def _pairs(module: hlo.HloModule, instruction: hlo.Instruction, opcode: str, depth: int) -> list[InPlace]:
    """The same for an instruction that does what an opcode says."""
    if opcode == "dynamic-update-slice":
        return [(0, (), ())]
    if opcode == "scatter":
        count = max(1, (len(instruction.operands) - 1) // 2)
        return [(0, (), ())] if count == 1 else [(number, (), (number,)) for number in range(count)]
    if opcode == "all-reduce-start":
        count = len(instruction.operands)
        return [(0, (), ())] if count == 1 else [(number, (), (number,)) for number in range(count)]
    if opcode == "collective-permute" and is_in_place_permute(instruction):
        return [(1, index, index) for index, _ in walk_shape(instruction.shape)]
    if opcode == "collective-permute-start" and is_in_place_permute(instruction):
        return [(1, index[1:], index) for index, _ in walk_shape(instruction.shape) if index[:1] == (1,)]
    if opcode == "set-dimension-size":
        return [(0, (), ())]
    if opcode == "ragged-all-to-all":
        return [(1, (), ())]
    if opcode == "custom-call":
        return _stated(module, instruction)
    if is_wrapped(opcode):
        return _stated(module, instruction) + _of_started(module, instruction, depth)
    if opcode == "fusion" and instruction.called:
        if depth > _MAX_FUSION_DEPTH:
            raise BadInputError(f"{module.source}:{instruction.line}: fusions nested deeper than {_MAX_FUSION_DEPTH}")
        return _stated(module, instruction) + list(_fusion_pairs(module, instruction, depth))
    return []


def _of_started(module: hlo.HloModule, start: hlo.Instruction, depth: int) -> list[InPlace]:
    """Pairs of the operation that a start is short for; its result is element 1 of the start's.

    An async-start calls a computation that is scheduled itself, and has its pairs there.
    """
    opcode, _, role = start.opcode.rpartition("-")
    if opcode == "async" or role != "start":
        return []
    pairs = _pairs(module, start, opcode, depth + 1)
    return [(operand, inside, (1, *outside)) for operand, inside, outside in pairs]


def _stated(module: hlo.HloModule, instruction: hlo.Instruction) -> list[InPlace]:
    """Pairs of the attribute ``output_to_operand_aliasing={{0}: (1, {})}``."""
    pairs = []
    for found in _CUSTOM_ALIAS.finditer(instruction.attributes.get("output_to_operand_aliasing", "")):
        operand = int(found[2])
        if operand >= len(instruction.operands):
            where = f"{module.source}:{instruction.line}"
            raise BadInputError(f"{where}: {instruction.name} has no operand {operand} to alias")
        pairs.append((operand, _index(found[3]), _index(found[1])))
    return pairs


def _fusion_pairs(module: hlo.HloModule, fusion: hlo.Instruction, depth: int) -> Iterator[InPlace]:
    """Outputs of a fusion that its computation makes by updating a parameter in place."""
    fused = module.computations.get(fusion.called[0])
    if fused is None:
        return
    root = fused.root
    outputs: list[tuple[ShapeIndex, str]] = [((), root.name)]
    if root.opcode == "tuple":
        outputs = [((number,), name) for number, name in enumerate(root.operands)]
    for outside, name in outputs:
        source = _through_tuples(fused, name)
        if source is None:
            continue
        for operand, inside, result in in_place_pairs(module, source, depth + 1):
            if result != () or inside != ():
                continue
            parameter = _parameter_behind(module, fused, source.operands[operand], depth + 1)
            if parameter is not None and parameter < len(fusion.operands):
                yield parameter, (), outside


def _through_tuples(fused: hlo.Computation, name: str) -> hlo.Instruction | None:
    """What an instruction is behind get-tuple-elements of tuples."""
    instruction = fused.by_name.get(name)
    while instruction is not None and instruction.opcode == "get-tuple-element":
        source = fused.by_name.get(instruction.operands[0])
        index = instruction.attributes.get("index", "")
        if source is None or source.opcode != "tuple" or not index.isdigit() or int(index) >= len(source.operands):
            return instruction
        instruction = fused.by_name.get(source.operands[int(index)])
    return instruction


def _parameter_behind(module: hlo.HloModule, fused: hlo.Computation, name: str, depth: int) -> int | None:
    """Number of the parameter that an operand is, through fusions that update it in place."""
    instruction = _through_tuples(fused, name)
    while instruction is not None and instruction.opcode == "fusion":
        pairs = [pair for pair in in_place_pairs(module, instruction, depth + 1) if pair[1:] == ((), ())]
        instruction = _through_tuples(fused, instruction.operands[pairs[0][0]]) if pairs else None
    if instruction is None or instruction.opcode != "parameter":
        return None
    number = (instruction.literal or "").strip()
    return int(number) if number.isdigit() and len(number) < 10 else None


def donated_parameters(module: hlo.HloModule) -> set[tuple[str, ShapeIndex]]:
    """(parameter number, index) of the arguments whose buffers the program may give back as results."""
    header = module.header.get("input_output_alias", "")
    return {(found[2], _index(found[3])) for found in _CUSTOM_ALIAS.finditer(header)}


def _module_aliases(schedule: Schedule, dataflow: Dataflow, module: hlo.HloModule) -> Iterator[tuple[int, int]]:
    """(value of a result, value of the donated parameter) for each alias in the module's header."""
    header = module.header.get("input_output_alias", "")
    if not header:
        return
    root = dataflow.at[schedule.times[module.entry.root.name]]
    parameters: dict[int, Mapping[ShapeIndex, int]] = {}
    for step in module.entry.instructions:
        number = (step.literal or "").strip()
        if step.opcode == "parameter" and number.isdigit() and len(number) < 10:
            parameters[int(number)] = dataflow.at[schedule.times[step.name]]
    for found in _CUSTOM_ALIAS.finditer(header):
        result = root.get(_index(found[1]))
        parameter = parameters.get(int(found[2]), {}).get(_index(found[3]))
        if result is not None and parameter is not None:
            yield result, parameter


def _index(text: str) -> ShapeIndex:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(int(part) for part in parts if len(part) < 10)
