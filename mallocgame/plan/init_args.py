"""Flags of ``LIBTPU_INIT_ARGS``: how they are spelled, and which of them a compile in another process may have.

libtpu splits the variable at white space and knows no quotes. It takes ``--flag=value``, ``-flag=value``, ``--flag``,
``--noflag`` and ``--flag value``, of the same flag the last, and passes over words that are no flags; ``--`` ends them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mallocgame.plan.compiler_options import FILES, SCOPED_VMEM
from mallocgame.system.checked_json import bad, each
from mallocgame.system.errors import BadInputError

VARIABLE = "LIBTPU_INIT_ARGS"

MAX_CHARACTERS = 131_072 - len(f"{VARIABLE}=") - 1
"""Linux passes no longer variable to a process."""

_FLAG = re.compile(r"--?([^-=\d.][^=]*)(?:=(.*))?")
_WORD = re.compile(r"[!-~]+")
_NOT_OF_THE_PROGRAM = frozenset(
    ("v", "vmodule", "minloglevel", "stderrthreshold", "logtostderr", "alsologtostderr", "fromenv", "tryfromenv")
)
"""Flags about the log, which is read here, and flags that stand for other variables."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as it is written.

    Attributes:
        name: without dashes; that of ``--noflag`` is ``noflag``.
        value: what is written after it; None where there is nothing.
        words: one, or two where the value is a word of its own.
    """

    name: str
    value: str | None
    words: tuple[str, ...]


def read_flags(words: Sequence[str]) -> tuple[Flag, ...]:
    """The flags among the words of the variable.

    A word after a flag is its value unless it looks like a flag: libtpu alone knows which flags are switches, for which
    such a word counts nothing.
    """
    found: list[Flag] = []
    for word in words:
        if word == "--":
            break
        flag = _FLAG.fullmatch(word)
        if flag is not None:
            found.append(Flag(flag[1], flag[2], (word,)))
        elif found and found[-1].value is None:
            found[-1] = Flag(found[-1].name, word, (*found[-1].words, word))
    return tuple(found)


def is_passed_on(flag: Flag) -> bool:
    """Whether a compile elsewhere may have it: it is about the program, and reads and writes no files."""
    return flag.name not in _NOT_OF_THE_PROGRAM and not any(word in flag.name for word in FILES)


def split_option(words: Sequence[str]) -> dict[str, str]:
    """The memory split that the flags ask for, as a compiler option; empty where they ask for none."""
    values = [flag.value or "" for flag in read_flags(words) if flag.name == SCOPED_VMEM]
    return {SCOPED_VMEM: values[-1]} if values and re.fullmatch(r"[0-9]{1,9}", values[-1]) else {}


def decode_init_args(value: object, where: str) -> tuple[str, ...]:
    """Words of the variable, of a JSON value.

    Raises:
        BadInputError: it is no list of printable words of the variable's length, or has a flag that makes libtpu read
            or write files.
    """
    words = each(_word)(value, where)
    if len(" ".join(words)) > MAX_CHARACTERS:
        raise BadInputError(f"{where}: longer than a value of {VARIABLE} can be")
    for flag in read_flags(words):
        if not is_passed_on(flag):
            raise BadInputError(f"{where}: {flag.name[:100]!r} is not a flag that a compile may have")
    return words


def _word(value: object, where: str) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    raise bad(where, "a word", value)
