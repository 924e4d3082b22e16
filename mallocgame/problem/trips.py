"""How often a while loop runs: its known trip count, else what its condition and body say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xla_dump_parser import hlo

ASSUMED_TRIPS = 5
"""MSA's guess where nobody knows (libtpu's ``xla_tpu_memory_space_assignment_while_execution_count``)."""

_KNOWN = re.compile(r'"known_trip_count"\s*:\s*\{\s*"n"\s*:\s*"?(\d{1,15})"?')
_INTEGER = re.compile(r"-?\d{1,18}")
_INDEX = re.compile(r"\d{1,6}")
_MAX_STEPS = 400
_FLIPPED = {"LT": "GT", "GT": "LT", "LE": "GE", "GE": "LE", "EQ": "EQ", "NE": "NE"}


@dataclass(frozen=True, slots=True)
class _Linear:
    """``carry[index] + offset`` of the enclosing computation's tuple parameter; a constant where index is None."""

    index: int | None
    offset: int


_Scope = tuple[hlo.Computation, tuple["_Linear | None", ...] | None]
"""A computation, and for a fused one what its parameters are."""


def trip_count(module: hlo.HloModule, caller: hlo.Computation, loop: hlo.Instruction) -> int | None:
    """Trips of a while loop in its caller: at least 0; None where it cannot be told.

    Understood is a counter that the body changes by a constant, started at a constant and compared with one; copies,
    converts, bitcasts and fusions around these are looked through.
    """
    known = _KNOWN.search(loop.attributes.get("backend_config", ""))
    if known:
        return int(known[1])
    return _Analysis(module, caller, loop).trips()


class _Analysis:
    """One loop; ``budget`` bounds the instructions looked at, since operands may be shared without limit."""

    def __init__(self, module: hlo.HloModule, caller: hlo.Computation, loop: hlo.Instruction) -> None:
        self.module = module
        self.caller = caller
        self.loop = loop
        self.budget = _MAX_STEPS

    def trips(self) -> int | None:
        condition, body = (
            self.module.computations.get(self.loop.attributes.get(role, "").lstrip("%"))
            for role in ("condition", "body")
        )
        compared = None if condition is None else self._comparison(condition)
        if compared is None or body is None:
            return None
        left, right, direction = compared
        if left.index is None:
            left, right, direction = right, left, _FLIPPED[direction]
        if left.index is None:
            return None
        start = self._initial(left.index)
        step = self._step(body, left.index)
        bound: int | None = right.offset
        if right.index is not None:
            carried = self._initial(right.index)
            constant = self._step(body, right.index) == 0 and carried is not None
            bound = right.offset + carried if constant and carried is not None else None
        if start is None or step is None or bound is None:
            return None
        return _count(start + left.offset, step, bound, direction)

    def _comparison(self, condition: hlo.Computation) -> tuple[_Linear, _Linear, str] | None:
        scope: _Scope = (condition, None)
        root = condition.root
        if root.opcode == "fusion":
            inner = self._fused(root, scope)
            if inner is None:
                return None
            scope, root = inner, inner[0].root
        direction = root.attributes.get("direction", "")
        if root.opcode != "compare" or direction not in _FLIPPED or len(root.operands) != 2:
            return None
        left, right = (self._linear(scope, name) for name in root.operands)
        return None if left is None or right is None else (left, right, direction)

    def _initial(self, index: int) -> int | None:
        init = self.caller.by_name.get(self.loop.operands[0])
        if init is None or init.opcode != "tuple" or index >= len(init.operands):
            return None
        value = self._linear((self.caller, None), init.operands[index])
        return value.offset if value is not None and value.index is None else None

    def _step(self, body: hlo.Computation, index: int) -> int | None:
        if body.root.opcode != "tuple" or index >= len(body.root.operands):
            return None
        value = self._linear((body, None), body.root.operands[index])
        return value.offset if value is not None and value.index == index else None

    def _fused(self, fusion: hlo.Instruction, scope: _Scope) -> _Scope | None:
        computation = self.module.computations.get(fusion.called[0]) if fusion.called else None
        if computation is None:
            return None
        return computation, tuple(self._linear(scope, name) for name in fusion.operands)

    def _linear(self, scope: _Scope, name: str) -> _Linear | None:
        """What an integer scalar is in terms of the computation's carried tuple; None where it is something else."""
        computation, parameters = scope
        instruction = computation.by_name.get(name)
        self.budget -= 1
        if instruction is None or self.budget < 0:
            return None
        opcode, operands = instruction.opcode, instruction.operands
        if opcode == "constant":
            literal = (instruction.literal or "").strip()
            return _Linear(None, int(literal)) if _INTEGER.fullmatch(literal) else None
        if opcode == "parameter":
            number = (instruction.literal or "").strip()
            if parameters is None or not _INDEX.fullmatch(number) or int(number) >= len(parameters):
                return None
            return parameters[int(number)]
        if opcode in ("copy", "convert", "bitcast", "reshape") and len(operands) == 1:
            return self._linear(scope, operands[0])
        if opcode == "get-tuple-element" and len(operands) == 1:
            source = computation.by_name.get(operands[0])
            index = instruction.attributes.get("index", "")
            is_carry = source is not None and source.opcode == "parameter" and parameters is None
            return _Linear(int(index), 0) if is_carry and _INDEX.fullmatch(index) else None
        if opcode in ("add", "subtract") and len(operands) == 2:
            left, right = (self._linear(scope, operand) for operand in operands)
            return _sum(left, right, 1 if opcode == "add" else -1)
        if opcode == "fusion":
            inner = self._fused(instruction, scope)
            return None if inner is None else self._linear(inner, inner[0].root.name)
        return None


def _count(value: int, step: int, bound: int, direction: str) -> int | None:
    if direction in ("LE", "GE"):
        bound += 1 if direction == "LE" else -1
        direction = {"LE": "LT", "GE": "GT"}[direction]
    if direction == "GT":
        value, step, bound, direction = -value, -step, -bound, "LT"
    if direction == "NE" and step and (bound - value) % step == 0 and (bound - value) // step >= 0:
        return (bound - value) // step
    if direction == "LT" and value >= bound:
        return 0
    if direction == "LT" and step > 0:
        return -(-(bound - value) // step)
    return None


def _sum(left: _Linear | None, right: _Linear | None, sign: int) -> _Linear | None:
    if left is None or right is None:
        return None
    if right.index is None:
        return _Linear(left.index, left.offset + sign * right.offset)
    if left.index is None and sign > 0:
        return _Linear(right.index, right.offset + left.offset)
    return None
