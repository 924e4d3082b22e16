"""The files that ``memory`` writes: bytes of each format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from mallocgame.programs.placed import Placed
from mallocgame.report.memory.course import courses_of
from mallocgame.report.memory.use import MemoryUse
from mallocgame.system.errors import BadInputError

Format = Literal["html", "pprof", "trace"]

SUFFIXES: Mapping[Format, str] = {
    "html": ".memory.html",
    "pprof": ".memory.pb.gz",
    "trace": ".memory.trace.json",
}


def place_of(file: str, format: Format | None, out: str | None) -> tuple[Path, Format] | None:
    """Where to write what; None where neither is asked for.

    Args:
        file: of the program; beside it lies what has no place of its own.
        format: None for a page.
        out: None for a place beside ``file``.

    Raises:
        BadInputError: there is no file to lie beside, or no such format.
    """
    if format is None and out is None:
        return None
    chosen = format or "html"
    if chosen not in SUFFIXES:
        raise BadInputError(f"unknown format {format!r}; known: {', '.join(SUFFIXES)}")
    if out is not None:
        return Path(out), chosen
    if not Path(file).exists():
        raise BadInputError(f"{file} is no file to write beside: say where with --out")
    return Path(file).with_suffix(SUFFIXES[chosen]), chosen


def render(use: MemoryUse, program: Placed | None, format: Format, file: str) -> bytes:
    """What fills the memory in one format.

    Args:
        use: of a program.
        program: the same; None where only the compiler's message is known.
        format: a self-contained page, a profile of the peak for ``pprof``, or a trace.
        file: what it was read from.

    Raises:
        BadInputError: a trace where no times are known.
        xla_dump_parser.ParseError: a text is damaged.
    """
    courses = None if program is None else courses_of(program, use)
    if format == "html":
        from mallocgame.report.memory.page_data import of_page
        from mallocgame.report.page import to_html

        return to_html(of_page(use, courses, file), "memory").encode()
    if format == "pprof":
        from mallocgame.report.memory.pprof import to_pprof

        held = () if courses is None else (one for course in courses.memories[:1] for one in course.held)
        return to_pprof(use, {one.buffer.name: one.frames for one in held})
    if courses is None:
        raise BadInputError(f"{file}: a message of the compiler has no times: no trace can be made of it")
    from mallocgame.report.memory.trace import to_trace

    return to_trace(use, courses).encode()
