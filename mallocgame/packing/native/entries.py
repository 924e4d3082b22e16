"""What Python calls, as C functions. Only the compiler of `mallocgame.packing.native.calls` imports this."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

from mallocgame.packing.native import first_fit as fit
from mallocgame.packing.native import search as exact
from mallocgame.packing.native.compiled import inner
from mallocgame.packing.native.layout import Arrays

nb: Any = numba
INT = nb.types.int64
TABLE = nb.types.CPointer(INT)
"""Address, rows and columns of each array, in the order of `Arrays`."""
INDICES = nb.types.CPointer(nb.types.uint32)


def _pointer_type(_typing: Any, address: Any) -> Any:
    """How numba makes a pointer of an address."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(nb.types.voidptr))

    return nb.types.voidptr(address), generate


_pointer: Any = intrinsic(_pointer_type)


@inner
def _ints(row: Any) -> Any:
    return nb.carray(_pointer(row[0]), (row[1], row[2]), np.int64)


@inner
def _indices(row: Any) -> Any:
    return nb.carray(_pointer(row[0]), (row[1], row[2]), np.uint32)


@inner
def _arrays(table: Any) -> Any:
    rows = nb.carray(table, (15, 3))
    return Arrays(
        _ints(rows[0]),
        _indices(rows[1]),
        _indices(rows[2]),
        _ints(rows[3]),
        _indices(rows[4]),
        _ints(rows[5]),
        _ints(rows[6]),
        _ints(rows[7]),
        _indices(rows[8]),
        _ints(rows[9]),
        _indices(rows[10]),
        _ints(rows[11]),
        _ints(rows[12]),
        nb.carray(_pointer(rows[13, 0]), (rows[13, 1], rows[13, 2]), np.uint64),
        _ints(rows[14]),
    )


@nb.cfunc(INT(TABLE, INT, INT), error_model="numpy")  # type: ignore[untyped-decorator]
def search(table: Any, capacity: int, strategy: int) -> int:
    """`exact.search` from a cleared state."""
    a = _arrays(table)
    exact.clear(a)
    return exact.search(a, capacity, strategy)


@nb.cfunc(INT(TABLE, INDICES, INT), error_model="numpy")  # type: ignore[untyped-decorator]
def first_fit(table: Any, order: Any, capacity: int) -> int:
    """`fit.first_fit`."""
    a = _arrays(table)
    return fit.first_fit(a, nb.carray(order, (1, a.items.shape[1])), capacity)
