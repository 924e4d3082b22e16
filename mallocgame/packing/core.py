"""Which buffers are in the way where nothing fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

from mallocgame.packing.block import blocks_of
from mallocgame.packing.buffer import Buffer, Core, Packing
from mallocgame.packing.pack import check_time_limit, decide
from mallocgame.packing.state import peak

NODES = 20_000
"""Of the exact search for each set of buffers, and twice those that proved the whole."""

Fits = Callable[[Sequence[int]], bool | None]
"""Whether those of these indices fit; None: not known."""


def find_core(buffers: Sequence[Buffer], packing: Packing, *, time_limit: float = 60.0, seed: int = 0) -> Core | None:
    """A small set of the buffers that is proven not to fit; Ctrl-C ends the search as the time limit does.

    It begins with what is live at once, if that is too much; else with all, if they are proven not to fit; else with
    what is live around the time of the largest load. Then buffers are left out as long as the rest is proven not to
    fit (a deletion filter: J. W. Chinneck and E. W. Dravnieks, ORSA Journal on Computing 3, 1991), many at once first.

    Args:
        buffers: what was to be packed.
        packing: the answer of `pack` for them, without offsets.
        time_limit: seconds.
        seed: of the exact search.

    Returns:
        None if no set was proven not to fit.

    Raises:
        BadInputError: the time limit is out of range.
    """
    check_time_limit(time_limit)
    deadline = monotonic() + time_limit
    limit = NODES + 2 * packing.nodes

    def fits(members: Sequence[int]) -> bool | None:
        if monotonic() >= deadline:
            return None
        blocks = blocks_of([buffers[index] for index in members])
        status = decide(blocks, packing.capacity, deadline, seed, limit).status
        return None if status == "time limit" else status == "feasible"

    members: list[int] = []
    minimal = False
    with suppress(KeyboardInterrupt):
        members.extend(_start(buffers, packing, fits))
        minimal = shrink(members, fits, [buffer.size for buffer in buffers])
    return Core(tuple(buffers[index].id for index in sorted(members)), minimal) if members else None


def shrink(members: list[int], fits: Fits, sizes: Sequence[int]) -> bool:
    """Leave out what is not needed for a proof that the members do not fit.

    Args:
        members: indices; proven not to fit. What is not needed is taken out of the list.
        fits: the proof.
        sizes: by index; the smallest are left out first.

    Returns:
        Whether without any one of them the others fit.
    """
    step = len(members) // 2
    while step > 1:
        for group in [set(members[place : place + step]) for place in range(0, len(members), step)]:
            rest = [index for index in members if index not in group]
            if fits(rest) is False:
                members[:] = rest
        step //= 2
    needed = 0
    for index in sorted(members, key=lambda index: sizes[index]):
        rest = [other for other in members if other != index]
        verdict = fits(rest)
        if verdict is False:
            members[:] = rest
        needed += verdict is True
    return needed == len(members)


def _start(buffers: Sequence[Buffer], packing: Packing, fits: Fits) -> Sequence[int]:
    """A set that is proven not to fit, as indices in order of time; empty if there is no proof."""
    blocks = blocks_of(buffers)
    for block in blocks:
        if (block.fixed or 0) + block.size > packing.capacity:
            return block.members
    in_order = sorted(range(len(buffers)), key=lambda index: (buffers[index].lower, index))
    top = peak(blocks)
    if top.load > packing.capacity:
        members = {member for index in top.blocks for member in blocks[index].members}
        return [index for index in in_order if index in members]
    if packing.status == "infeasible":
        return in_order
    reach, tried = 1, 0
    while tried < len(buffers):
        near = [k for k in in_order if buffers[k].lower < top.time + reach and buffers[k].upper > top.time - reach]
        if tried < len(near) < len(buffers) and fits(near) is False:
            return near
        reach, tried = 2 * reach, len(near)
    return ()
