"""Lowered modules: StableHLO text, from a file or from a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mallocgame.system.errors import BadInputError, CompilerRefusedError


def is_lowered_module(reference: str) -> bool:
    """Whether a reference is the path of a saved lowered module rather than MODULE:FUNCTION."""
    return reference.endswith(".mlir")


def read_lowered(path: str) -> str:
    """StableHLO text of a file.

    Raises:
        BadInputError: it cannot be read.
    """
    from xla_dump_parser import ParseError, read_text

    try:
        return read_text(path)
    except ParseError as error:
        raise BadInputError(str(error)) from None


def lowered_from(function: Callable[..., Any], args: tuple[Any, ...] | None) -> str:
    """StableHLO text of a function, lowered in this process.

    Args:
        function: what ``jax.jit`` takes.
        args: its abstract arguments.

    Raises:
        BadInputError: there are no arguments, or it cannot be lowered.
        CompilerRefusedError: JAX is missing.
    """
    from mallocgame.compiler.child_main import lower

    if not isinstance(args, tuple | list):
        raise BadInputError("a function needs a tuple of abstract arguments beside it")
    try:
        return lower(function, args)
    except ImportError as error:
        raise CompilerRefusedError(f"JAX cannot be imported ({error}); install the tpu extra") from None
    except Exception as error:
        raise BadInputError(f"the function cannot be lowered: {type(error).__name__}: {error}") from None
