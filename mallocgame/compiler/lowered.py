"""Saved lowered modules: StableHLO text."""

from __future__ import annotations

from mallocgame.system.errors import BadInputError


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
