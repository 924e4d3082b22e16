"""Which tensors may not be in fast memory, or may not be defined there (OpenXLA's MSA, algorithm.cc)."""

from __future__ import annotations

import math

from mallocgame.problem.costs.cost import is_asynchronous
from mallocgame.problem.dataflow import Value
from mallocgame.problem.schedule import Schedule
from mallocgame.problem.schema import Problem, Target, Tensor

CORES_APART = frozenset({"v5p"})
"""Targets whose devices are two cores with a fast memory each. Before MSA allocates there, the compiler requires what
two cores compute together to be in HBM ("Adding required assignment: ... at def"). A pin would override that, and
whether the result is right then cannot be told without the hardware; so such definitions stay in HBM."""

_WRITTEN_APART = frozenset(
    {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call", "copy", "slice"}
)
"""Opcodes, beside loop fusions, whose results the compiler has in fast memory on such targets: no other definition is
there in XLA's default placement of 51 workloads (libtpu 0.0.52)."""

TWO_CORES = "written by two cores"
"""Why such a definition is in HBM."""

NEVER_READ = "never read"
"""Why such a definition is in HBM. MSA looks for room when it comes to a use ("Finding allocation"); where nothing
reads anything of a buffer, it looks for none, and a pin changes nothing (libtpu 0.0.52: k-means on four targets)."""

TESTED = "read by its loop's condition"
"""Why what such a loop carries is in HBM at its parameters and result. Were it in fast memory, the compiler's allocator
would hold a place for what enters the loop until the body starts, so throughout the condition, and asks for the same
place again for the condition's parameter: "spatial placement conflict" (libtpu 0.0.52)."""

HINTED = "placed by the compiler's own hint"
"""Why all tensors of such a group are as they are: before MSA, XLA puts hints on what its pipelined loops copy (v6e).
An override on any of them kills it ("Conflicting required assignment", libtpu 0.0.52)."""

ASYNCHRONOUS = "part of an asynchronous operation"
"""Why no plan has such a tensor in fast memory; XLA copies it there all the same, and only copies it."""

HBM, HOST = 0, 5
"""The numbers n of their S(n)."""

ON_HOST = f"coloured to memory space {HOST}"
"""Why such a tensor is never in fast memory; nor is it in HBM."""

PASSES_ON = frozenset({"tuple", "get-tuple-element", "bitcast"})
"""What the compiler's allocator does not take for a use."""

_TRANSFERS = frozenset({"send", "send-done", "recv", "recv-done", "infeed", "outfeed"})


def never_fast(schedule: Schedule, value: Value, size: int, target: Target) -> str | None:
    """Why no part of the tensor's life may be in fast memory, or None."""
    space = value.shape.layout.memory_space if value.shape.layout is not None else 0
    if space == HOST:
        return ON_HOST
    if _is_scalar(value):
        return "scalar"
    if size == 0:
        return "empty"
    if size > target.fast_bytes:
        return f"larger than the fast memory of {target.fast_bytes} bytes"
    if space:
        return f"coloured to memory space {space}"
    opcodes = {schedule.steps[time].opcode for time, _ in value.positions}
    opcodes.update(schedule.steps[time].opcode for time, _, _ in value.reads)
    if opcodes & _TRANSFERS:
        return "sent to or received from the host or another device"
    if any(is_asynchronous(opcode) for opcode in opcodes):
        return ASYNCHRONOUS
    if opcodes & {"add-dependency"}:
        return "part of an add-dependency"
    return None


def _is_scalar(value: Value) -> bool:
    return math.prod(value.shape.dims) == 1


def carried_by(schedule: Schedule, value: Value) -> int | None:
    """Time of the loop that has the value as a parameter of its condition or body, or as a result; None without."""
    step = schedule.steps[value.time]
    home = schedule.computations[schedule.computation_of[value.time]]
    if step.opcode == "while":
        return value.time
    return home.caller if step.opcode == "parameter" and home.kind in ("condition", "body") else None


def read_by_condition(schedule: Schedule, value: Value) -> int | None:
    """Time of the loop whose condition makes an array, or has it as a parameter, and reads it; None without."""
    home = schedule.computations[schedule.computation_of[value.time]]
    reads = any(schedule.steps[time].opcode not in PASSES_ON for time, _, _ in value.reads)
    return home.caller if home.kind == "condition" and reads and not _is_scalar(value) else None


def hbm_definition(schedule: Schedule, value: Value, target: Target, read: bool, tested: bool) -> str | None:
    """Why the definition has to be in HBM although uses may read a fast copy, or None.

    Args:
        schedule: of the program.
        value: the tensor's.
        target: of the program.
        read: whether anything reads a tensor of its alias group.
        tested: whether it is of a loop whose condition reads a tensor of its alias group.
    """
    if tested:
        return TESTED
    step = schedule.steps[value.time]
    home = schedule.computations[schedule.computation_of[value.time]]
    if step.opcode == "parameter" and home.kind == "entry":
        return "entry parameter"
    if step.opcode == "constant":
        return "constant"
    entry_root = schedule.entry_root
    if any(time == entry_root for time, _ in value.positions):
        return "entry result"
    loop_fusion = step.opcode == "fusion" and step.attributes.get("kind") == "kLoop"
    if target.name in CORES_APART and not loop_fusion and step.opcode not in _WRITTEN_APART:
        return TWO_CORES
    return None if read else NEVER_READ


def is_given(opcode: str, hbm_definition: str | None) -> bool:
    """Whether the compiler itself has what such an instruction defines in HBM: a prefetch may serve its first use.

    Anything else would be written to fast memory for the first use unless that is kept in HBM. Measured with libtpu
    0.0.52: docs/expressibility.md.
    """
    return opcode in ("parameter", "constant") or hbm_definition == TWO_CORES


def starts_in_hbm(problem: Problem, tensor: Tensor) -> bool:
    """Whether a tensor ``is_given``."""
    return is_given(problem.instructions[tensor.time].opcode, tensor.hbm_definition)


def is_directly_after(time: int, there: int) -> bool:
    """Whether a use is at the very next time after a tensor is in HBM: XLA makes no copy between the two.

    It refuses one ("Out of alternate memory"), however much is free (libtpu 0.0.52).

    Args:
        time: of the use.
        there: when the tensor is in HBM: the time of its definition there, or before which its eviction is waited for.
    """
    return time <= there + 1
