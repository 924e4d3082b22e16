"""How the functions of this folder are compiled: for each other alone; what Python calls is in ``entries.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def inner(function: Function) -> Function:
    """``function`` for functions that are compiled, with division as numpy has it."""
    decorate: Any = njit
    compiled: Function = decorate(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return compiled
