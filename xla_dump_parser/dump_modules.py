"""The modules of a folder that XLA's ``xla_dump_to`` wrote, whichever backend compiled them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xla_dump_parser.dump import scheduled_module
from xla_dump_parser.errors import ParseError
from xla_dump_parser.text import read_text

_PROGRAM = re.compile(r"(.+)\.before_optimizations(?:\.hlo)?\.(?:txt|pb)(?:\.gz)?")
_NAME = re.compile(r"(?:module_\d+\.)?(.+?)(?:\.cl_\d+)?")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = ", re.MULTILINE)
_MARKS: Mapping[Literal["CPU", "GPU", "TPU"], re.Pattern[str]] = {
    "TPU": re.compile(r"target_arguments\.txt|tpu_comp_env\.txt|after_codegen\.txt"),
    "GPU": re.compile(r"(?:[\w.]+_)?gpu_after_optimizations[\w.\-]*"),
    "CPU": re.compile(r"cpu_after_optimizations[\w.\-]*"),
}


@dataclass(frozen=True)
class DumpModule:
    """A module of a dump folder.

    Attributes:
        beginning: of the names of its files, ``"module_0000.jit_f.cl_1014260217"``.
        program: HLO from before optimization, as text or a proto; None where it was not dumped.
        scheduled: whether its schedule before memory space assignment is there.
        files: all its files, by what stands behind ``beginning`` and a dot.
        instructions: of the program, else of the schedule; None where only a proto is there.
    """

    beginning: str
    program: Path | None
    scheduled: bool
    files: Mapping[str, Path]
    instructions: int | None

    @property
    def name(self) -> str:
        """``"jit_f"``."""
        found = _NAME.fullmatch(self.beginning)
        return found[1] if found else self.beginning

    @property
    def backend(self) -> Literal["CPU", "GPU", "TPU"] | None:
        """That dumped it, as its files tell; None where they do not."""
        marked = (kind for kind, mark in _MARKS.items() if any(mark.fullmatch(name) for name in self.files))
        return next(marked, "TPU" if self.scheduled else None)

    @property
    def bytes(self) -> int:
        """Of its largest file."""
        return max(file.stat().st_size for file in self.files.values())


def is_dump(folder: str | os.PathLike[str]) -> bool:
    """Whether a module's program or schedule lies in a folder; False where it cannot be read."""
    try:
        return any(_program_of(name) or scheduled_module(name) for name in os.listdir(folder))
    except OSError:
        return False


def has_program(folder: str | os.PathLike[str]) -> bool:
    """Whether a module from before optimization lies in a folder; False where it cannot be read."""
    try:
        return any(map(_program_of, os.listdir(folder)))
    except OSError:
        return False


def dump_modules(folder: str | os.PathLike[str]) -> tuple[DumpModule, ...]:
    """The modules of a dump folder that have a program or a schedule, most instructions first.

    Raises:
        ParseError: not a folder, or a text is damaged.
    """
    source = os.fspath(folder)
    try:
        files = {path.name: path for path in sorted(Path(source).iterdir()) if path.is_file()}
    except OSError as error:
        raise ParseError(source, 0, 0, f"cannot read the folder: {error.strerror or error}") from None
    programs = {_program_of(name): path for name, path in reversed(files.items()) if _program_of(name)}
    schedules = {scheduled_module(name): path for name, path in files.items() if scheduled_module(name)}
    found = []
    for beginning in dict.fromkeys([*reversed(programs), *schedules]):
        assert beginning is not None
        own = {
            name.removeprefix(f"{beginning}."): file for name, file in files.items() if name.startswith(f"{beginning}.")
        }
        program, schedule = programs.get(beginning), schedules.get(beginning)
        counted = schedule if program is None else program
        found.append(DumpModule(beginning, program, schedule is not None, own, _instructions(counted)))
    return tuple(sorted(found, key=lambda module: (-(module.instructions or 0), -module.bytes, module.beginning)))


def _program_of(name: str) -> str | None:
    found = _PROGRAM.fullmatch(name)
    return None if found is None else found[1]


def _instructions(file: Path | None) -> int | None:
    if file is None or file.name.removesuffix(".gz").endswith(".pb"):
        return None
    return sum(1 for _ in _INSTRUCTION.finditer(read_text(file)))
