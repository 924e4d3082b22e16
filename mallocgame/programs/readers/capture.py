"""Captures (.mgz)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.compiler.capture_file import is_capture, load_capture
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.target_choice import target_said
from xla_dump_parser import parse_hlo

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture
    from mallocgame.problem.schema import Target
    from mallocgame.system.progress import Progress

SUFFIXES = (".mgz",)

claims = is_capture


def read(path: Path, target: Target | None, progress: Progress) -> Loaded:
    """As ``Reader``."""
    found = load_capture(path)
    why = target_said(path, target, found.target, progress)
    return replace(of_capture(found, path), target_why=why)


def of_capture(capture: Capture, path: Path) -> Loaded:
    """What the capture that was read from ``path`` holds.

    Raises:
        xla_dump_parser.ParseError: its texts are damaged.
    """
    return Loaded(
        capture.problem(),
        str(path),
        module=capture.module,
        final=parse_hlo(capture.final, f"{path} (final)"),
        versions=capture.versions,
        scoped_vmem_kib=capture.scoped_vmem_kib,
        buffer_assignment=capture.buffer_assignment,
        memory_usage=capture.memory_usage,
        lowered=capture.lowered,
        code_bytes=capture.code_bytes,
    )
