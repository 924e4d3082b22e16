"""The machine code as functions of Python."""

from __future__ import annotations

from ctypes import c_int64, c_void_p
from functools import cache
from typing import Any

import numpy as np

from mallocgame.packing.native.layout import Arrays, Indices, Ints
from mallocgame.system.object_code import ObjectCode

_CODE = ObjectCode("mallocgame.packing.native.entries", ("search", "first_fit"))


def table_of(arrays: Arrays) -> Ints:
    """Where the arrays are, as machine code takes it; they have to stay there."""
    return np.array([(array.ctypes.data, *array.shape) for array in arrays], np.int64)


def search(table: Ints, capacity: int, strategy: int) -> int:
    """Search from the start: ``EXHAUSTED``, ``FOUND`` (each block's offset is in its head) or ``STOPPED``.

    Args:
        table: of `table_of`.
        capacity: bytes.
        strategy: ``LOWEST`` or ``FEWEST``.
    """
    return int(_function("search", c_int64, c_void_p, c_int64, c_int64)(table.ctypes.data, capacity, strategy))


def first_fit(table: Ints, order: Indices, capacity: int) -> int:
    """First fit; the largest offset + size in bytes.

    Args:
        table: of `table_of`.
        order: ``[n]`` blocks, the fixed ones first.
        capacity: bytes; what would end above is left out (not ``PLACED``), unless it is fixed.
    """
    function = _function("first_fit", c_int64, c_void_p, c_void_p, c_int64)
    return int(function(table.ctypes.data, order.ctypes.data, capacity))


@cache
def _function(name: str, *types: Any) -> Any:
    return _CODE.function(name, *types)
