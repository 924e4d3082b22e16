"""Arrays in numpy's file format, read without trust: no pickle, no room made for more than there is."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][bifu][0-9]{1,2})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,12}, ?)*(?:[0-9]{1,12})?)\), \} *\n"
)


def array_of(data: bytes) -> npt.NDArray[Any]:
    """The array of booleans or numbers in a whole ``.npy`` text of format 1.0.

    Raises:
        ValueError: it is none.
    """
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("no array in numpy's format 1.0")
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(data[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(data[start:end])
    if header is None:
        raise ValueError("an array whose header is damaged, or is not of plain numbers")
    try:
        dtype = np.dtype(header[1].decode())
    except TypeError:
        raise ValueError(f"an array of the unknown type {header[1].decode()}") from None
    shape = tuple(int(length) for length in header[3].split(b",") if length.strip())
    if math.prod(shape) * dtype.itemsize != len(data) - end:
        raise ValueError("an array that is not as long as its header says")
    flat = np.frombuffer(data, dtype, offset=end)
    return flat.reshape(shape, order="F" if header[2] == b"True" else "C").copy()
