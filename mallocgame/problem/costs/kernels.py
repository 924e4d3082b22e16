"""Kernels (custom calls that carry a Mosaic module): which there are, their authors' estimates, and what they cost.

Their bytes are counted as the compiler counts those of its own matrix products: each place of an operand once, however
often it is fetched.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mallocgame.problem.costs.cost import ShapeIndex
from mallocgame.system import checked_json as checked
from xla_dump_parser import hlo
from xla_dump_parser.shapes import padded_bytes, walk_shape

TARGET = '"tpu_custom_call"'
"""``custom_call_target`` of a kernel."""

Source = Literal["estimate", "kernel", "user", "none", "links"]
"""Where the cost of a kernel or collective is from: a kernel's author, its own module, the user, nowhere (it is not
counted), or for a collective the links between chips."""

_BODY = re.compile(r'"body"\s*:\s*"([^"\\]*)"')
_ESTIMATE = re.compile(r'"cost_estimate"\s*:\s*(\{[^{}]*\})')


@dataclass(frozen=True, slots=True)
class Access:
    """What a kernel takes of one of its arguments, or gives to it, in elements.

    Attributes:
        distinct: elements of different places, each once; None for the whole argument.
        moved: elements between HBM and fast memory if the argument is in HBM: a block counts each time that it is
            fetched. None as often as ``distinct`` says.
    """

    distinct: int | None
    moved: int | None


@dataclass(frozen=True, slots=True)
class KernelCost:
    """What one run of a kernel takes, as read from its module.

    Attributes:
        flops: operations of matrix products (2 for each multiply-add) and elementwise ones.
        transcendentals: functions.
        bounds: operands before all others, which are the bounds of a grid that is not constant.
        accesses: of each argument of the kernel after them, operands before results.
        guesses: what the module does not tell, and what was taken instead.
    """

    flops: int
    transcendentals: int
    bounds: int
    accesses: tuple[Access, ...]
    guesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the author of a kernel says of one run: operations, functions, bytes accessed."""

    flops: float
    transcendentals: float
    total_bytes: float


def is_kernel(instruction: hlo.Instruction) -> bool:
    """Whether an instruction runs a Mosaic kernel."""
    return instruction.opcode == "custom-call" and instruction.attributes.get("custom_call_target") == TARGET


def body_of(instruction: hlo.Instruction) -> str:
    """A kernel's module, in base64; empty where it carries none."""
    found = _BODY.search(instruction.attributes.get("backend_config", ""))
    return found[1] if found else ""


def digest_of(body: str) -> str:
    """Names a kernel's module."""
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def estimate_of(instruction: hlo.Instruction) -> Estimate | None:
    """The estimate that a kernel's author gave; None without one, or where it is of nothing."""
    found = _ESTIMATE.search(instruction.attributes.get("backend_config", ""))
    try:
        fields = json.loads(found[1]) if found else {}
    except ValueError:
        return None
    numbers = [fields.get(name) for name in ("flops", "transcendentals", "bytes_accessed")]
    flops, functions, total = (float(it) if isinstance(it, int | float) and it > 0 else 0.0 for it in numbers)
    return Estimate(flops, functions, total) if flops or functions or total else None


def kernel_bytes(
    computation: hlo.Computation, kernel: hlo.Instruction, cost: KernelCost
) -> tuple[dict[tuple[int, ShapeIndex], float], dict[ShapeIndex, float]]:
    """Bytes that a kernel reads of each operand, and writes of each array of its result; padded, each place once."""
    places = [(number, computation.by_name[name].shape) for number, name in enumerate(kernel.operands)]
    read = [(number, index, array) for number, shape in places for index, array in walk_shape(shape)]
    written = list(walk_shape(kernel.shape))
    distinct = [*(None for _ in range(cost.bounds)), *(access.distinct for access in cost.accesses)]
    if len(distinct) != len(read) + len(written):
        distinct = [None] * (len(read) + len(written))
    operands = {
        (number, index): _part(array, count)
        for (number, index, array), count in zip(read, distinct[: len(read)], strict=True)
    }
    outputs = {index: _part(array, count) for (index, array), count in zip(written, distinct[len(read) :], strict=True)}
    return operands, outputs


def _part(array: hlo.ArrayShape, distinct: int | None) -> float:
    """Bytes of so many elements of an array, at most of all."""
    size, elements = padded_bytes(array), math.prod(array.dims)
    return float(size if distinct is None or not elements else round(size * min(1.0, distinct / elements)))


def encode(costs: Mapping[str, KernelCost]) -> str:
    """Costs by digest, as text."""
    rows = {
        name: {
            "flops": cost.flops,
            "transcendentals": cost.transcendentals,
            "bounds": cost.bounds,
            "accesses": [[access.distinct, access.moved] for access in cost.accesses],
            "guesses": list(cost.guesses),
        }
        for name, cost in sorted(costs.items())
    }
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def decode(text: str, source: str) -> dict[str, KernelCost]:
    """What ``encode`` gave; nothing in it is trusted.

    Raises:
        BadInputError: it is something else.
    """
    if not text:
        return {}
    rows = checked.mapping(lambda value, where: value)(checked.parse_json(text.encode(), source), source)
    return {name: _cost(row, f"{source}: {name}") for name, row in rows.items()}


def _cost(value: object, where: str) -> KernelCost:
    row: dict[str, Any] = checked.record(value, where, ("flops", "transcendentals", "bounds", "accesses", "guesses"))
    whole = {name: checked.natural(row[name], f"{where}.{name}") for name in ("flops", "transcendentals", "bounds")}
    return KernelCost(
        **whole,
        accesses=checked.each(_access)(row["accesses"], f"{where}.accesses"),
        guesses=checked.each(checked.text)(row["guesses"], f"{where}.guesses"),
    )


def _access(value: object, where: str) -> Access:
    distinct, moved = checked.row(value, where, 2)
    count = checked.optional(checked.natural)
    return Access(count(distinct, where), count(moved, where))
