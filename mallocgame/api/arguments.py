"""What the arguments of several functions have in common."""

from __future__ import annotations

import math
import os

from mallocgame.system.errors import BadInputError

PathLike = str | os.PathLike[str]


def check_time_limit(seconds: float, what: str = "time limit") -> None:
    """Refuse what is no positive number of seconds."""
    if not (math.isfinite(seconds) and seconds > 0):
        raise BadInputError(f"the {what} has to be a positive number of seconds, not {seconds}")
