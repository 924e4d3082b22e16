"""Text protos of the compiler's overrides; nothing in an HLO file can break out of them.

Names are matched by regular expressions (RE2, full match) inside quoted strings. A backslash would need escaping twice
and a wrong one makes the compiler ignore the whole text in silence, so none is ever written: a character that is not
plain goes into a class of its own (``[.]``), and a name with a character that this cannot express is refused. There is
no white space either: libtpu splits ``LIBTPU_INIT_ARGS`` at it and knows no quotes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, takewhile

from mallocgame.problem.schema import ShapeIndex
from mallocgame.system.errors import BadInputError

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_CLASSED = frozenset(".+*?(){}|$,:;<>=!@#%&/~")
_MAX_NAME = 10_000
_MAX_PATTERN = 2_000
"""Characters of one pattern, where it has several names; RE2 refuses programs that are too large, in silence."""

_MAX_NUMBERS = 100
"""Of one regular expression for the numbers that tell names apart."""

_LEAST_AFTER = 4
"""Characters after a number from which it pays to write them once."""

_MAX_DEPTH = 50
"""Of groups in groups in a pattern; RE2 refuses more than 1,000."""


def patterns(names: Iterable[str]) -> Iterator[str]:
    """Regular expressions of bounded length that together match exactly ``names``, in their order.

    What names have in common at the beginning, and around one number, is written once.

    Raises:
        BadInputError: a name is empty, too long, or has a character that cannot be written safely.
    """
    yield from _bounded(sorted(_words({_checked(name) for name in names})))


Word = tuple[str, ...]
"""A name, or names that differ in one number: its characters, and a regular expression for the numbers."""


def _words(names: Iterable[str]) -> Iterator[Word]:
    """Names; those that only a number tells apart, with something after it, as one."""
    told = {name: _around_numbers(name) for name in names}
    count = Counter(chain.from_iterable(told.values()))
    together: dict[tuple[str, str], list[str]] = {}
    for name in sorted(told):
        around = max(told[name], key=lambda one: (count[one], one), default=None)
        if around is None or count[around] == 1:
            yield tuple(name)
        else:
            together.setdefault(around, []).append(name[len(around[0]) : len(name) - len(around[1])])
    for (before, after), numbers in together.items():
        for start in range(0, len(numbers), _MAX_NUMBERS):
            part = numbers[start : start + _MAX_NUMBERS]
            pattern = _pattern([tuple(number) for number in part], 1)
            number = tuple(part[0]) if len(part) == 1 else (_closed(pattern),)
            yield (*before, *number, *after)


def _around_numbers(name: str) -> list[tuple[str, str]]:
    """What is before and after each number of a name that is not at its end."""
    return [
        (name[: found.start()], name[found.end() :])
        for found in re.finditer("[0-9]+", name)
        if len(name) - found.end() >= _LEAST_AFTER
    ]


def _closed(pattern: str) -> str:
    """A regular expression that may stand before others."""
    return pattern if re.fullmatch(r"\[[^]]*\]|\([^()]*\)", pattern) else f"({pattern})"


def _bounded(words: Sequence[Word]) -> Iterator[str]:
    if not words:
        return
    pattern = _pattern(words, 0)
    if len(pattern) <= _MAX_PATTERN or len(words) == 1:
        yield pattern
    else:
        yield from _bounded(words[: len(words) // 2])
        yield from _bounded(words[len(words) // 2 :])


def _pattern(words: Sequence[Word], depth: int) -> str:
    """Of words that are different and ascending."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(words[0], words[-1], strict=False))
    common = [symbol for symbol, _ in alike]
    rests = [word[len(common) :] for word in words]
    beginning = "".join(map(_symbol, common))
    if len(words) == 1:
        return beginning
    if depth == _MAX_DEPTH:
        return f"{beginning}({'|'.join(''.join(map(_symbol, rest)) for rest in rests)})"
    following: dict[str, list[Word]] = {}
    for rest in rests:
        following.setdefault("".join(rest[:1]), []).append(rest[1:])
    ends = bool(following.pop("", ()))
    before: dict[str, list[str]] = {}
    parts: list[str] = []
    for symbol, after in following.items():
        pattern = _pattern(after, depth + 1)
        if len(symbol) == 1:
            before.setdefault(pattern, []).append(symbol)
        else:
            parts.append(symbol + pattern)
    parts = [*(_class(characters) + pattern for pattern, characters in before.items()), *parts]
    one_character = len(parts) == 1 and "" in before
    inner = parts[0] if one_character or (len(parts) == 1 and not ends) else f"({'|'.join(parts)})"
    if not depth and not common and inner.startswith("(") and not ends and len(parts) > 1:
        inner = inner[1:-1]
    return beginning + inner + ("?" if ends else "")


def _symbol(symbol: str) -> str:
    return _character(symbol) if len(symbol) == 1 else symbol


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


def position(pattern: str, index: ShapeIndex, least: int | None = None, most: int | None = None) -> str:
    """A matcher of values by their defining instructions, tuple index, and padded bytes; None for no such bound."""
    fields = [f'instruction_name_regex:"{pattern}"', tuple_index(index), *_sizes(least, most)]
    return f"hlo_position_matcher{{{','.join(fields)}}}"


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
    return f"hlo_operand_filter{{{','.join([*fields, *_sizes(least, most)])}}}"


def _sizes(least: int | None, most: int | None) -> list[str]:
    named = (("size_gte", least), ("size_lte", most))
    return [f"{name}:{_number(size)}" for name, size in named if size is not None]


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
