"""Bytes that an instruction accesses, from its shapes alone (after OpenXLA hlo_cost_analysis.cc).

Sizes are padded bytes. A fusion reads of each parameter what the instructions inside read of it, once for each reader:
slices only what they take, an in-place update nothing of what it updates.
"""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.costs.cost import NO_BYTES, ShapeIndex, is_asynchronous
from xla_dump_parser import hlo
from xla_dump_parser.shapes import padded_bytes, walk_shape

MAX_FUSION_DEPTH = 100
TUPLE_BYTES = 512
"""What writing a tuple's table of addresses counts (measured, libtpu 0.0.52)."""


class AccessedBytes:
    """Bytes accessed by the instructions of one module."""

    def __init__(self, module: hlo.HloModule) -> None:
        self._module = module
        self._reads: dict[str, tuple[Mapping[ShapeIndex, int], ...]] = {}
        self._writes: dict[str, Mapping[ShapeIndex, int]] = {}

    def operands(
        self, computation: hlo.Computation, instruction: hlo.Instruction
    ) -> dict[tuple[int, ShapeIndex], int]:
        """By (operand number, index of the array in the operand's shape)."""
        found: dict[tuple[int, ShapeIndex], int] = {}
        opcode = instruction.opcode
        if opcode in NO_BYTES or opcode == "tuple" or is_asynchronous(opcode):
            return found
        for number, name in enumerate(instruction.operands):
            operand = computation.by_name[name]
            if opcode == "fusion":
                reads = self._fusion_reads(instruction, number)
                found.update({(number, index): size for index, size in reads.items()})
                continue
            for index, size in _sizes(operand.shape).items():
                found[number, index] = self._read(computation, instruction, number, size)
        return found

    def outputs(self, computation: hlo.Computation, instruction: hlo.Instruction) -> dict[ShapeIndex, int]:
        """By index of the array in the result's shape."""
        opcode = instruction.opcode
        if opcode == "tuple":
            return {(): TUPLE_BYTES}
        if opcode in NO_BYTES or is_asynchronous(opcode):
            return {}
        if opcode == "fusion" and instruction.called:
            return dict(self._fusion_writes(instruction.called[0], 0))
        sizes = _sizes(instruction.shape)
        touched = _touched_operand(instruction)
        if touched is not None:
            sizes = dict.fromkeys(sizes, _size(computation.by_name[touched].shape))
        return sizes

    def _read(self, computation: hlo.Computation, instruction: hlo.Instruction, number: int, size: int) -> int:
        """Bytes that an instruction that is no fusion reads of one operand of ``size`` bytes."""
        opcode = instruction.opcode
        if number == 0 and opcode in ("slice", "dynamic-slice", "gather"):
            return _size(instruction.shape)
        if opcode == "dynamic-update-slice":
            return 0 if number == 0 else size
        if opcode == "scatter" and number == 0 and len(instruction.operands) == 3:
            return _size(computation.by_name[instruction.operands[2]].shape)
        return size

    def _fusion_reads(self, fusion: hlo.Instruction, number: int, depth: int = 0) -> Mapping[ShapeIndex, int]:
        name = fusion.called[0] if fusion.called else ""
        fused = self._module.computations.get(name)
        if fused is None or depth > MAX_FUSION_DEPTH:
            return {}
        if name not in self._reads:
            parameters: dict[int, Mapping[ShapeIndex, int]] = {}
            for instruction in fused.instructions:
                if instruction.opcode == "parameter":
                    parameters[int(instruction.literal or 0)] = self._parameter_reads(fused, instruction, depth)
            count = len(fusion.operands)
            self._reads[name] = tuple(parameters.get(place, {}) for place in range(count))
        reads = self._reads[name]
        return reads[number] if number < len(reads) else {}

    def _parameter_reads(
        self, fused: hlo.Computation, parameter: hlo.Instruction, depth: int
    ) -> Mapping[ShapeIndex, int]:
        if not isinstance(parameter.shape, hlo.ArrayShape):
            return _sizes(parameter.shape)
        size = _size(parameter.shape)
        total = 0
        for name in fused.users[parameter.name]:
            user = fused.by_name[name]
            for number, operand in enumerate(user.operands):
                if operand != parameter.name:
                    continue
                if user.opcode == "fusion":
                    total += self._fusion_reads(user, number, depth + 1).get((), 0)
                elif user.opcode in ("tuple", "get-tuple-element"):
                    total += 0
                else:
                    total += self._read(fused, user, number, size)
        return {(): total}

    def _fusion_writes(self, name: str, depth: int) -> Mapping[ShapeIndex, int]:
        fused = self._module.computations.get(name)
        if fused is None or depth > MAX_FUSION_DEPTH:
            return {}
        if name not in self._writes:
            root = fused.root
            if root.opcode == "tuple":
                written = {
                    (number, *index): size
                    for number, operand in enumerate(root.operands)
                    for index, size in self._instruction_writes(fused, fused.by_name[operand], depth).items()
                }
            else:
                written = dict(self._instruction_writes(fused, root, depth))
            self._writes[name] = written
        return self._writes[name]

    def _instruction_writes(
        self, fused: hlo.Computation, instruction: hlo.Instruction, depth: int
    ) -> Mapping[ShapeIndex, int]:
        if instruction.opcode == "fusion" and instruction.called:
            return self._fusion_writes(instruction.called[0], depth + 1)
        touched = _touched_operand(instruction)
        if touched is not None:
            return {(): _size(fused.by_name[touched].shape)}
        return _sizes(instruction.shape)


def _touched_operand(instruction: hlo.Instruction) -> str | None:
    """The operand whose size an in-place update writes."""
    if instruction.opcode == "dynamic-update-slice" and len(instruction.operands) > 1:
        return instruction.operands[1]
    if instruction.opcode == "scatter" and len(instruction.operands) == 3:
        return instruction.operands[2]
    return None


def _sizes(shape: hlo.Shape) -> dict[ShapeIndex, int]:
    return {index: padded_bytes(array) for index, array in walk_shape(shape)}


def _size(shape: hlo.Shape) -> int:
    return sum(_sizes(shape).values())
