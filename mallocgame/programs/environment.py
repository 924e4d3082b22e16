"""What the environment of a process makes libtpu do: its flags are part of every program that the process compiles."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mallocgame.plan.compiler_options import check_options
from mallocgame.system.errors import BadInputError

_FLAG = re.compile(r"--([a-z][a-z0-9_]*)(?:=(\S*))?")


def options_of_environment(environment: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The compiler options in ``LIBTPU_INIT_ARGS``, and notes on what is left out.

    Flags that are no compiler options, or that write files, are left out: they do not change the program. ``XLA_FLAGS``
    are for all backends, and are not passed on.
    """
    options: dict[str, str] = {}
    left: list[str] = []
    for flag in environment.get("LIBTPU_INIT_ARGS", "").split():
        found = _FLAG.fullmatch(flag)
        option = {} if found is None else {found[1]: "true" if found[2] is None else found[2]}
        try:
            check_options(option)
        except BadInputError:
            option = {}
        options |= option
        if not option:
            left.append(flag.partition("=")[0][:80])
    notes = [f"left out of LIBTPU_INIT_ARGS: {', '.join(left)}"] if left else []
    if environment.get("XLA_FLAGS", "").strip():
        notes.append("XLA_FLAGS is set; the program was compiled without it")
    return options, tuple(notes)
