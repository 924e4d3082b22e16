"""What the machine code and Python agree on: the arrays of a search, their rows, and the codes.

All that indexes is unsigned: numba then checks for no negative indices, and loops become vector instructions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Indices = npt.NDArray[np.uint32]

ZERO: Any = np.int64(0)
"""For arguments: numba compiles a function once more for each literal that it is given."""
EXHAUSTED, FOUND, STOPPED = 0, 1, 2
"""How a search ends: there is no solution, there is one, not known."""
LOWEST, FEWEST = 0, 1
"""Where the search goes on: at the lowest head, or in the section where the fewest blocks can be the lowest."""
NODES, LIMIT, RAISED, ORDER, STOP = range(5)
"""The counters: nodes so far, how many are allowed, lengths of the two trails, 1 to stop from another thread."""
COUNTERS = 5

SIZE, ALIGNMENT, FIXED, PRIORITY, HEAD, BOUND, BLOCKED, PLACED = range(8)
"""Rows of `Arrays.blocks`: bytes of its largest buffer; bytes; its only offset, or -1; larger goes first among equals;
the lowest offset above all its placed neighbours, and its offset once it is placed; no offset below this can be part of
a solution from here; 1: it is not at its head, a neighbour that is placed later has to raise it; 1 once it is."""
BLOCK_ROWS = 8
NEIGHBOURS, RUNS, OBSTACLES = range(3)
"""Rows of `Arrays.starts`: where the neighbours, runs and obstacles of each block begin."""
BELOW, ABOVE = 0, 1
"""Rows of `Arrays.rooms`: bytes from a block's offset to that of the neighbour, if the neighbour is above it; and from
the neighbour's to that of the block, if it is below."""
FIRST, END = 0, 1
"""Rows of `Arrays.spans`: the first section of a run, and the first after it."""
LOAD, FLOOR, SCORE, BEGIN = range(4)
"""Rows of `Arrays.sections`: bytes of its blocks that are not placed; the lowest bound among those; how soon the search
goes on here, smaller first; used while splitting into components."""
SECTION_ROWS = 4
LOW, HIGH, NEXT, RAISED_BEFORE, ORDER_BEFORE, CHOICE, KEY = range(7)
"""Rows of `Arrays.frames`: the node's blocks are ``items[LOW:HIGH]``; the start of the next component to be solved; the
lengths of the two trails when the node began, and of the first one when it chose; the hash of its state."""
FRAME_ROWS = 7


class Arrays(NamedTuple):
    """A search of ``n`` blocks that are live in sections.

    A *section* is a set of blocks of which no two may share a byte, and part of no larger such set. A *run* is a range
    of sections, in order of time, in which a block has one size.
    """

    blocks: Ints
    """``[BLOCK_ROWS, n + 1]``."""
    starts: Indices
    """``[3, n + 1]``."""
    neighbours: Indices
    """``[1, edges]``: the blocks that share a section with each."""
    rooms: Ints
    """``[2, edges]``, beside ``neighbours``."""
    spans: Indices
    """``[2, runs]``."""
    sizes: Ints
    """``[1, runs]``: bytes, beside ``spans``."""
    obstacles: Ints
    """``[3, obstacles]``: of each fixed neighbour, by offset: its offset, the first that is free above it, and the
    bytes that have to be free below it."""
    sections: Ints
    """``[SECTION_ROWS, sections]``."""
    items: Indices
    """``[1, n]``: blocks; each node owns a slice."""
    component: Ints
    """``[1, n]``, beside ``items``."""
    order: Indices
    """``[1, n]``: blocks in the order in which they were placed."""
    frames: Ints
    """``[FRAME_ROWS, n + 1]``: the path of nodes."""
    raised: Ints
    """``[3, ...]``: trail of (block, head, blocked) before each change."""
    table: npt.NDArray[np.uint64]
    """``[1, a power of 2]``: hashes of states that have no solution within the capacity."""
    counters: Ints
    """``[1, COUNTERS]``."""
