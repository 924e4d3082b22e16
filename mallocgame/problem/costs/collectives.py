"""What a collective has to bring into a chip over the chip's links, whatever the algorithm.

With n devices in a group, d of them on a chip at most, and S bytes of operands on each device, one chip at least takes

- all-gather: (n - d) S, the parts that it does not have;
- reduce-scatter: (n - d) S / n: each sum of n addends at c = n / d chips takes c - 1 transfers between chips;
- all-reduce: 2 (n - d) S / n: as many again, to hand it on (Patarasuk and Yuan, "Bandwidth optimal all-reduce
  algorithms for clusters of workstations", JPDC 2009);
- all-to-all: d (n - d) S / n, each device its part from each of the others;
- collective-permute and collective-broadcast: S, where devices of more than one chip are joined.

Sizes are those of the elements, without padding. Where devices of one chip are in several groups it takes more. What a
ragged-all-to-all moves is known at run time alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from xla_dump_parser import hlo
from xla_dump_parser.shapes import element_bits, walk_shape

OPCODES = frozenset(
    {"all-gather", "all-reduce", "reduce-scatter", "all-to-all", "ragged-all-to-all", "collective-permute",
     "collective-broadcast"}
)  # fmt: skip

Share = Literal["whole", "half", "beside"]
"""How an instruction is charged for the links' time of a collective: all of it, a half, or nothing, for it runs beside
the program."""

_START, _DONE = '"AsyncCollectiveStart"', '"AsyncCollectiveDone"'
_BRACES = re.compile(r"\{([\d,\s]*)\}")
_IOTA = re.compile(r"\[(\d{1,9}(?:,\d{1,9})*)\]<=")
_MESH = re.compile(r"mesh\[([^\]]*)\]\s*\{([^}]*)\}")
_AXIS = re.compile(r"'([^']*)'\s*=\s*(\d{1,9})")
_MESH_PART = re.compile(r"'([^']*)'(?::\(\d{1,9}\)(\d{1,9}))?")
_PAIR = re.compile(r"\{\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\}")


@dataclass(frozen=True, slots=True)
class Collective:
    """What an instruction has to do with the links.

    Attributes:
        share: how it is charged.
        incoming: least bytes that come into one chip; None where that is not known.
    """

    share: Share
    incoming: float | None


def collective_of(
    module: hlo.HloModule, computation: hlo.Computation, instruction: hlo.Instruction, devices_per_chip: int
) -> Collective | None:
    """The collective that an instruction of a scheduled computation is, starts, or contains; None if it has none.

    A start counts, and the done of it does not. libtpu also fuses a collective that runs beside fusions with these: it
    is begun and awaited by a fusion each, which both have bytes in the log, so each is charged a half; the fusions
    between them, which hand it on, nothing.
    """
    opcode = instruction.opcode
    if opcode == "fusion":
        return _fused(module, instruction, devices_per_chip)
    if opcode == "async-start":
        bodies = [module.computations[name] for name in instruction.called if name in module.computations]
        found = [
            _incoming(module, body, step, devices_per_chip)
            for body in bodies
            for step in body.instructions
            if step.opcode in OPCODES
        ]
        return Collective("beside", _sum(found)) if found else None
    if opcode.removesuffix("-start") not in OPCODES:
        return None
    share: Share = "beside" if opcode.endswith("-start") else "whole"
    return Collective(share, _incoming(module, computation, instruction, devices_per_chip))


def _fused(module: hlo.HloModule, fusion: hlo.Instruction, devices_per_chip: int) -> Collective | None:
    fused = module.computations.get(fusion.called[0]) if fusion.called else None
    if fused is None:
        return None
    inside = [step for step in fused.instructions if step.opcode in OPCODES]
    if not inside:
        return None
    incoming = _sum([_incoming(module, fused, step, devices_per_chip) for step in inside])
    if not any("async_collective_fusion_config" in step.attributes.get("backend_config", "") for step in inside):
        return Collective("whole", incoming)
    ends = {step.attributes.get("custom_call_target") for step in fused.instructions if step.opcode == "custom-call"}
    return Collective("half", incoming) if ends & {_START, _DONE} else None


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _incoming(
    module: hlo.HloModule, computation: hlo.Computation, collective: hlo.Instruction, devices_per_chip: int
) -> float | None:
    """Least bytes into one chip; the module's docstring has the formulas."""
    kind = collective.opcode.removesuffix("-start")
    size = sum(_operand_bytes(computation, computation.by_name[name]) for name in collective.operands)
    if kind == "collective-permute":
        return _permuted(collective, size, devices_per_chip)
    count = group_size(module, collective)
    if kind == "ragged-all-to-all" or count is None:
        return None
    others = max(0, count - devices_per_chip)
    if kind == "all-gather":
        return float(others * size)
    if kind == "collective-broadcast":
        return float(size if others else 0)
    times = {"reduce-scatter": 1, "all-reduce": 2, "all-to-all": devices_per_chip}[kind]
    if kind == "all-reduce" and _is_scattered(computation, collective):
        times = 1
    return times * others * size / max(1, count)


