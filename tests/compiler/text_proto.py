"""A small strict reader of protobuf text, written from the language's specification for these tests alone.

It shares nothing with the exporter: fields are ``name: scalar`` or ``name { ... }`` (``:`` optional), separated by
white space or one comma or semicolon;
``name: [{ ... }, { ... }]`` is a field that repeats.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<number>-?\d+)(?![A-Za-z_])|(?P<string>"[^"\\\n]*")|(?P<mark>[{}\[\]:,;]))"""
)


def parse(text: str) -> dict[str, list[Any]]:
    """Field name -> values in order; messages are dicts like this. Raises ValueError where the text is not valid."""
    tokens = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"no token at {place}: {text[place : place + 20]!r}")
        tokens.append((found.lastgroup, found[found.lastgroup or 0]))
        place = found.end()
    message, rest = _message(tokens, 0, closed=False)
    assert rest == len(tokens)
    return message


def _message(tokens: list[tuple[str | None, str]], place: int, closed: bool) -> tuple[dict[str, list[Any]], int]:
    message: dict[str, list[Any]] = {}
    while True:
        if place == len(tokens):
            if closed:
                raise ValueError("a message is not closed")
            return message, place
        kind, word = tokens[place]
        if word == "}" and closed:
            return message, place + 1
        if kind != "name":
            raise ValueError(f"a field name was expected, not {word!r}")
        place += 1
        if place < len(tokens) and tokens[place][1] == ":":
            place += 1
        if place == len(tokens):
            raise ValueError("a value is missing")
        kind, value = tokens[place]
        if value == "{":
            inner, place = _message(tokens, place + 1, closed=True)
            message.setdefault(word, []).append(inner)
        elif value == "[":
            inners, place = _list(tokens, place + 1)
            message.setdefault(word, []).extend(inners)
        elif kind in ("name", "number", "string"):
            message.setdefault(word, []).append(_scalar(kind, value))
            place += 1
        else:
            raise ValueError(f"a value was expected, not {value!r}")
        if place < len(tokens) and tokens[place][1] in (",", ";"):
            place += 1


def _list(tokens: list[tuple[str | None, str]], place: int) -> tuple[list[dict[str, list[Any]]], int]:
    """Messages in brackets, with a comma between any two."""
    messages = []
    while True:
        if place == len(tokens) or tokens[place][1] != "{":
            raise ValueError("a message was expected")
        message, place = _message(tokens, place + 1, closed=True)
        messages.append(message)
        if place == len(tokens) or tokens[place][1] not in (",", "]"):
            raise ValueError("a list is not closed")
        if tokens[place][1] == "]":
            return messages, place + 1
        place += 1


def _scalar(kind: str, value: str) -> Any:
    if kind == "number":
        return int(value)
    if kind == "string":
        return value[1:-1]
    return {"true": True, "false": False}.get(value, value)
