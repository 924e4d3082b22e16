"""Memories over the schedule: every buffer with its place and live range, and what is live at each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.programs.placed import Placed
from mallocgame.report.memory.kinds import kind_of
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.peak import Describer, name_of
from mallocgame.report.memory.places import Lived, live_bytes
from mallocgame.report.memory.use import Buffer, MemoryUse, Peak
from xla_dump_parser import Allocation, SourceLine, parse_buffer_assignment


@dataclass(frozen=True, slots=True)
class Held:
    """A buffer on the map of its memory.

    Attributes:
        buffer: what it is. Temporaries that share a place are each a buffer of their own.
        offset: bytes above the bottom of the map. Allocations lie there one above the other, for where the runtime puts
            them is not known; inside of the temporaries' allocation it is the compiler's.
        frames: of the user's program, innermost first; empty where the text has none.
    """

    buffer: Buffer
    offset: int
    frames: tuple[SourceLine, ...]


@dataclass(frozen=True)
class Course:
    """One memory over the schedule.

    Attributes:
        memory_space: n of S(n).
        held: from the bottom of the map: what is there throughout the program, largest first, then the temporaries.
        live: bytes that hold something, by time; each byte is counted once.
    """

    memory_space: int
    held: tuple[Held, ...]
    live: tuple[int, ...]


@dataclass(frozen=True)
class Courses:
    """A program's memories over its schedule.

    Attributes:
        instructions: names by time, of the flattened schedule after memory space assignment.
        loops: first and last time of each loop's body.
        memories: those that ``MemoryUse.peaks`` has.
    """

    instructions: tuple[str, ...]
    loops: tuple[tuple[int, int], ...]
    memories: tuple[Course, ...]


def courses_of(program: Placed, use: MemoryUse) -> Courses:
    """Of a compiled program.

    Args:
        program: what the compiler placed.
        use: of the same.

    Raises:
        BadInputError, xla_dump_parser.ParseError: as ``memory_use``.
    """
    allocations = parse_buffer_assignment(program.buffer_assignment, f"{program.source} (buffer assignment)")
    lives = Lives(program.module)
    describe = Describer(program.module, lives)
    return Courses(
        instructions=tuple(step.name for step in lives.schedule.steps),
        loops=tuple((one.start, one.end) for one in lives.schedule.computations if one.kind == "body"),
        memories=tuple(_course(peak, allocations, lives, describe) for peak in use.peaks),
    )


def _course(peak: Peak, allocations: Sequence[Allocation], lives: Lives, describe: Describer) -> Course:
    own = [allocation for allocation in allocations if allocation.memory_space == peak.memory_space]
    values = {name_of(value): value for allocation in own for value in allocation.values}
    held, bottom = [], 0
    for buffer in peak.buffers:
        if buffer.kind != "temporary":
            held.append(Held(buffer, bottom, describe.frames(values[buffer.name])))
            bottom += buffer.size
    temporaries = []
    for allocation in (allocation for allocation in own if kind_of(allocation) == "temporary"):
        lived = [Lived(value, lives.of(value)) for value in allocation.values]
        temporaries.append(lived)
        for one in lived:
            buffer = describe.buffer(one, "temporary", one.value.size)
            held.append(Held(buffer, bottom + one.value.offset, describe.frames(one.value)))
        bottom += allocation.size
    lasting = sum(one.buffer.size for one in held if one.buffer.kind != "temporary")
    live = tuple(lasting + count for count in live_bytes(temporaries, len(lives.schedule.steps)))
    return Course(peak.memory_space, tuple(held), live)
