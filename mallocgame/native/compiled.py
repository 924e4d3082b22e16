"""How the functions of this package are compiled.

numba keeps the machine code beside the source file of each function and looks at that file alone: after a change in one
file of this package delete ``mallocgame/native/__pycache__``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_decorate: Any = njit


def compiled(function: Function) -> Function:
    """Native code that Python may call."""
    native: Function = _decorate(cache=True, nogil=True, error_model="numpy")(function)
    return native


def inner(function: Function) -> Function:
    """Native code for native code alone: it compiles in half the time."""
    native: Function = _decorate(
        cache=True, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
    )(function)
    return native
