"""Compiler options as text for the places where users put them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from mallocgame.errors import BadInputError

_OPTION = re.compile(r"[a-z][a-z0-9_]*")
_VALUE = re.compile(r"[ -~]*")


def to_json(options: Mapping[str, str]) -> str:
    """A JSON object for ``jax.jit(f).lower(...).compile(compiler_options=json.load(...))``."""
    return json.dumps(dict(_checked(options)), indent=2) + "\n"


def to_libtpu_init_args(options: Mapping[str, str]) -> str:
    """A shell line that sets ``LIBTPU_INIT_ARGS``; it has to be set before libtpu is loaded.

    libtpu splits the variable as a shell would, so each argument is quoted for it, and the whole once more for the
    user's shell.
    """
    arguments = " ".join(shlex.quote(f"--{name}={value}") for name, value in _checked(options))
    return f"export LIBTPU_INIT_ARGS={shlex.quote(arguments)}\n"


def to_python(options: Mapping[str, str]) -> str:
    """A Python snippet that compiles a function with the options."""
    lines = [f"    {name!r}: {value!r}," for name, value in _checked(options)]
    return "\n".join(
        [
            "# compiled = jax.jit(function).lower(*arguments).compile(compiler_options=COMPILER_OPTIONS)",
            "COMPILER_OPTIONS = {",
            *lines,
            "}",
            "",
        ]
    )


def _checked(options: Mapping[str, str]) -> list[tuple[str, str]]:
    for name, value in options.items():
        if not _OPTION.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadInputError(f"the option {name[:60]!r} cannot be written as a flag")
    return list(options.items())
