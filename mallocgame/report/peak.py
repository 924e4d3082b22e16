"""What is live at a time: the largest buffers, with what tiles add to them and where in the source they are made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from mallocgame.problem.schema import Group, Problem, Tensor
from xla_dump_parser import hlo, walk_shape
from xla_dump_parser.shapes import element_bits, format_shape
from xla_dump_parser.source_lines import SourceLines

_PLACE = re.compile(r'source_file="((?:[^"\\]|\\.)*)"\s+source_line=(\d{1,9})', re.ASCII)
"""Of metadata that has the place itself, in place of a number of the tables."""


@dataclass(frozen=True, slots=True)
class LiveBuffer:
    """A buffer that is live at some time.

    Attributes:
        tensor: name of the tensor that has it then.
        shape: of that, as HLO text.
        size: bytes, with padding.
        plain_size: bytes of its elements alone.
        source: ``file:line`` of the user's program; None where the text does not say.
    """

    tensor: str
    shape: str
    size: int
    plain_size: int
    source: str | None


def largest_live(
    problem: Problem, module: hlo.HloModule, groups: Iterable[Group], time: int, most: int
) -> tuple[LiveBuffer, ...]:
    """The largest buffers that are live at a time, largest first.

    Args:
        problem: of ``module``.
        module: scheduled text before memory space assignment.
        groups: of ``problem``, that may be among them.
        time: of ``problem``'s instructions.
        most: how many at most.

    Raises:
        xla_dump_parser.ParseError: the text's tables of source lines are damaged.
    """
    live = [(group.size, _holder(problem, group, time)) for group in groups]
    found = sorted(((size, tensor) for size, tensor in live if tensor is not None), key=lambda item: -item[0])[:most]
    lines = SourceLines(module)
    buffers = []
    for size, tensor in found:
        computation = problem.computations[problem.instructions[tensor.time].computation]
        body = module.computations.get(computation.name)
        step = None if body is None else body.by_name.get(tensor.instruction)
        if step is None:
            continue
        array = dict(walk_shape(step.shape))[tensor.index]
        plain = (prod(array.dims) * element_bits(array) + 7) // 8
        buffers.append(LiveBuffer(tensor.name, format_shape(array), size, plain, source_of(lines, step)))
    return tuple(buffers)


def _holder(problem: Problem, group: Group, time: int) -> Tensor | None:
    """Of the tensors of a group the last one that is live at a time."""
    tensors = [problem.tensors[id] for id in group.tensors]
    if not min(tensor.live[0] for tensor in tensors) <= time <= max(tensor.live[1] for tensor in tensors):
        return None
    started = [tensor for tensor in tensors if tensor.live[0] <= time]
    return max(started, key=lambda tensor: tensor.live[0])


def source_of(lines: SourceLines, step: hlo.Instruction) -> str | None:
    """``file:line`` of the user's program that an instruction comes from; None where its metadata names none."""
    of_tables = lines.of(step)
    if of_tables:
        return f"{of_tables[0].file}:{of_tables[0].line}"
    found = _PLACE.search(step.attributes.get("metadata", ""))
    return f"{found[1]}:{found[2]}" if found else None
