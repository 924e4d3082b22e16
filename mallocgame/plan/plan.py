"""A plan: which definitions and uses are in fast memory, at which address, and when copies start.

General enough to hold XLA's own placement (slices counted as their whole copy, evictions included). What the game can
produce and ``export`` can express is narrower: see ``mallocgame.game.rules``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CopyKind = Literal["prefetch", "eviction"]


@dataclass(frozen=True, slots=True, order=True)
class Stay:
    """One contiguous stay of a tensor in fast memory.

    Attributes:
        tensor: tensor id.
        start: first occupied time, inclusive. A produced tensor stays from its definition; a copied one from the
            instruction after the one that its copy starts after.
        end: last occupied time, inclusive.
        offset: bytes from the start of fast memory.
    """

    tensor: int
    start: int
    end: int
    offset: int


@dataclass(frozen=True, slots=True, order=True)
class Copy:
    """One asynchronous copy of a whole tensor.

    Attributes:
        tensor: tensor id.
        kind: ``"prefetch"`` (HBM -> fast) or ``"eviction"`` (fast -> HBM).
        after: the copy starts just after the instruction at this time (MSA's exclusive start, its ``logical_time``).
        before: it is waited for just before the instruction at this time.
    """

    tensor: int
    kind: CopyKind
    after: int
    before: int


@dataclass(frozen=True)
class Plan:
    """Decisions for every tensor of one problem; what is not listed is in HBM.

    Attributes:
        fingerprint: of the problem that it is for.
        fast_definitions: ids of the tensors that their defining instruction writes to fast memory.
        fast_uses: (tensor id, index into its uses) of the uses that read fast memory.
        stays: sorted.
        copies: sorted by ``after``, then ``tensor``; this is the order in which they queue.
        reach: for how long the compiler is to keep a fast copy for the next use, in copies of the whole fast memory
            (``mallocgame.plan.reach``); None for any time.
    """

    fingerprint: str
    fast_definitions: frozenset[int] = frozenset()
    fast_uses: frozenset[tuple[int, int]] = frozenset()
    stays: tuple[Stay, ...] = ()
    copies: tuple[Copy, ...] = ()
    reach: float | None = None
