"""A user's program with named residuals: loaded from MODULE:FUNCTION, and lowered under a plan."""

from __future__ import annotations

from mallocgame.compiler.stages import lower
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.residuals import Build
from mallocgame.system.errors import BadInputError
from mallocgame.system.reference import named_by


def load_program(reference: str) -> Build:
    """The builder at ``MODULE:FUNCTION``.

    Raises:
        BadInputError: there is none.
    """
    try:
        found = named_by(reference)
    except BadInputError:
        raise
    except Exception as error:
        raise BadInputError(f"{reference}: cannot be loaded: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise BadInputError(f"{reference}: is no function")
    build: Build = found
    return build


def lower_program(build: Build, moves: NamedMoves, target: str) -> str:
    """StableHLO text of the program under a plan; without places of the source, so that equal programs are equal texts.

    Raises:
        BadInputError: it cannot be lowered.
    """
    try:
        step, arguments = build(moves.remat)
        return str(lower(step, arguments, {}, target).as_text())
    except Exception as error:
        raise BadInputError(f"the program cannot be lowered: {type(error).__name__}: {error}") from None
