"""A digest of the schedule before MSA: a plan carries it, so that it is never put on another program."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mallocgame.problem.schedule import Schedule
from xla_dump_parser import hlo
from xla_dump_parser.shapes import format_shape

_ATTRIBUTES = ("index", "condition", "body", "branch_computations", "to_apply", "calls", "output_to_operand_aliasing")


def fingerprint(schedule: Schedule) -> str:
    """32 hex digits over names, opcodes, shapes without memory spaces, operands, order and computations.

    Metadata, backend configurations and the tables of files do not count.
    """
    digest = hashlib.sha256()
    shapes: dict[hlo.Shape, str] = {}
    for time, step in enumerate(schedule.steps):
        shape = shapes.get(step.shape)
        if shape is None:
            shape = shapes[step.shape] = format_shape(_without_space(step.shape))
        computation = schedule.computations[schedule.computation_of[time]]
        attributes = [f"{name}={step.attributes[name]}" for name in _ATTRIBUTES if name in step.attributes]
        literal = (step.literal or "").strip() if step.opcode == "parameter" else ""
        fields = (computation.name, step.name, step.opcode, shape, ",".join(step.operands), literal, *attributes)
        digest.update(("\x1f".join(fields) + "\n").encode())
    return digest.hexdigest()[:32]


def _without_space(shape: hlo.Shape) -> hlo.Shape:
    if isinstance(shape, hlo.TupleShape):
        return hlo.TupleShape(tuple(map(_without_space, shape.elements)))
    if shape.layout is None or not shape.layout.memory_space:
        return shape
    return replace(shape, layout=replace(shape.layout, memory_space=0))
