"""A plan's compiler options as text for the places where users put them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from mallocgame.plan.compiler_options import NO_FLAGS, for_jax
from mallocgame.system.errors import BadInputError

if TYPE_CHECKING:
    from mallocgame.plan.named_plan import NamedPlan

    Exported = NamedPlan | Mapping[str, str]
    """A plan, or compiler options."""

FlagFormat = Literal["compiler-options", "libtpu-init-args", "python", "libtpu-flag-file"]
"""Names of the formats of flags; a new one is one more here and in ``WRITERS``."""

Format = Literal[FlagFormat, "minimalloc-csv"]
"""Those, and buffers for packers (``buffers.py``)."""

MOST_ARGUMENT_BYTES = 131_072
"""Linux, execve(2), MAX_ARG_STRLEN: of one string of the environment, with its name and the zero at its end."""

MANY_ARGUMENT_BYTES = 98_304
"""From where on it is told what is near: three quarters of that, for whoever adds flags of their own."""

_INSTEAD = (
    "what serves instead: --format libtpu-flag-file, a file that LIBTPU_INIT_ARGS=--flagfile=FILE names; --format "
    "compiler-options or python for one program, in MaxText compile_xla_flags; or --max-bytes N for the greater part"
)

_OPTION = re.compile(r"[a-z][a-z0-9_]*")
_VALUE = re.compile(r"[!-~]*")
"""No white space: libtpu splits LIBTPU_INIT_ARGS at it, and knows no quotes."""


def to_json(program: Exported) -> str:
    """A JSON object for ``jax.jit(f).lower(...).compile(compiler_options=...)``."""
    return json.dumps(for_jax(dict(_checked(program))), indent=1) + "\n"


def to_libtpu_init_args(program: Exported) -> str:
    """A shell line that sets ``LIBTPU_INIT_ARGS``; it has to be set before libtpu is loaded.

    Above ``MANY_ARGUMENT_BYTES`` a comment before it says what serves instead.

    Raises:
        BadInputError: no process could be started with it.
    """
    options = dict(_checked(program))
    size = environment_bytes(options)
    said = f"{size} bytes, and Linux starts no process with a string of more than {MOST_ARGUMENT_BYTES}; {_INSTEAD}"
    if size > MOST_ARGUMENT_BYTES:
        raise BadInputError(f"LIBTPU_INIT_ARGS would have {said}")
    comment = f"# LIBTPU_INIT_ARGS has {said}\n" if size > MANY_ARGUMENT_BYTES else ""
    return f"{comment}export LIBTPU_INIT_ARGS={shlex.quote(to_flags(options))}\n"


def to_flag_file(program: Exported) -> str:
    """A file of flags, one a line, of any length: ``LIBTPU_INIT_ARGS=--flagfile=FILE`` has libtpu read it."""
    return "".join(f"{flag}\n" for flag in _flags(program))


def to_flags(program: Exported) -> str:
    """The value of ``LIBTPU_INIT_ARGS``; what JAX has settings for is no flag, and left out."""
    return " ".join(_flags(program))


def environment_bytes(program: Exported) -> int:
    """How long ``LIBTPU_INIT_ARGS`` is with these options, as Linux counts: with its name and the zero at the end."""
    return len(f"LIBTPU_INIT_ARGS={to_flags(program)}") + 1


def _flags(program: Exported) -> list[str]:
    return [f"--{name}={value}" for name, value in _checked(program) if name not in NO_FLAGS]


def to_python(program: Exported) -> str:
    """A Python snippet that compiles a function with the options."""
    lines = [f"    {name!r}: {value!r}," for name, value in for_jax(dict(_checked(program))).items()]
    return "\n".join(
        [
            "COMPILER_OPTIONS = {",
            *lines,
            "}",
            "# compiled = jax.jit(function).lower(*arguments).compile(compiler_options=COMPILER_OPTIONS)",
            "",
        ]
    )


def _checked(program: Exported) -> list[tuple[str, str]]:
    """The options, after a last check that none can be more than one flag."""
    from mallocgame.compiler.export.options import compiler_options

    options = list((program if isinstance(program, Mapping) else compiler_options(program)).items())
    for name, value in options:
        if not _OPTION.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadInputError(f"the option {name[:60]!r} cannot be written as a flag")
    return options


WRITERS: Mapping[FlagFormat, Callable[[Exported], str]] = {
    "compiler-options": to_json,
    "libtpu-init-args": to_libtpu_init_args,
    "python": to_python,
    "libtpu-flag-file": to_flag_file,
}
