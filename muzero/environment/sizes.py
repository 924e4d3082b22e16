"""How large the arrays of a problem are: a few size classes, so that one compiled step serves many problems."""

from __future__ import annotations

from typing import NamedTuple


class SizeClass(NamedTuple):
    """Padded lengths; a function of the environment compiles once for each of these.

    Attributes:
        uses: the class's name: it is made for programs of at most about this many uses.
        times: instructions of the flattened schedule.
        sites: questions of the game.
        rows: stays that can be in fast memory over a whole episode, with what instructions reserve.
        copies: copies that can be queued: copyable servings and evictions.
        changes: traffic that servings change beside that of the use that is asked about.
        carried: stays that servings bring with them (``Program.tails``).
        relations: outputs that a use which has to stay in HBM may keep there too (keep rule).
        computations: of the program; loop bodies, loop conditions, branches and called ones.
    """

    uses: int
    times: int
    sites: int
    rows: int
    copies: int
    changes: int
    carried: int
    relations: int
    computations: int


SPANS = 5
"""Intervals of times that one search for a gap covers at most."""


def _of_uses(uses: int) -> SizeClass:
    return SizeClass(
        uses=uses,
        times=uses * 5 // 4 + 16,
        sites=uses * 13 // 8 + 16,
        rows=uses * 17 // 16,
        copies=uses,
        changes=uses // 2,
        carried=uses // 4,
        relations=uses // 2,
        computations=uses // 8 + 8,
    )


SIZE_CLASSES = tuple(map(_of_uses, (64, 256, 1024, 4096, 16384)))
"""From small to large."""
