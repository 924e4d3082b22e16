"""Text protos of the compiler's overrides; nothing in an HLO file can break out of them.

Names are matched by regular expressions (RE2, full match) inside quoted strings. A backslash would need escaping twice
and a wrong one makes the compiler ignore the whole text in silence, so none is ever written: a character that is not
plain goes into a class of its own (``[.]``), and a name with a character that this cannot express is refused. There is
no white space either: libtpu splits ``LIBTPU_INIT_ARGS`` at it and knows no quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mallocgame.problem.schema import ShapeIndex
from mallocgame.system.errors import BadInputError

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_CLASSED = frozenset(".+*?(){}|$,:;<>=!@#%&/~")
_MAX_NAME = 10_000
_MAX_REGEX = 6_000
"""Characters of one alternation; RE2 refuses programs that are too large, in silence."""


def name_regex(name: str) -> str:
    """A regular expression that matches ``name`` and nothing else.

    Raises:
        BadInputError: the name is empty, too long, or has a character that cannot be written safely.
    """
    if not name or len(name) > _MAX_NAME:
        raise BadInputError(f"an instruction name of {len(name)} characters cannot be exported")
    parts = []
    for character in name:
        if character in _PLAIN:
            parts.append(character)
        elif character in _CLASSED:
            parts.append(f"[{character}]")
        else:
            raise BadInputError(f"the instruction name {name[:100]!r} cannot be exported: it has {character!r}")
    return "".join(parts)


def alternations(names: Iterable[str]) -> Iterator[str]:
    """Regular expressions of bounded length that together match exactly ``names``, each once, in order."""
    parts: list[str] = []
    length = 0
    for name in dict.fromkeys(names):
        regex = name_regex(name)
        if parts and length + len(regex) > _MAX_REGEX:
            yield "|".join(parts)
            parts, length = [], 0
        parts.append(regex)
        length += len(regex) + 1
    if parts:
        yield "|".join(parts)


def tuple_index(index: ShapeIndex) -> str:
    """The filter field that asks for exactly this tuple index; also for ``()``."""
    return "tuple_index{" + ",".join(f"index:{_number(part)}" for part in index) + "}"


def position(regex: str, index: ShapeIndex) -> str:
    """A matcher of values by their defining instruction and tuple index."""
    return f'hlo_position_matcher{{instruction_name_regex:"{regex}",{tuple_index(index)}}}'


def use(instruction: str, operand: int, index: ShapeIndex, size: int | None = None) -> str:
    """A filter of one use, and of outputs of that instruction of the same tuple index.

    ``size`` (padded bytes) leaves out outputs of another size.
    """
    name = f'instruction_name_regex:"{name_regex(instruction)}",operand_number:{_number(operand)}'
    sizes = "" if size is None else f",size_gte:{_number(size)},size_lte:{_number(size)}"
    return f"hlo_operand_filter{{{name},{tuple_index(index)}{sizes}}}"


def override(matcher: str, action: str) -> str:
    """One entry of an override list."""
    return f"overrides{{{matcher},{action}}}"


def join(overrides: Sequence[str]) -> str:
    """The value of an override option."""
    return ",".join(overrides)


def _number(value: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise BadInputError(f"{value!r} is not a number that can be exported")
    return str(value)
