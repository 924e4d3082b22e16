"""What a replay reports."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from mallocgame.plan.plan import CopyKind

Model = Literal["E", "M"]
"""E: the code emitter's estimated cycles. M: memory space assignment's own formula."""


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction in a replay.

    Attributes:
        name: of the instruction.
        opcode: its HLO opcode.
        computation: name of its computation.
        time: in the problem; None for an instruction of the final text only.
        runs: how often it runs; 0 in a branch that is not the slowest.
        seconds: of one run, without waiting for copies; 0 for one that only calls (its callees have their own rows).
        hbm_seconds: seconds of HBM bandwidth that one run takes for its own bytes.
        stall: seconds that one run waits for asynchronous copies just before it.
        copy_seconds: seconds of HBM bandwidth that asynchronous copies take while one run of it lasts, waits apart.
    """

    name: str
    opcode: str
    computation: str
    time: int | None
    runs: int
    seconds: float
    hbm_seconds: float
    stall: float
    copy_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Flight:
    """One asynchronous copy in one run of its computation; seconds from the beginning of that run.

    Attributes:
        key: the plan's copy, or the name of the instruction that starts it in a final text.
        kind: which queue it is in.
        computation: name.
        issued: when it joins its queue.
        begun: when its first byte moves: those before it in the queue have arrived, and there is bandwidth.
        arrived: when its last byte has.
        waited: when the computation first waits for it; None if it never does.
    """

    key: Hashable
    kind: CopyKind
    computation: str
    issued: float
    begun: float
    arrived: float
    waited: float | None


@dataclass(frozen=True)
class Replay:
    """A replayed schedule.

    Attributes:
        model: the cost model.
        total: seconds of one run of the program: the sum of runs * (seconds + stall) over the rows.
        stall: the part of it that waits for asynchronous copies.
        peak_fast: most bytes of fast memory occupied at one time, by tensors (those of one alias group count once) and
            by what instructions reserve.
        rows: in order of the schedule.
        missing: instructions of a final text for which the problem has no cost; they are costed by their bytes alone.
        flights: the copies, computation by computation, in order of their starts.
    """

    model: Model
    total: float
    stall: float
    peak_fast: int
    rows: tuple[Row, ...]
    missing: tuple[str, ...] = ()
    flights: tuple[Flight, ...] = ()
