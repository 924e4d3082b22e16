"""A user's program with named residuals: loaded from MODULE:FUNCTION, and lowered under a plan."""

from __future__ import annotations

import importlib
import os
import sys

from mallocgame.compiler.child_main import lower
from mallocgame.errors import BadInputError
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.residuals import Build


def load_program(reference: str) -> Build:
    """The builder at ``MODULE:FUNCTION``; the current folder is looked in too.

    Raises:
        BadInputError: there is none.
    """
    module, _, attribute = reference.partition(":")
    if not module or not attribute:
        raise BadInputError(f"{reference!r} is not MODULE:FUNCTION")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise BadInputError(f"{reference}: cannot be loaded: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise BadInputError(f"{reference}: is no function")
    build: Build = found
    return build


def lower_program(build: Build, moves: NamedMoves) -> str:
    """StableHLO text of the program under a plan, for a TPU; without places of the source, so that equal programs are
    equal texts.

    Raises:
        BadInputError: it cannot be lowered.
    """
    try:
        step, arguments = build(moves.remat)
        return lower(step, arguments, debug_info=False)
    except Exception as error:
        raise BadInputError(f"the program cannot be lowered: {type(error).__name__}: {error}") from None
