"""What the arguments of several functions have in common."""

from __future__ import annotations

import math
import os

from mallocgame.system.errors import BadInputError

PathLike = str | os.PathLike[str]


def check_time_limit(time_limit: float) -> None:
    """Refuse what is no positive number of seconds."""
    if not (math.isfinite(time_limit) and time_limit > 0):
        raise BadInputError(f"the time limit has to be a positive number of seconds, not {time_limit}")
