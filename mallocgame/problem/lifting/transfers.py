"""The copies that memory space assignment made, in one computation of a text after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo
from xla_dump_parser.layout_text import split_fields

CONCAT = '"ConcatBitcast"'
"""Target of the custom call that joins the slices of a prefetch; it does nothing."""

_ENDS = frozenset({"copy-done", "slice-done", "dynamic-slice-done", "async-done"})
_COPIES = frozenset({"copy", "slice", "dynamic-slice"})


@dataclass(frozen=True, slots=True)
class Transfer:
    """A copy of a whole array, or of a part that nothing joins with others.

    Attributes:
        source: name of the instruction that is copied.
        done: name of the one that gives the copy: a wait, or what joins the parts.
        starts: names of the instructions that start it.
        waits: names of those that wait for it.
        opcode: what it would be if it were synchronous.
        made: the instruction whose attributes that would have.
        changes: whether what it makes differs from what is copied, so that it cannot be a mere move.
    """

    source: str
    done: str
    starts: tuple[str, ...]
    waits: tuple[str, ...]
    opcode: str
    made: hlo.Instruction
    changes: bool


def space_of(shape: hlo.Shape) -> int:
    """Memory space of an array; that of a tuple is 0."""
    return shape.layout.memory_space if isinstance(shape, hlo.ArrayShape) and shape.layout is not None else 0


def transfers_of(module: hlo.HloModule, body: hlo.Computation, fast: int) -> list[Transfer]:
    """The copies between HBM and fast memory in a computation, in order of their ends.

    Raises:
        BadInputError: one that MSA does not make as it is.
    """
    parts: dict[str, Transfer] = {}
    found: dict[str, Transfer] = {}
    for step in body.instructions:
        if step.opcode in _ENDS:
            start = body.by_name[step.operands[0]]
            made = _made(module, start)
            transfer = None if made is None else _transfer(module, body, start, step, made, fast)
            if transfer is not None:
                parts[step.name] = found[step.name] = transfer
        elif step.opcode == "custom-call" and step.attributes.get("custom_call_target") == CONCAT:
            for operand in step.operands:
                found.pop(operand, None)
            found[step.name] = _joined(module, step, parts)
    return list(found.values())


def _made(module: hlo.HloModule, start: hlo.Instruction) -> hlo.Instruction | None:
    """What an asynchronous copy makes, in any form of the text; None for another asynchronous operation."""
    if start.opcode == "async-start" and start.called:
        wrapped = module.computations[start.called[0]].root
        return wrapped if wrapped.opcode in _COPIES else None
    return start if start.opcode in ("copy-start", "slice-start", "dynamic-slice-start") else None


def _transfer(
    module: hlo.HloModule,
    body: hlo.Computation,
    start: hlo.Instruction,
    done: hlo.Instruction,
    made: hlo.Instruction,
    fast: int,
) -> Transfer | None:
    """The copy, if it is between HBM and fast memory."""
    source = body.by_name[start.operands[0]]
    spaces = (space_of(source.shape), space_of(done.shape))
    if spaces == (fast, fast):
        raise BadInputError(
            f"{module.source}:{start.line}: {start.name} copies from fast memory to fast memory, which memory space "
            "assignment never does: what it stands for is not known"
        )
    if fast not in spaces or 0 not in spaces:
        return None
    changes = without_space(source.shape, fast) != without_space(done.shape, fast)
    opcode = made.opcode.removesuffix("-start")
    return Transfer(source.name, done.name, (start.name,), (done.name,), opcode, made, changes)


def _joined(module: hlo.HloModule, step: hlo.Instruction, parts: Mapping[str, Transfer]) -> Transfer:
    slices = [parts[operand] for operand in step.operands if operand in parts]
    sources = {part.source for part in slices}
    if len(slices) != len(step.operands) or len(sources) != 1:
        raise BadInputError(
            f"{module.source}:{step.line}: {step.name} joins what are not all slices of one array, so what it is a "
            "copy of is not known"
        )
    return Transfer(
        source=sources.pop(),
        done=step.name,
        starts=tuple(name for part in slices for name in part.starts),
        waits=tuple(name for part in slices for name in part.waits),
        opcode="copy",
        made=step,
        changes=False,
    )


def without_space(shape: hlo.Shape, space: int) -> hlo.Shape:
    """The shape with the arrays that are in one memory space put back into HBM.

    On v5p MSA also splits some of these between the cores: ``SC(1:128)``.
    """
    if isinstance(shape, hlo.TupleShape):
        return hlo.TupleShape(tuple(without_space(element, space) for element in shape.elements))
    if not space or space_of(shape) != space or shape.layout is None:
        return shape
    layout = shape.layout
    other = "".join(name + value for name, value in split_fields(layout.other) if name != "SC")
    bare = hlo.Layout(layout.minor_to_major, layout.tiles, 0, layout.element_bits, other)
    return hlo.ArrayShape(shape.dtype, shape.dims, bare, shape.dynamic, shape.buffer)
