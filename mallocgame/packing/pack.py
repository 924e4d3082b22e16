"""Offsets for buffers within a capacity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

from mallocgame.packing.block import Block, blocks_of, by_buffer
from mallocgame.packing.buffer import Buffer, Packing, Status
from mallocgame.packing.first_fit import FirstFit
from mallocgame.packing.joint import check_jointly
from mallocgame.packing.native import layout
from mallocgame.packing.restarts import Restarts
from mallocgame.packing.state import max_load, partitions
from mallocgame.packing.validate import validate
from mallocgame.system.errors import BadInputError, MallocgameError

FIRST_FIT_ROUNDS = 30


def pack(buffers: Sequence[Buffer], capacity: int, *, time_limit: float = 60.0, seed: int = 0) -> Packing:
    """Find offsets within a capacity, or prove that there are none.

    Hints that are valid as they stand are the answer; then first fit is tried, then the exact search. The
    first call after an installation compiles native code, some seconds beyond the time limit (`compile_native`).

    Args:
        buffers: what to pack; every id once.
        capacity: bytes.
        time_limit: seconds.
        seed: the same seed and buffers give the same answer, unless the time limit ends the search.

    Returns:
        Status ``"feasible"``, ``"infeasible"`` or ``"time limit"``. Every answer has been validated.

    Raises:
        BadInputError: the buffers do not make a problem, or a limit is out of range.
        KeyboardInterrupt: Ctrl-C; the search has ended.
    """
    check_jointly(buffers, capacity)
    check_time_limit(time_limit)
    start = monotonic()
    blocks = blocks_of(buffers)
    hinted = _hinted(buffers, capacity)
    found = Decision("feasible", hinted, 0) if hinted else decide(blocks, capacity, start + time_limit, seed)
    if found.offsets is not None:
        check_answer(buffers, found.offsets, capacity)
    return Packing(found.status, found.offsets, capacity, max_load(blocks), monotonic() - start, found.nodes)


@dataclass(frozen=True)
class Decision:
    """What `decide` found.

    Attributes:
        status: ``"feasible"``, ``"infeasible"`` or ``"time limit"``.
        offsets: bytes, one a buffer, of a packing; nobody has validated them.
        nodes: states of the exact search.
    """

    status: Status
    offsets: tuple[int, ...] | None
    nodes: int


def decide(blocks: Sequence[Block], capacity: int, deadline: float, seed: int, limit: float = math.inf) -> Decision:
    """Whether all the blocks of some buffers fit, by what they need at once, first fit, and the exact search.

    Args:
        blocks: of all the buffers.
        capacity: bytes.
        deadline: as `time.monotonic` counts.
        seed: of both.
        limit: nodes of the exact search.
    """
    if max_load(blocks) > capacity:
        return Decision("infeasible", None, 0)
    placed = _first_fit(blocks, capacity, deadline, seed)
    if placed is not None:
        return Decision("feasible", by_buffer(blocks, placed), 0)
    search = Search(blocks, capacity, seed)
    status = search.run(deadline, limit)
    offsets = by_buffer(blocks, search.offsets) if search.offsets is not None else None
    return Decision(status, offsets, search.nodes)


def check_answer(buffers: Sequence[Buffer], offsets: Sequence[int], capacity: int) -> None:
    """Raises MallocgameError unless the offsets (bytes) are an answer."""
    violations = validate(buffers, offsets, capacity)
    if violations:
        raise MallocgameError(f"the packer's answer is invalid ({violations[0].message}); please report this")


def check_time_limit(time_limit: float) -> None:
    """Raises BadInputError unless it is a positive number of seconds."""
    if not (math.isfinite(time_limit) and time_limit > 0):
        raise BadInputError(f"the time limit has to be a positive number of seconds, not {time_limit}")


def compile_native() -> float:
    """Compile the machine code, or load what was kept of it, now instead of at the first call.

    Returns:
        Seconds.
    """
    start = monotonic()
    blocks = blocks_of([Buffer("a", 0, 2, 2), Buffer("b", 1, 3, 1)])
    FirstFit(blocks, 0)
    Search(blocks, 3, 0).run(start + 600)
    return monotonic() - start


class Search:
    """The search of all partitions for one capacity, which can be continued.

    Attributes:
        offsets: bytes, one a block, once `run` has returned ``"feasible"``.
    """

    def __init__(self, blocks: Sequence[Block], capacity: int, seed: int) -> None:
        self.offsets: tuple[int, ...] | None = None
        self._blocks = blocks
        self._groups = partitions(blocks)
        self._restarts = [
            Restarts([blocks[index] for index in group], capacity, (seed, number))
            for number, group in enumerate(self._groups)
        ]
        self._unsolved = list(self._restarts)

    @property
    def nodes(self) -> int:
        """States searched so far."""
        return sum(restarts.nodes for restarts in self._restarts)

    def run(self, deadline: float, limit: float = math.inf) -> Status:
        """Go on until the answer is known, or until the deadline (`time.monotonic`) or this many nodes more.

        The partitions take turns, so that a hard one does not hide that another has no solution.
        """
        limit += self.nodes
        with ThreadPoolExecutor(1) as pool:
            while self._unsolved:
                for restarts in tuple(self._unsolved):
                    outcome = restarts.attempt(pool, deadline)
                    if outcome == layout.EXHAUSTED:
                        return "infeasible"
                    if outcome == layout.FOUND:
                        self._unsolved.remove(restarts)
                    elif monotonic() >= deadline or self.nodes >= limit:
                        return "time limit"
        placed = [block.fixed or 0 for block in self._blocks]
        for group, restarts in zip(self._groups, self._restarts, strict=True):
            for index, offset in zip(group, restarts.offsets, strict=True):
                placed[index] = offset
        self.offsets = tuple(placed)
        return "feasible"


def _first_fit(blocks: Sequence[Block], capacity: int, deadline: float, seed: int) -> tuple[int, ...] | None:
    """A packing by first fit, if one of a few orders gives one."""
    fit = FirstFit(blocks, seed)
    fit.improve(capacity, FIRST_FIT_ROUNDS, deadline)
    offsets = fit.offsets()
    ends = (offset + block.size for offset, block in zip(offsets, blocks, strict=True))
    return offsets if max(ends, default=0) <= capacity else None


def _hinted(buffers: Sequence[Buffer], capacity: int) -> tuple[int, ...] | None:
    """The hints, if all buffers have one or a fixed offset, and if they are valid."""
    offsets = tuple(buffer.hint if buffer.offset is None else buffer.offset for buffer in buffers)
    whole = tuple(offset for offset in offsets if offset is not None)
    return whole if len(whole) == len(buffers) and not validate(buffers, whole, capacity) else None
