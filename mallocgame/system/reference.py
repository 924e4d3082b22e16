"""What a user's ``MODULE:ATTRIBUTE`` names."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from mallocgame.system.errors import BadInputError


def named_by(reference: str) -> Any:
    """What ``MODULE:ATTRIBUTE`` names, once the module is imported; the current folder is looked in too.

    Errors of the user's code come as they are.

    Raises:
        BadInputError: the reference is not of this form.
    """
    module, _, attribute = reference.partition(":")
    if not module or not attribute:
        raise BadInputError(f"{reference!r} is not MODULE:FUNCTION")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found
