"""A plan of the offload game: what each tensor does in each gap, and when copies start and are waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mallocgame.offload.problem import Move

Direction = Literal["to host", "from host"]


@dataclass(frozen=True, slots=True)
class HostCopy:
    """One asynchronous copy of a whole tensor.

    A copy to the host holds device memory up to the step before ``before``; one from the host from the step after
    ``after`` on. It may start when the tensor's copy to the host has been waited for: its ``after`` is not before
    the other's ``before``.

    Attributes:
        tensor: id.
        gap: index into the tensor's gaps.
        direction: which way.
        after: it is issued when this step has run.
        before: it is waited for before this step runs.
    """

    tensor: int
    gap: int
    direction: Direction
    after: int
    before: int


@dataclass(frozen=True, slots=True)
class Remake:
    """One recomputation.

    Attributes:
        tensor: id.
        before: it is made again just before this step runs, after that step's copies have been waited for; from
            then on it is in device memory.
    """

    tensor: int
    before: int


@dataclass(frozen=True)
class OffloadPlan:
    """Decisions for every gap of one problem.

    Attributes:
        fingerprint: of the problem that it is for.
        moves: for each tensor, its move in each of its gaps.
        copies: sorted by ``after``; each direction is a queue, first in first out, in this order. A tensor that has
            been copied to the host once is not copied there again.
        remakes: sorted by ``before``, then ``tensor``.
    """

    fingerprint: str
    moves: tuple[tuple[Move, ...], ...]
    copies: tuple[HostCopy, ...] = ()
    remakes: tuple[Remake, ...] = ()
