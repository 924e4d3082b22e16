"""Text protos of the compiler's overrides; nothing in an HLO file can break out of them.

Names are matched by regular expressions (RE2, full match) inside quoted strings. A backslash would need escaping twice
and a wrong one makes the compiler ignore the whole text in silence, so none is ever written: a character that is not
plain goes into a class of its own (``[.]``), and a name with a character that this cannot express is refused. There is
no white space either: libtpu splits ``LIBTPU_INIT_ARGS`` at it and knows no quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from mallocgame.problem.schema import ShapeIndex
from mallocgame.system.errors import BadInputError

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_CLASSED = frozenset(".+*?(){}|$,:;<>=!@#%&/~")
_MAX_NAME = 10_000
_MAX_PATTERN = 2_000
"""Characters of one pattern, where it has several names; RE2 refuses programs that are too large, in silence."""

_MAX_DEPTH = 50
"""Of groups in groups in a pattern; RE2 refuses more than 1,000."""


def patterns(names: Iterable[str]) -> Iterator[str]:
    """Regular expressions of bounded length that together match exactly ``names``, in their order.

    What names have in common at the beginning is written once.

    Raises:
        BadInputError: a name is empty, too long, or has a character that cannot be written safely.
    """
    yield from _bounded(sorted({_checked(name) for name in names}))


def _bounded(names: Sequence[str]) -> Iterator[str]:
    if not names:
        return
    pattern = _pattern(names, 0)
    if len(pattern) <= _MAX_PATTERN or len(names) == 1:
        yield pattern
    else:
        yield from _bounded(names[: len(names) // 2])
        yield from _bounded(names[len(names) // 2 :])


def _pattern(names: Sequence[str], depth: int) -> str:
    """Of names that are different and ascending."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(names[0], names[-1], strict=False))
    common = "".join(character for character, _ in alike)
    rests = [name[len(common) :] for name in names]
    beginning = "".join(map(_character, common))
    if len(names) == 1:
        return beginning
    if depth == _MAX_DEPTH:
        return f"{beginning}({'|'.join(''.join(map(_character, rest)) for rest in rests)})"
    following: dict[str, list[str]] = {}
    for rest in rests:
        following.setdefault(rest[:1], []).append(rest[1:])
    ends = bool(following.pop("", ()))
    before: dict[str, list[str]] = {}
    for character, after in following.items():
        before.setdefault(_pattern(after, depth + 1), []).append(character)
    parts = [_class(characters) + pattern for pattern, characters in before.items()]
    one_character = len(parts) == 1 and "" in before
    inner = parts[0] if one_character or (len(parts) == 1 and not ends) else f"({'|'.join(parts)})"
    if not depth and not common and inner.startswith("(") and not ends:
        inner = inner[1:-1]
    return beginning + inner + ("?" if ends else "")


def _checked(name: str) -> str:
    if not name or len(name) > _MAX_NAME:
        raise BadInputError(f"an instruction name of {len(name)} characters cannot be exported")
    for character in name:
        if character not in _PLAIN and character not in _CLASSED:
            raise BadInputError(f"the instruction name {name[:100]!r} cannot be exported: it has {character!r}")
    return name


def _character(character: str) -> str:
    return character if character in _PLAIN else f"[{character}]"


def _class(characters: Sequence[str]) -> str:
    """A regular expression that matches one of these ascending characters."""
    if len(characters) == 1:
        return _character(characters[0])
    parts = ""
    place = 0
    plain = [character for character in characters if character != "-"]
    while place < len(plain):
        end = place
        while (
            end + 1 < len(plain)
            and plain[place].isalnum()
            and plain[end + 1].isalnum()
            and ord(plain[end + 1]) == ord(plain[end]) + 1
        ):
            end += 1
        run = plain[place : end + 1]
        parts += f"{run[0]}-{run[-1]}" if len(run) > 3 else "".join(run)
        place = end + 1
    return f"[{parts}{'-' if '-' in characters else ''}]"


def tuple_index(index: ShapeIndex) -> str:
    """The filter field that asks for exactly this tuple index; also for ``()``."""
    return "tuple_index{" + ",".join(f"index:{_number(part)}" for part in index) + "}"


def position(pattern: str, index: ShapeIndex) -> str:
    """A matcher of values by their defining instructions and tuple index."""
    return f'hlo_position_matcher{{instruction_name_regex:"{pattern}",{tuple_index(index)}}}'


def use(
    pattern: str,
    operand: int | None = None,
    index: ShapeIndex | None = None,
    least: int | None = None,
    most: int | None = None,
) -> str:
    """A filter of uses, and of outputs of these instructions of the same tuple index.

    Args:
        pattern: of the names of the using instructions.
        operand: number of the operand; None for all.
        index: tuple index within it; None for all.
        least: padded bytes of the value, at least; None for no such bound.
        most: padded bytes of the value, at most; None for no such bound.
    """
    fields = [f'instruction_name_regex:"{pattern}"']
    fields += [] if operand is None else [f"operand_number:{_number(operand)}"]
    fields += [] if index is None else [tuple_index(index)]
    fields += [] if least is None else [f"size_gte:{_number(least)}"]
    fields += [] if most is None else [f"size_lte:{_number(most)}"]
    return f"hlo_operand_filter{{{','.join(fields)}}}"


def override(matcher: str, action: str) -> str:
    """One entry of an override list."""
    return f"{{{matcher},{action}}}"


def join(overrides: Sequence[str]) -> str:
    """The value of an override option."""
    return f"overrides:[{','.join(overrides)}]" if overrides else ""


def _number(value: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise BadInputError(f"{value!r} is not a number that can be exported")
    return str(value)
