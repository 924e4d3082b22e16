"""Instructions that move data and compute nothing, and those that exchange it between devices."""

from __future__ import annotations

from collections.abc import Mapping

from xla_dump_parser.hlo import Computation, Instruction

_MOVES = frozenset(
    {
        *("copy", "copy-start", "copy-done", "bitcast", "reshape", "transpose", "slice", "dynamic-slice", "convert"),
        *("reverse", "pad", "reduce-precision", "optimization-barrier", "opt-barrier", "get-tuple-element"),
    }
)
"""Their first operand's elements, and nothing else."""

_JOINED_CALLS = frozenset({"ConcatBitcast", "AsyncCollectiveStart", "AsyncCollectiveDone"})
_MOVING_CALLS = frozenset({"MoveToHost", "MoveToDevice", "annotate_device_placement", "Sharding"})
_FILLS = frozenset({"constant", "iota"})
_COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-", "ragged-all-to-all")


def moved(step: Instruction, named: Mapping[str, Instruction]) -> frozenset[int] | None:
    """Numbers of the operands whose elements an instruction's result has; None for one that computes something.

    None of them for constants, room that is not written yet, and an array filled with one constant.

    Args:
        step: the instruction.
        named: instructions of its computation.
    """
    opcode = step.opcode
    if opcode in _MOVES:
        return frozenset({0})
    if opcode == "dynamic-update-slice":
        return frozenset({0, 1})
    if opcode == "concatenate":
        return frozenset(range(len(step.operands)))
    if opcode in _FILLS:
        return frozenset()
    if opcode == "broadcast" and step.operands:
        source = named.get(step.operands[0])
        return frozenset() if source is not None and source.opcode in _FILLS else None
    if opcode == "custom-call":
        called = step.attributes.get("custom_call_target", "").strip('"')
        if called in _JOINED_CALLS:
            return frozenset(range(len(step.operands)))
        if called in _MOVING_CALLS:
            return frozenset({0})
        if called == "AllocateBuffer":
            return frozenset()
    return None


def is_collective(step: Instruction) -> bool:
    """Whether an instruction exchanges data with other devices."""
    return step.opcode.startswith(_COLLECTIVES)


def is_gather(step: Instruction) -> bool:
    """Whether an instruction puts the pieces of several devices together."""
    return step.opcode.startswith("all-gather")


def operands_of_root(body: Computation) -> tuple[str, ...]:
    """Names of what a computation gives back: of a tuple its elements."""
    return body.root.operands if body.root.opcode == "tuple" else (body.root.name,)
