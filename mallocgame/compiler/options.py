"""Compiler options from files that nobody vouches for."""

from __future__ import annotations

from mallocgame.checked_json import bad, mapping
from mallocgame.compiler.capture import check_options
from mallocgame.errors import BadInputError

MAX_OPTION = 1 << 24
"""Characters of one option: overrides of a large program are megabytes."""


OptionValue = str | bool | int | float
"""A compiler option, as JAX takes it."""


def text_of(value: OptionValue) -> str:
    """A compiler option as the text that the compiler reads."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def decode_options(value: object, where: str) -> dict[str, str]:
    """Compiler options of a JSON value.

    Raises:
        BadInputError: it is no object of texts, or has what is no option or makes the compiler read or write files.
    """
    options = mapping(_option)(value, where)
    try:
        check_options(options)
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from None
    return options


def _option(value: object, where: str) -> str:
    if isinstance(value, str) and len(value) <= MAX_OPTION and "\x00" not in value:
        return value
    raise bad(where, f"a text of at most {MAX_OPTION} characters", value)
