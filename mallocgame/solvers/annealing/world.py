"""A problem and a plan under change as record arrays for native code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

IN_HBM, PINNED, FETCHED = 0, 1, 2
"""What a plan does with a group."""

UNSERVED, STAYS, MADE = -1, -2, -3
"""What a plan does with a serving, where it is not the slot after which its copy starts. MADE: the first of a product,
which is made in fast memory and evicted after the last of the servings that stay with this one."""

ELAPSED, IDLE, DRAINED, STALL, INCOMING, OUTGOING = range(6)
"""What is kept for each model and slot, in seconds: how long the instruction runs, the HBM time that it leaves idle,
what of that copies take, the wait before it, and what is queued in each direction after it."""

TOTAL, LEFT = 0, 1
"""What is kept for each model and computation, for one run, in seconds: its time, and HBM time that nothing took."""


def _fields(**kinds: str) -> np.dtype[np.void]:
    """A record type: for each kind of number the names of its fields."""
    types = {"ints": np.int64, "floats": np.float64, "flags": np.bool_}
    return np.dtype([(name, types[kind]) for kind, names in kinds.items() for name in names.split()], align=True)


SLOT = _fields(
    ints="time computation child_first child_end site_first site_end seen_first seen_end starts_in starts_out due "
    "mask alike_first alike_end",
    floats="compute total_bytes floor demand_in demand_out",
    flags="free dirty requeued",
)
"""An instruction. ``child_*``: what it calls, in ``links``. ``seen_*``: its observations. ``floor``: in cycles.
``starts_*``: the first copy that starts after it, by direction, -1 for none; ``demand_*``: seconds of all of them.
``due``: the first copy that it waits for. ``mask``: its place among ``masks``; ``alike_*``: the places of all
that look like it. ``requeued``: other copies start after it than when it was last simulated."""

COMPUTATION = _fields(ints="slot_first slot_end caller", floats="trips", flags="branch")
"""``caller``: slot, -1 for the entry. ``branch``: only the slowest of its caller's branches counts."""

SITE = _fields(ints="slot", floats="bytes weight", flags="writes fast")
"""A use or (``writes``) a definition; ``weight``: cycles saved by being fast, in model E's table."""

SEEN = _fields(ints="mask", floats="cycles")
"""An observation of model E's table."""

TENSOR = _fields(ints="site use_first use_end group serving_first serving_end", flags="produced")
"""``site``: its definition's."""

USE = _fields(ints="site tensor kept_first kept_end", flags="served far")
"""``kept_*``: groups, in ``links``, that are in HBM if the compiler is told to keep this use there. ``served``: whether
a serving has it. ``far``: as of its serving."""

GROUP = _fields(
    ints="size fetched fetched_size member_first member_end span_first span_end tail_first tail_end tail_span_first "
    "tail_span_end keeper_first keeper_end evicted_after evicted_before wait kind kind_old place",
    floats="saving",
    flags="pinnable changed",
)
"""``size``: aligned bytes of the largest tensor. ``fetched``: a tensor that prefetches may serve, or -1;
``fetched_size``: its aligned bytes. ``member_*``: tensors in ``links``.
``tail_*``: what is fast, too, where a serving that carries is: tensors in ``links``, and their spans. ``keeper_*``:
uses, in ``links``, that have it in their ``kept`` list. ``evicted_*``: slots between which what is pinned or carried is
evicted, or -1. ``wait``: slot that waits for the eviction of a product, if no use is in the way, or -1. ``saving``:
seconds that it may save, roughly. ``place``: its place among the residents, or -1."""

SPAN = _fields(ints="start end")
"""Closed interval of times that a pinned group, or the tail of one, occupies."""

SERVING = _fields(ints="low high before earliest latest plan plan_old", flags="carries far")
"""``low``, ``high``: its uses. ``before``: the slot that waits for its copy. ``earliest``, ``latest``: slots after
which the copy may start, -1 where none can; ``earliest`` is MADE where it may be MADE. ``plan``: slot after which it
starts, MADE, STAYS or UNSERVED.
``carries``: its last use updates the tensor in place, and the group's tail is fast with it. ``far``: it is beyond the
reach of the use before, or of the definition (``mallocgame.plan.reach``)."""

COPY = _fields(ints="key after next_start next_due", floats="demand", flags="eviction")
"""The copy that a serving waits for, or (after those) the eviction of a group. ``key``: tensor, by which copies of one
start queue. ``after``: slot, -1 if the plan does not have it. ``next_*``: linked lists. ``demand``: seconds."""

CHANGE = _fields(ints="at", floats="old")
"""An entry of the journal of ``values`` and ``sums``."""

SCALARS = _fields(
    ints="capacity dirty journal changed residents random evictions kernels",
    floats="hbm_rate read_rate write_rate cycle",
    flags="journal_lost with_m with_e",
)
"""Bytes of fast memory; how many entries of ``dirty``, ``journal``, ``changed`` and ``residents`` count; state of the
random numbers; number of the first eviction among the copies; different
kernels, which are what looks alike and has the same mask; bytes/second; seconds of a cycle; whether the journal was
too short; which models are simulated."""


class World(NamedTuple):
    """Everything that native code reads and writes.

    A *slot* is an instruction's number when computations are laid out one after the other, the deepest first, so every
    callee comes before its caller and the entry last. All intervals ``*_first`` to ``*_end`` are half-open.

    Attributes:
        slots: SLOT ``[N]``.
        slot_of: ``[N]`` slot of each time of the problem.
        used: ``[N]`` bytes of fast memory taken at each time, those that instructions reserve included.
        computations: COMPUTATION ``[C]``.
        sites: SITE ``[S]``; of a slot its uses, then its definitions.
        seen: SEEN ``[O]``.
        tensors: TENSOR.
        uses: USE.
        groups: GROUP ``[G]``.
        spans: SPAN.
        servings: SERVING ``[V]``.
        copies: COPY ``[V + G]``.
        links: all lists, one after the other.
        dirty: ``[N]`` slots to be simulated again.
        changed: ``[G]`` groups changed since the last commit.
        residents: ``[G]`` groups in fast memory.
        values: ``[2, N, 6]`` seconds by model (0 M, 1 E), slot and field.
        sums: ``[2, 2, C]`` seconds by model, TOTAL or LEFT, and computation.
        journal: CHANGE: what ``values`` and then ``sums`` (both flat) were before the changes since the last commit.
        scalars: SCALARS ``[1]``.
        masks: ``[N]`` which sites of a slot are fast, a bit each as in model E's table; those that look alike together.
    """

    slots: Records
    slot_of: Ints
    used: Ints
    computations: Records
    sites: Records
    seen: Records
    tensors: Records
    uses: Records
    groups: Records
    spans: Records
    servings: Records
    copies: Records
    links: Ints
    dirty: Ints
    changed: Ints
    residents: Ints
    values: Floats
    sums: Floats
    journal: Records
    scalars: Records
    masks: Ints
