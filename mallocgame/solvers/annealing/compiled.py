"""How the functions of this package are compiled.

numba keeps the machine code beside the source file of each function and looks at that file alone: after a change in one
file of this package delete ``mallocgame/solvers/annealing/__pycache__``.
"""

from __future__ import annotations

from mallocgame.system.machine_code import Function, machine_code


def compiled(function: Function) -> Function:
    """Native code that Python may call."""
    return machine_code(function)


def inner(function: Function) -> Function:
    """Native code for native code alone: it compiles in half the time."""
    return machine_code(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)
