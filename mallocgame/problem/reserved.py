"""What instructions take of fast memory for themselves: the scoped memory of Pallas kernels.

Measured with libtpu 0.0.52 on v5e. As long as no kernel asks for more than the default limit, memory space assignment
(MSA) gets a heap without that limit, and its tables have no scoped rows. Where one asks for more
(``vmem_limit_bytes``), the heap is the whole fast memory, and the tables have a scoped row for each instruction: the
limit that it asked for, or the default, at offset 0, for that one time. Operands and results of the kernel that are in
fast memory lie beside it.
"""

from __future__ import annotations

from itertools import groupby

from mallocgame.problem.schema import Problem, Reservation
from xla_dump_parser.compile_log import CompileLog


def reserved_in(log: CompileLog, times: int) -> tuple[Reservation, ...]:
    """The reservations of a log's tables, for a schedule of so many times; what is alike at times in a row is one.

    A scoped row has the negated id of a value. Of 0 there is no other, so that the buffer table has to say it.
    """
    scoped = {(buffer.id, buffer.size, buffer.time, buffer.time) for buffer in log.buffers if buffer.scoped}
    taken: dict[int, tuple[int, int]] = {}
    for row in log.allocations:
        if (row.id < 0 or (row.id, row.size, row.start, row.end) in scoped) and row.size:
            for time in range(row.start, min(row.end + 1, times)):  # MSA also has a time after the last instruction
                low, high = taken.get(time, (row.offset, row.offset))
                taken[time] = min(low, row.offset), max(high, row.offset + row.size)
    found = []
    ordered = sorted(taken.items())
    for (_, (low, high)), run in groupby(enumerate(ordered), key=lambda item: (item[1][0] - item[0], item[1][1])):
        first, *rest = [time for _, (time, _) in run]
        found.append(Reservation(first, rest[-1] if rest else first, low, high - low))
    return tuple(found)


def fixed_reservations(problem: Problem) -> tuple[Reservation, ...]:
    """The reservations as far as they are in the target's fast memory, of which a caller may have left less."""
    capacity = problem.target.fast_bytes
    cut = (
        Reservation(one.start, one.end, one.offset, min(one.size, capacity - one.offset)) for one in problem.reserved
    )
    return tuple(one for one in cut if one.size > 0)


def reserved_bytes(problem: Problem) -> list[int]:
    """For each time, bytes that no tensor can have, multiples of the alignment.

    A tensor below a reservation may have all bytes up to its offset, rounded up as the tensor's own size is; one above
    begins at a multiple of the alignment.
    """
    alignment = problem.target.alignment
    taken = [0] * len(problem.instructions)
    for one in fixed_reservations(problem):
        lost = -(-(one.offset + one.size) // alignment) * alignment - -(-one.offset // alignment) * alignment
        taken[one.start : one.end + 1] = [lost] * (one.end + 1 - one.start)
    return taken
