"""Durations as people write them."""

from __future__ import annotations

import re

from mallocgame.system.errors import BadInputError

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smh]?)", re.ASCII)


def seconds_of(text: str, option: str) -> float:
    """Seconds of a duration like ``90``, ``90s``, ``10m`` or ``1.5h``.

    Args:
        text: as it was given.
        option: that it was given for.

    Raises:
        BadInputError: it is none, or 0.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if seconds == 0:
        raise BadInputError(f"{option} has to be a duration like 90s, 10m or 1h, not {text[:40]!r}")
    return seconds
