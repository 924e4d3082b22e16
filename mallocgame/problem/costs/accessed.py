"""Bytes that an instruction accesses, from its shapes alone (after OpenXLA hlo_cost_analysis.cc).

Sizes are padded bytes. A fusion reads of each parameter what the instructions inside read of it, once for each reader:
slices only what they take, an in-place update nothing of what it updates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from mallocgame.problem.costs.cost import NO_BYTES, ShapeIndex, is_asynchronous
from xla_dump_parser import hlo
from xla_dump_parser.shapes import padded_bytes, walk_shape

MAX_FUSION_DEPTH = 100
_PARTIAL = frozenset({"slice", "dynamic-slice", "dynamic-update-slice", "gather", "scatter", "broadcast", "reshape"})
"""Readers of a fusion's parameter, as their first operand, that count each for itself; all others together read the
whole once."""
_NUMBER = re.compile(r"\d{1,9}")
TUPLE_BYTES = 512
"""What writing a tuple's table of addresses counts (measured, libtpu 0.0.52)."""


class AccessedBytes:
    """Bytes accessed by the instructions of one module."""

    def __init__(self, module: hlo.HloModule) -> None:
        self._module = module
        self._reads: dict[str, tuple[Mapping[ShapeIndex, int], ...]] = {}
        self._writes: dict[str, Mapping[ShapeIndex, int]] = {}

    def operands(self, computation: hlo.Computation, instruction: hlo.Instruction) -> dict[tuple[int, ShapeIndex], int]:
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
        """By index of the array in the result's shape; of a tuple from no fusion, the whole at ``()``."""
        opcode = instruction.opcode
        if opcode == "tuple":
            return {(): TUPLE_BYTES}
        if opcode in NO_BYTES or is_asynchronous(opcode) or _allocates(instruction):
            return {}
        if opcode == "fusion" and instruction.called:
            return dict(self._fusion_writes(instruction.called[0], 0))
        sizes = _sizes(instruction.shape)
        written = _updated(computation, instruction)
        if written is not None:
            return {(): written}
        return sizes if isinstance(instruction.shape, hlo.ArrayShape) else {(): sum(sizes.values())}

    def _read(self, computation: hlo.Computation, instruction: hlo.Instruction, number: int, size: int) -> int:
        """Bytes that an instruction that is no fusion reads of one operand of ``size`` bytes."""
        opcode = instruction.opcode
        if number != 0:
            return size
        if opcode in ("slice", "dynamic-slice"):
            return _size(instruction.shape)
        if opcode == "dynamic-update-slice":
            return 0
        if opcode == "gather":
            return _gathered(computation, instruction, size)
        written = _updated(computation, instruction)
        return size if written is None else written

    def _fusion_reads(self, fusion: hlo.Instruction, number: int, depth: int = 0) -> Mapping[ShapeIndex, int]:
        name = fusion.called[0] if fusion.called else ""
        fused = self._module.computations.get(name)
        if fused is None or depth > MAX_FUSION_DEPTH:
            return {}
        if name not in self._reads:
            parameters: dict[int, Mapping[ShapeIndex, int]] = {}
            for instruction in fused.instructions:
                if instruction.opcode == "parameter":
                    parameters[int(instruction.literal or "")] = self._parameter_reads(fused, instruction, depth)
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
        whole = False
        for name in fused.users[parameter.name]:
            user = fused.by_name[name]
            for number, operand in enumerate(user.operands):
                if operand != parameter.name or user.opcode in ("tuple", "get-tuple-element"):
                    continue
                if user.opcode == "fusion":
                    total += self._fusion_reads(user, number, depth + 1).get((), 0)
                elif user.opcode in _PARTIAL and number == 0:
                    total += self._read(fused, user, number, size)
                elif not whole:
                    whole = True
                    total += size
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
        written = _updated(fused, instruction)
        return _sizes(instruction.shape) if written is None else {(): written}


def _updated(computation: hlo.Computation, instruction: hlo.Instruction) -> int | None:
    """Bytes that an in-place update writes, a slice's padding included; None for anything else."""
    if instruction.opcode == "dynamic-update-slice":
        return _size(computation.by_name[instruction.operands[1]].shape)
    if instruction.opcode != "scatter" or len(instruction.operands) != 3:
        return None
    target, updates = (computation.by_name[instruction.operands[place]].shape for place in (0, 2))
    if not isinstance(target, hlo.ArrayShape) or not isinstance(updates, hlo.ArrayShape):
        return None
    inserted = set(_numbers(instruction, "inserted_window_dims")) | set(_numbers(instruction, "input_batching_dims"))
    window = [updates.dims[place] for place in _numbers(instruction, "update_window_dims") if place < len(updates.dims)]
    kept = [place for place in range(len(target.dims)) if place not in inserted]
    if len(kept) != len(window):
        return None
    sizes = dict(zip(kept, window, strict=True))
    dims = tuple(sizes.get(place, 1) for place in range(len(target.dims)))
    return _slices(math.prod(updates.dims), replace(target, dims=dims, dynamic=()))


def _gathered(computation: hlo.Computation, instruction: hlo.Instruction, size: int) -> int:
    """Bytes of the slices that a gather reads, each slice's padding included."""
    source = computation.by_name[instruction.operands[0]].shape
    dims = _numbers(instruction, "slice_sizes")
    if not isinstance(source, hlo.ArrayShape) or len(dims) != len(source.dims):
        return size
    elements = sum(math.prod(array.dims) for _, array in walk_shape(instruction.shape))
    return _slices(elements, replace(source, dims=dims, dynamic=()))


def _slices(elements: int, one: hlo.ArrayShape) -> int:
    return elements // max(1, math.prod(one.dims)) * padded_bytes(one)


def _numbers(instruction: hlo.Instruction, attribute: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(instruction.attributes.get(attribute, "")))


def _allocates(instruction: hlo.Instruction) -> bool:
    """Whether a custom call only gives a buffer that others fill."""
    target = instruction.attributes.get("custom_call_target", "") if instruction.opcode == "custom-call" else ""
    return target == '"AllocateBuffer"'


def _sizes(shape: hlo.Shape) -> dict[ShapeIndex, int]:
    return {index: padded_bytes(array) for index, array in walk_shape(shape)}


def _size(shape: hlo.Shape) -> int:
    return sum(_sizes(shape).values())
