"""The data of the memory page, as one JSON value; sizes are bytes, times those of the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from mallocgame.report.memory.course import Course, Courses
from mallocgame.report.memory.use import KINDS, Buffer, Keeper, MemoryUse, Peak, Role, SpaceUse
from mallocgame.report.units import size
from mallocgame.system.version import __version__

Value = dict[str, Any]

ROLES: tuple[Role, ...] = get_args(Role)


def of_page(use: MemoryUse, courses: Courses | None, file: str) -> Value:
    """What the page shows.

    Args:
        use: of a program.
        courses: of the same; None where only the compiler's message is known: the page has tables and no map then.
        file: what it was read from, for the provenance.
    """
    texts = _Texts()
    known = {} if courses is None else {course.memory_space: course for course in courses.memories}
    spaces = {space.memory_space: space for space in use.spaces}
    memories = [_memory(spaces[peak.memory_space], peak, known.get(peak.memory_space), texts) for peak in use.peaks]
    return {
        "title": f"Memory of {use.module}",
        "about": _about(use, courses),
        "confirmed": use.fits,
        "status": _status(use.spaces),
        "kinds": list(KINDS),
        "kind_names": list(KINDS.values()),
        "roles": list(ROLES),
        "spaces": [{"name": one.name, "total": one.total, "capacity": one.capacity} for one in use.spaces],
        "instructions": [] if courses is None else list(courses.instructions),
        "loops": [] if courses is None else [{"start": start, "end": end} for start, end in courses.loops],
        "memories": memories,
        "texts": texts.all,
        "words": [[title, sentences] for title, sentences in _findings(use)],
        "provenance": [[name, value] for name, value in _provenance(use, file)],
        "notes": [],
    }


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def all(self) -> list[str]:
        return list(self._numbers)


def _memory(space: SpaceUse, peak: Peak, course: Course | None, texts: _Texts) -> Value:
    """One memory: its buffers, those at the peak with the bytes that are theirs alone then."""
    buffers = list(peak.buffers) if course is None else [one.buffer for one in course.held]
    offsets = [None if course is None else course.held[number].offset for number in range(len(buffers))]
    numbers = {buffer.name: number for number, buffer in enumerate(buffers)}
    return {
        "name": space.name,
        "total": space.total,
        "capacity": space.capacity,
        "live": None if course is None else list(course.live),
        "peak": {
            "time": peak.time,
            "instruction": peak.instruction,
            "live": peak.live,
            "rest": peak.rest,
            "buffers": [numbers[buffer.name] for buffer in peak.buffers],
            "sizes": [buffer.size for buffer in peak.buffers],
        },
        "buffers": {**_columns(buffers, texts), "offset": offsets},
    }


def _columns(buffers: Sequence[Buffer], texts: _Texts) -> Value:
    kinds = list(KINDS)
    return {
        "name": [buffer.name for buffer in buffers],
        "kind": [kinds.index(buffer.kind) for buffer in buffers],
        "role": [ROLES.index(buffer.role) for buffer in buffers],
        "size": [buffer.size for buffer in buffers],
        "plain_size": [buffer.plain_size for buffer in buffers],
        "start": [None if buffer.live is None else buffer.live[0] for buffer in buffers],
        "end": [None if buffer.live is None else buffer.live[1] for buffer in buffers],
        "shape": [texts.number(buffer.shape) for buffer in buffers],
        "opcode": [texts.number(buffer.opcode) for buffer in buffers],
        "what": [texts.number(buffer.what) for buffer in buffers],
        "source": [texts.number(buffer.source or "") for buffer in buffers],
        "keeper": [None if buffer.kept is None else _keeper(buffer.kept, texts) for buffer in buffers],
    }


def _keeper(kept: Keeper, texts: _Texts) -> list[int | None]:
    """How it keeps the buffer, at which time (None: nothing does), and the loop that carries it there."""
    return [texts.number(kept.why), kept.time, texts.number(kept.loop)]


def _about(use: MemoryUse, courses: Courses | None) -> str:
    if courses is None:
        return "what the compiler's message lists; where everything lies, and when, it does not say"
    count = sum(len(course.held) for course in courses.memories)
    return f"for {use.target}: {len(courses.instructions)} scheduled instructions, {count} buffers"


def _status(spaces: Iterable[SpaceUse]) -> str:
    over = [f"{space.name}: {size(space.excess)} too much" for space in spaces if space.excess]
    return f"does not fit: {', '.join(over)}" if over else "fits in each memory whose capacity is known"


def _findings(use: MemoryUse) -> Iterator[tuple[str, list[str]]]:
    for kind in dict.fromkeys(finding.kind for finding in use.findings):
        found = [finding for finding in use.findings if finding.kind == kind]
        yield kind.capitalize(), [text for one in found for text in (one.words, f"- {one.advice}")]


def _provenance(use: MemoryUse, file: str) -> Iterator[tuple[str, str]]:
    yield "Program", use.module
    yield "File", file
    if use.target:
        yield "Target", use.target
    yield "Written by", f"mallocgame {__version__}"
