"""What of a lowered module decides how it compiles: its text without the places of the source."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from mallocgame.compiler.devices import devices_of

_STRING = r'"(?:[^"\\]|\\.)*"'
_ALIAS = re.compile(r"^#(loc\d*) = loc\((.*)\)$\n?", re.MULTILINE)
_PLACE = re.compile(rf"{_STRING}:\d")
_NAME = re.compile(rf"({_STRING})(?:\(.*\))?")
_CALL = re.compile(r"callsite\(#(loc\d*) at .*\)")
_USED = re.compile(rf"loc\((?:#(loc\d*)|({_STRING})\(#loc\d*\))\)")
_ANYWHERE = r"sdy\.sharding = #sdy\.sharding<@empty_mesh, \[[{}?, ]*\]>"
_ON_ONE = re.compile(rf" \{{{_ANYWHERE}\}}|, {_ANYWHERE}|{_ANYWHERE}, |^ *sdy\.mesh @empty_mesh = .*\n", re.MULTILINE)
"""What a described device adds to the module of a program for one device; an array's own device does not."""


def digest(lowered: str) -> str:
    """64 hex digits over a lowered module.

    Names of arguments and operations count, for the compiler names instructions after them; files, lines and the
    functions that called do not, and neither does how the device of a program for one device is said.

    Args:
        lowered: StableHLO text, with debug information or without.
    """
    names = _names(lowered)

    def used(found: re.Match[str]) -> str:
        return f"loc({found[2] or names.get(found[1], found[1])})"

    text = _USED.sub(used, _ALIAS.sub("", lowered))
    if devices_of(lowered) == 1:
        text = _ON_ONE.sub("", text)
    return hashlib.sha256(text.encode()).hexdigest()


def _names(lowered: str) -> Mapping[str, str]:
    """What each location's alias names; empty for a mere place in a file, its own text where it is of another kind."""
    names: dict[str, str] = {}
    calls: dict[str, str] = {}
    for alias, text in _ALIAS.findall(lowered):
        name, call = _NAME.fullmatch(text), _CALL.fullmatch(text)
        if call is not None:
            calls[alias] = call[1]
        else:
            names[alias] = "" if _PLACE.match(text) else name[1] if name else text
    for alias, callee in calls.items():
        seen = {alias}
        while callee in calls and callee not in seen:
            seen.add(callee)
            callee = calls[callee]
        names[alias] = names.get(callee, "")
    return names
