"""The ``, name=value, name=value`` after an instruction's operands and in the module header."""

from __future__ import annotations

import re
from collections.abc import Mapping

from xla_dump_parser.brackets import BracketError, find_top_level

CALLS = frozenset(
    {
        "calls", "to_apply", "condition", "body", "true_computation", "false_computation", "branch_computations",
        "called_computations", "select", "scatter", "comparator", "reduction_function",
    }
)  # fmt: skip
"""Names of the attributes whose value is one computation or ``{...}`` of several."""

_GAP = r"(?>(?:[ \t\r\n]|//[^\n]*+|/\*.*?\*/)*)"
_NAME = re.compile(rf"{_GAP},{_GAP}([A-Za-z_][\w.\-]*)=", re.ASCII | re.DOTALL)
_BLANK = re.compile(_GAP, re.DOTALL)
_STRING = r'"(?>(?:[^"\\]|\\.)*)"'
_PLAIN_VALUE = re.compile(
    rf'(?:[^,"()\[\]{{}}\s]++|{_STRING}|\{{[^"(){{}}\[\]]*+(?:{_STRING}[^"(){{}}\[\]]*+)*\}})(?={_GAP}(?:,|\Z))',
    re.DOTALL,
)
_COMMA = re.compile(rf"{_GAP},", re.DOTALL)
_AFTER_JSON = re.compile(r"\}\s*,\s*[A-Za-z_][\w.\-]*=", re.ASCII)


def read_attributes(text: str, position: int, end: int) -> dict[str, str]:
    """Raw values by name, in the order written, of ``text[position:end]``: ``, name=value, name=value`` or blank.

    Raises:
        BracketError: not a list of attributes, or one name twice.
    """
    found: dict[str, str] = {}
    while True:
        name = _NAME.match(text, position, end)
        if name is None:
            break
        key = name[1]
        if key in found:
            raise BracketError(name.start(1), f"attribute {key!r} appears twice")
        start = name.end()
        position = _value_end(key, text, start, end)
        if position == start:
            raise BracketError(start, f"attribute {key!r} has no value")
        found[key] = text[start:position]
    blank = _BLANK.match(text, position, end)
    if blank is not None and blank.end() != end:
        raise BracketError(blank.end(), "expected ', name=value' after the operands")
    return found


def attributes_end(text: str, position: int, end: int) -> int:
    """Where the attributes that follow ``position`` end: at the first line end that is in no bracket, string or comment
    and has no comma or ``=`` before it and no comma after it; ``end`` if there is none.

    Raises:
        BracketError: brackets or strings that do not match.
    """
    while True:
        stop = find_top_level(text, position, end, "\n")
        if stop == end:
            return end
        if not text[position:stop].rstrip(" \t").endswith((",", "=")) and _COMMA.match(text, stop, end) is None:
            return stop
        position = stop + 1


def called_names(attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the computations that the attributes call, in the order written."""
    names: list[str] = []
    for key, value in attributes.items():
        if key in CALLS:
            listed = value[1:-1].split(",") if value.startswith("{") else (value,)
            names += [name.strip().removeprefix("%") for name in listed if name.strip()]
    return tuple(names)


def _value_end(key: str, text: str, start: int, end: int) -> int:
    if key == "backend_config" and text.startswith("{", start):
        # XLA writes this JSON last, without blanks: what follows it can be told from it, so no need to read it.
        last = end
        while last > start and text[last - 1] in " \t\r\n":
            last -= 1
        if text[last - 1] == "}" and _AFTER_JSON.search(text, start, last) is None:
            return last
    plain = _PLAIN_VALUE.match(text, start, end)
    if plain is not None:
        return plain.end()
    if not text.startswith("{", start):
        return find_top_level(text, start, end, ",")
    closing = find_top_level(text, start + 1, end, "}")
    if closing == end:
        raise BracketError(start, "no '}' for this bracket; is the text cut off?")
    return closing + 1
