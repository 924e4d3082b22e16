"""Functions as machine code by numba, kept beside their source file or in the user's cache folder where one can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def machine_code(function: Function, **options: bool) -> Function:
    """``function`` compiled at its first call: without the interpreter's lock, division as numpy has it.

    On a read-only disk without a home there is no place to keep it: then each process compiles anew.

    Args:
        function: in the part of Python that numba takes.
        options: of numba's ``njit``, beyond these.
    """
    decorate: Any = njit
    chosen = {"nogil": True, "error_model": "numpy", **options}
    try:
        native: Function = decorate(cache=True, **chosen)(function)
    except RuntimeError:  # "no locator available"
        native = decorate(**chosen)(function)
    return native
