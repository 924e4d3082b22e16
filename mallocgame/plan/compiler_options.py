"""Options of the compiler: what may be one, the memory split among them, and options from files of strangers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mallocgame.system.checked_json import bad, mapping
from mallocgame.system.errors import BadInputError

SCOPED_VMEM = "xla_tpu_scoped_vmem_limit_kib"
MSA_SWITCH = "xla_msa_enable"

EFFORT: Mapping[str, type[int] | type[float]] = {
    "optimization_level": int,
    "memory_fitting_level": int,
    "exec_time_optimization_effort": float,
    "memory_fitting_effort": float,
}
"""Options that JAX takes as numbers and hands to the compiler beside its flags."""

LEVELS: Mapping[str, int] = {"UNKNOWN": 0, "O0": 9, "O1": 19, "O2": 29, "O3": 39}
"""JAX's names of levels, and the compiler's numbers."""

DISABLED_PASSES = "xla_disable_hlo_passes"

NO_FLAGS = frozenset((*EFFORT, DISABLED_PASSES))
"""Options of a compile that are no flags of libtpu; JAX has settings for them."""

_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,20})?")
_OPTION = re.compile(r"xla_[a-z0-9_]{1,200}")
FILES = ("dump", "path", "dir", "file", "cache", "profile")
"""Words in the names of options and flags that read or write files; a capture of unknown origin may not have them."""

MAX_OPTION = 1 << 24
"""Characters of one option: overrides of a large program are megabytes."""


OptionValue = str | bool | int | float
"""A compiler option, as JAX takes it."""


def check_options(options: Mapping[str, str]) -> None:
    """Refuse what is no option of the compiler, and what would make it read or write files.

    Raises:
        BadInputError: such an option.
    """
    for name, value in options.items():
        if name in EFFORT:
            _number(name, value)
        elif not _OPTION.fullmatch(name) or any(word in name for word in FILES):
            raise BadInputError(f"{name[:100]!r} is not an option that a capture may have")
        if name == SCOPED_VMEM and not re.fullmatch(r"[0-9]{1,9}", value):
            raise BadInputError(f"{SCOPED_VMEM} has to be a number of KiB, not {value[:40]!r}")


def effort_of(options: Mapping[str, str]) -> dict[str, int | float]:
    """Of the options those in ``EFFORT``, as numbers.

    Raises:
        BadInputError: one is none.
    """
    return {name: _number(name, value) for name, value in options.items() if name in EFFORT}


def for_jax(options: Mapping[str, str]) -> dict[str, OptionValue]:
    """The options as ``lowered.compile(compiler_options=...)`` takes them."""
    return {**options, **effort_of(options)}


def _number(name: str, value: str) -> int | float:
    if not _NUMBER.fullmatch(value) or (EFFORT[name] is int and "." in value):
        raise BadInputError(f"{name} has to be a number, not {value[:40]!r}")
    return EFFORT[name](value)


def split_of(options: Mapping[str, str]) -> int | None:
    """The memory split that compiler options ask for, KiB; None for the compiler's default."""
    return int(options[SCOPED_VMEM]) if SCOPED_VMEM in options else None


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
