"""The flags of libtpu that a process compiles its programs with anyway."""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.plan.init_args import VARIABLE, is_passed_on, read_flags
from mallocgame.system.errors import BadInputError


def init_args_of(environment: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of ``LIBTPU_INIT_ARGS`` that the program is compiled with, and notes on what is left out.

    Flags that read or write files or are about the log are left out. ``XLA_FLAGS`` are for all backends, and are not
    passed on.
    """
    flags = read_flags(environment.get(VARIABLE, "").split())
    left = [flag.name[:80] for flag in flags if not is_passed_on(flag)]
    notes = [f"left out of {VARIABLE}, about files or the log: {', '.join(left)}"] if left else []
    if environment.get("XLA_FLAGS", "").strip():
        notes.append("XLA_FLAGS is set; the program was compiled without it")
    return tuple(word for flag in flags if is_passed_on(flag) for word in flag.words), tuple(notes)


def flag_notes(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Under which flags a program is compiled and which are left out, as lines; none where there are none."""
    flags, notes = init_args_of(environment)
    return (*([f"compiled with {VARIABLE}='{' '.join(flags)}'"] if flags else []), *notes)


def check_environment(init_args: tuple[str, ...], environment: Mapping[str, str], name: str) -> None:
    """Refuse to run a program here that was compiled under other flags of libtpu.

    Raises:
        BadInputError: the flags are not those of the environment.
    """
    if init_args and init_args_of(environment)[0] != init_args:
        raise BadInputError(f"{name}: was compiled under other flags: set {VARIABLE}='{' '.join(init_args)}'")