def _is_scattered(computation: hlo.Computation, collective: hlo.Instruction) -> bool:
    """Whether only slices of an all-reduce are read: libtpu makes a reduce-scatter of both."""
    readers = computation.users[collective.name]
    return bool(readers) and all(computation.by_name[name].opcode == "dynamic-slice" for name in readers)


def _permuted(collective: hlo.Instruction, size: float, devices_per_chip: int) -> float | None:
    """A chip receives the operand if the pairs join more devices than it has."""
    pairs = [(int(source), int(target)) for source, target in _PAIR.findall(_text(collective, "source_target_pairs"))]
    if not pairs or len(collective.operands) != 1:
        return None
    joined: dict[int, set[int]] = {}
    for pair in pairs:
        together = set().union(*(joined.get(device, {device}) for device in pair))
        joined.update(dict.fromkeys(together, together))
    return float(size) if max(map(len, joined.values())) > devices_per_chip else 0.0


def group_size(module: hlo.HloModule, collective: hlo.Instruction) -> int | None:
    """Devices of the largest replica group; None where the text does not tell.

    Groups are written one by one, as reshaped iota, ``[2,4]<=[8]``, or as axes of a mesh, ``mesh['a'=2,'b'=4] {'b'}``;
    none, or an empty list, are all devices.
    """
    text = _text(collective, "replica_groups")
    axes = _MESH.fullmatch(text)
    if axes:
        sizes = {name: int(size) for name, size in _AXIS.findall(axes[1])}
        parts = _MESH_PART.findall(axes[2])
        named = [int(part) if part else sizes.get(name) for name, part in parts]
        return math.prod(size for size in named if size is not None) if named and None not in named else None
    iota = _IOTA.match(text)
    if iota:
        return int(iota[1].rpartition(",")[2])
    groups = [group.split(",") for group in _BRACES.findall(text) if group.strip()]
    if groups:
        return max(map(len, groups))
    return _all_devices(module, collective) if text in ("", "{}", "{{}}") else None


def _all_devices(module: hlo.HloModule, collective: hlo.Instruction) -> int:
    """Devices of the only group of a collective that names none (XLA's CollectiveOpGroupMode)."""
    replicas, partitions = (_count(module, name) for name in ("replica_count", "num_partitions"))
    if "channel_id" not in collective.attributes:
        return replicas
    reduces = collective.opcode.removesuffix("-start") in ("all-gather", "all-reduce", "reduce-scatter")
    return partitions * replicas if reduces else partitions


def _count(module: hlo.HloModule, name: str) -> int:
    text = module.header.get(name, "1").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text) else 1


def _text(collective: hlo.Instruction, name: str) -> str:
    return collective.attributes.get(name, "").strip()


def _operand_bytes(computation: hlo.Computation, operand: hlo.Instruction) -> float:
    """Bytes of the elements; of what is padded for the collective, as libtpu does before it scatters, without that."""
    if operand.opcode == "pad":
        return _operand_bytes(computation, computation.by_name[operand.operands[0]])
    return sum(math.prod(array.dims) * element_bits(array) / 8 for _, array in walk_shape(operand.shape))
