"""The files that XLA's ``xla_dump_to`` wrote for one module."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from xla_dump_parser.errors import ParseError

_BEFORE_MSA = (
    re.compile(r"(.+)\.\d{4}\.Pre_memory_space_assignment\.after_plumb-vmem-info\.before_[\w.\-]+\.txt(?:\.gz)?"),
    re.compile(r"(.+)\.after_optimizations_before_buffer_assignment\.txt(?:\.gz)?"),
)
"""The second is what MSA sees; between the first and it, some custom fusions and asynchronous ops get other names."""

_SUFFIXES = {
    "final": ".after_codegen.txt",
    "optimized": ".after_optimizations.txt",
    "live_range": ".after_optimizations-live-range.txt",
    "buffer_assignment": ".after_optimizations-buffer-assignment.txt",
    "memory_usage_report": ".after_optimizations-memory-usage-report.txt",
}


@dataclass(frozen=True, slots=True)
class Dump:
    """Paths of the files of one module; None for those that were not dumped.

    Attributes:
        module: the files' common beginning, ``"module_0000.jit_f.cl_1014260217"``.
        before_msa: scheduled HLO just before memory space assignment.
        final: scheduled HLO after code generation, with memory spaces and estimated_cycles.
        optimized: scheduled HLO after memory space assignment, without estimated_cycles.
        live_range: the flattened schedule and live ranges.
        buffer_assignment: allocations and the values in them.
        memory_usage_report: bytes of each memory space.
        log: the compile's log, where one lies in the folder of this module alone.
    """

    module: str
    before_msa: Path
    final: Path | None
    optimized: Path | None
    live_range: Path | None
    buffer_assignment: Path | None
    memory_usage_report: Path | None
    log: Path | None


def scheduled_module(name: str) -> str | None:
    """The module whose schedule before memory space assignment has this file name; None where it is another file."""
    found = next(filter(None, (pattern.fullmatch(name) for pattern in _BEFORE_MSA)), None)
    return None if found is None else found[1]


def find_dump(folder: str | os.PathLike[str], module: str | None = None) -> Dump:
    """The files of one module in a dump folder.

    Args:
        folder: that ``xla_dump_to`` named.
        module: as ``Dump.module``; None for the only one.

    Raises:
        ParseError: not a folder, no schedule before memory space assignment in it, or several modules and none named.
    """
    source = os.fspath(folder)
    try:
        files = {path.name: path for path in sorted(Path(source).iterdir()) if path.is_file()}
    except OSError as error:
        raise ParseError(source, 0, 0, f"cannot read the folder: {error.strerror or error}") from None
    modules: dict[str, Path] = {}
    for pattern in _BEFORE_MSA:
        found_now = [(match[1], path) for name, path in files.items() if (match := pattern.fullmatch(name)) is not None]
        if len({module for module, _ in found_now}) != len(found_now):
            raise ParseError(source, 0, 0, f"two schedules of module {found_now[0][0]}; is the folder used twice?")
        modules.update(found_now)
    if not modules:
        raise ParseError(
            source,
            0,
            0,
            "no schedule before memory space assignment here; compile with the option xla_dump_to=FOLDER and "
            "with memory space assignment on",
        )
    if module is None and len(modules) > 1:
        listed = ", ".join(list(modules)[:4])
        raise ParseError(source, 0, 0, f"{len(modules)} modules here ({listed}); give the folder of one module alone")
    module = next(iter(modules)) if module is None else module
    if module not in modules:
        raise ParseError(source, 0, 0, f"no schedule of the module {module} before memory space assignment here")
    found = {field: files.get(module + end) or files.get(f"{module}{end}.gz") for field, end in _SUFFIXES.items()}
    logs = [path for name, path in files.items() if name.endswith((".log", ".log.gz"))]
    if len(modules) > 1:
        logs = []
    if len(logs) > 1:
        raise ParseError(source, 0, 0, f"{len(logs)} logs here; keep the one of this module's compile")
    return Dump(module=module, before_msa=modules[module], log=logs[0] if logs else None, **found)
