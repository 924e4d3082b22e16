"""Reading JSON that nobody vouches for: every wrong type, missing key or odd number ends in one clear line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from mallocgame.system.errors import BadInputError
from mallocgame.system.files import read_bytes
from mallocgame.system.printable import one_line

MAX_INTEGER = 2**63 - 1
MAX_TEXT = 4096
Scalar = str | int | float | bool | None

T = TypeVar("T")
Decoder = Callable[[object, str], T]
"""Turns a JSON value into a T; the second argument says where it stands and begins the error message."""

_NAME = re.compile(r"[!#-\[\]-~]+")  # printable ASCII without space, double quote and backslash
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")


def read_json(path: str | os.PathLike[str], max_bytes: int) -> object:
    """The value in the file.

    Raises:
        BadInputError: it cannot be read, has more than ``max_bytes``, is not UTF-8 or not strict JSON (NaN, a
            repeated key, a number out of range and too deep nesting included).
    """
    return parse_json(read_bytes(path, max_bytes), str(path))


def parse_json(data: bytes, source: str) -> object:
    """The value of a JSON text.

    Raises:
        BadInputError: not UTF-8 or not strict JSON, as ``read_json`` has it; ``source`` begins the message.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        raise BadInputError(f"{source}: nested too deeply") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{source}: not UTF-8 text") from None
    except ValueError as error:
        raise BadInputError(f"{source}: not JSON: {one_line(error, 200)}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def bad(where: str, expected: str, value: object) -> BadInputError:
    """The error "``where``: expected ``expected``, found ..."."""
    text = repr(value)[:80] if isinstance(value, str | float | bool | None) else _kind(value)
    return BadInputError(f"{where}: expected {expected}, found {text}")


def _kind(value: object) -> str:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else "a huge number"
    return "a list" if isinstance(value, list) else "an object"


def natural(value: object, where: str) -> int:
    """An integer from 0 to 2^63 - 1."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER:
        return value
    raise bad(where, "an integer from 0 to 2^63-1", value)


def non_negative(value: object, where: str) -> float:
    """A number from 0 to 2^63 - 1, as a float."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER:
        return float(value)
    raise bad(where, "a number from 0 to 2^63-1", value)


def boolean(value: object, where: str) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise bad(where, "true or false", value)


def text(value: object, where: str) -> str:
    """At most 4096 characters on one line."""
    if isinstance(value, str) and len(value) <= MAX_TEXT and _TEXT.fullmatch(value):
        return value
    raise bad(where, f"a text of one line and at most {MAX_TEXT} characters", value)


def name(value: object, where: str) -> str:
    """1 to 4096 printable ASCII characters without space, double quote and backslash, as names in HLO texts are."""
    if isinstance(value, str) and len(value) <= MAX_TEXT and _NAME.fullmatch(value):
        return value
    raise bad(where, "a name of an HLO text", value)


def scalar(value: object, where: str) -> Scalar:
    """A text, a finite number, true, false or null."""
    if isinstance(value, str):
        return text(value, where)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return value
    if isinstance(value, float) and abs(value) != float("inf") and value == value:
        return value
    raise bad(where, "a text, a finite number, true, false or null", value)


def one_of(choices: tuple[str, ...]) -> Decoder[str]:
    """One of these texts."""

    def decode(value: object, where: str) -> str:
        if value in choices:
            return str(value)
        raise bad(where, " or ".join(map(repr, choices)), value)

    return decode


def optional(decode: Decoder[T]) -> Decoder[T | None]:
    """Null, or what ``decode`` takes."""
    return lambda value, where: None if value is None else decode(value, where)


def each(decode: Decoder[T]) -> Decoder[tuple[T, ...]]:
    """A list of what ``decode`` takes."""

    def decode_list(value: object, where: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise bad(where, "a list", value)
        return tuple(decode(item, f"{where}[{number}]") for number, item in enumerate(value))

    return decode_list


def mapping(decode: Decoder[T]) -> Decoder[dict[str, T]]:
    """An object with any keys, each with what ``decode`` takes."""

    def decode_object(value: object, where: str) -> dict[str, T]:
        if not isinstance(value, dict):
            raise bad(where, "an object", value)
        return {text(key, f"a key of {where}"): decode(item, f"{where}.{key}") for key, item in value.items()}

    return decode_object


def row(value: object, where: str, length: int) -> list[Any]:
    """A list of ``length`` values."""
    if isinstance(value, list) and len(value) == length:
        return value
    raise bad(where, f"a list of {length}", value)


def record(value: object, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """An object with exactly ``keys``."""
    if not isinstance(value, dict):
        raise bad(where, "an object", value)
    for key in keys:
        if key not in value:
            raise BadInputError(f"{where}: {key!r} is missing")
    for key in value:
        if key not in keys:
            raise BadInputError(f"{where}: unknown key {key[:80]!r}")
    return value
