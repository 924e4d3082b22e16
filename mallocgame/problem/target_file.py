"""Targets measured on a device, as files: `mallocgame probe --calibrate` writes them, `--target FILE` reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mallocgame.problem.problem_json import TARGET_FIELDS, decode_target
from mallocgame.problem.schema import Target
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically

FORMAT = "mallocgame-target"
VERSION = 1
MAX_FILE_BYTES = 16 * 2**20

PRODUCT = "product of two bf16 matrices of side {side}"
"""Name of the test of a device's arithmetic."""

UNITS: Mapping[str, str] = {
    "*_bandwidth": "bytes/second",
    "*_bytes, bytes, alignment": "bytes",
    "*_seconds, fastest, median, total": "seconds",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """One test of a memory or a link.

    Attributes:
        name: what was tested, e.g. ``"to pinned_host"`` (from device memory).
        bytes: that one run moves; 0 where the time itself is the result.
        fastest: seconds of the fastest run.
        median: of the median run.
        runs: how many.
    """

    name: str
    bytes: int
    fastest: float
    median: float
    runs: int

    @property
    def bandwidth(self) -> float:
        """Bytes/second of the fastest run."""
        return self.bytes / self.fastest


@dataclass(frozen=True, slots=True)
class InstructionTime:
    """One instruction of a profiled program.

    Attributes:
        program: as the user called it.
        name: of the instruction in the optimised HLO.
        events: how often it ran in all profiled runs of the program.
        median: seconds of one event.
        total: seconds of all.
    """

    program: str
    name: str
    events: int
    median: float
    total: float


@dataclass(frozen=True)
class MeasuredTarget:
    """A target, and what it was measured by.

    Attributes:
        target: for solvers. On a TPU fast memory is VMEM or CMEM and the other one HBM, as in the built-in table; on
            any other device fast memory is the device's, and the other one pinned host memory.
        measured: fields of ``target`` that were measured; the others are the table's or the device's own word.
        device: kind of the device, as JAX names it.
        versions: of the software that measured.
        rates: every test.
        instructions: of profiled programs.
        notes: what a reader should know, one line each.
    """

    target: Target
    measured: tuple[str, ...]
    device: str
    versions: Mapping[str, str]
    rates: tuple[Rate, ...]
    instructions: tuple[InstructionTime, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def applied_to(self, target: Target) -> Target:
        """``target`` with what was measured: what a compile's log said of its own memory stays."""
        return replace(target, **{name: getattr(self.target, name) for name in self.measured})


def is_target_file(name: str) -> bool:
    """Whether a target is told by a file rather than by its name."""
    return name.endswith(".json") or Path(name).is_file()


def save_target(found: MeasuredTarget, path: str | os.PathLike[str]) -> None:
    """Write atomically.

    Raises:
        BadInputError: ``path`` cannot be written.
    """
    write_atomically(path, (json.dumps(target_json(found), allow_nan=False, indent=1) + "\n").encode())


def target_json(found: MeasuredTarget) -> dict[str, Any]:
    """The value of the file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "units": dict(UNITS),
        "device": found.device,
        "target": {name: getattr(found.target, name) for name in TARGET_FIELDS},
        "measured": list(found.measured),
        "rates": [{key: getattr(rate, key) for key in _RATE} for rate in found.rates],
        "instructions": [{key: getattr(one, key) for key in _INSTRUCTION} for one in found.instructions],
        "versions": dict(found.versions),
        "notes": list(found.notes),
    }


def load_target(path: str | os.PathLike[str]) -> MeasuredTarget:
    """Read a target file; nothing in it is trusted.

    Raises:
        BadInputError: it cannot be read, is not a target file of this version, or is damaged.
    """
    value, source = checked.read_json(path, MAX_FILE_BYTES), str(path)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadInputError(f'{source}: not a target file (it has no "format": "{FORMAT}")')
    found = checked.record(value, source, _KEYS)
    if found["version"] != VERSION:
        raise checked.bad(f"{source}: version of the target format", str(VERSION), found["version"])
    measured = checked.each(checked.one_of(TARGET_FIELDS[1:]))(found["measured"], f"{source}: measured")
    return MeasuredTarget(
        target=decode_target(found["target"], f"{source}: target"),
        measured=measured,
        device=checked.text(found["device"], f"{source}: device"),
        versions=checked.mapping(checked.text)(found["versions"], f"{source}: versions"),
        rates=checked.each(_rate)(found["rates"], f"{source}: rates"),
        instructions=checked.each(_instruction)(found["instructions"], f"{source}: instructions"),
        notes=checked.each(checked.text)(found["notes"], f"{source}: notes"),
    )


_KEYS = (
    "format", "version", "units", "device", "target", "measured", "rates", "instructions", "versions", "notes",
)  # fmt: skip
_RATE = ("name", "bytes", "fastest", "median", "runs")
_INSTRUCTION = ("program", "name", "events", "median", "total")


def _rate(value: object, where: str) -> Rate:
    fields = checked.record(value, where, _RATE)
    rate = Rate(
        name=checked.text(fields["name"], f"{where}.name"),
        bytes=checked.natural(fields["bytes"], f"{where}.bytes"),
        fastest=checked.non_negative(fields["fastest"], f"{where}.fastest"),
        median=checked.non_negative(fields["median"], f"{where}.median"),
        runs=checked.natural(fields["runs"], f"{where}.runs"),
    )
    if rate.fastest == 0:
        raise checked.bad(f"{where}.fastest", "a positive number", 0)
    return rate


def _instruction(value: object, where: str) -> InstructionTime:
    fields = checked.record(value, where, _INSTRUCTION)
    return InstructionTime(
        program=checked.text(fields["program"], f"{where}.program"),
        name=checked.text(fields["name"], f"{where}.name"),
        events=checked.natural(fields["events"], f"{where}.events"),
        median=checked.non_negative(fields["median"], f"{where}.median"),
        total=checked.non_negative(fields["total"], f"{where}.total"),
    )
