"""What is optimized: a lowered module, the devices it is for, and the options that it is compiled with anyway."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.devices import devices_of
from mallocgame.compiler.jax_settings import options_of_jax
from mallocgame.compiler.module_file import is_program, stablehlo_text
from mallocgame.compiler.stages import Lowering, in_one_line, lowering_of
from mallocgame.plan.compiler_options import OptionValue, check_options, text_of
from mallocgame.plan.init_args import split_option
from mallocgame.problem.targets import get_target, topology_for
from mallocgame.programs.compiled_file import capture_of
from mallocgame.programs.environment import init_args_of
from mallocgame.programs.module_text import digest
from mallocgame.programs.target_choice import UNSAID, target_chosen, told
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, silent

_NAME = re.compile(r"^module @([\w.\-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """A program of the compiler.

    Attributes:
        lowered: StableHLO text.
        target: e.g. ``"v5p"``.
        topology: of its devices, e.g. ``"v5p:2x2x1"`` (``mallocgame.problem.topologies``).
        options: compiler options that it is compiled with anyway.
        init_args: words of ``LIBTPU_INIT_ARGS`` that it is compiled with anyway.
        notes: what a reader should know, one line each.
    """

    lowered: str
    target: str
    topology: str
    options: Mapping[str, str]
    init_args: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def module(self) -> str:
        """Name of the module."""
        found = _NAME.search(self.lowered)
        return found[1] if found else "module"

    @cached_property
    def digest(self) -> str:
        """64 hex digits: the module without the places of its source, devices, options and flags."""
        flags = [self.init_args] if self.init_args else []
        parts = (digest(self.lowered), self.topology, sorted(self.options.items()), *flags)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def program_of(
    program: object,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    target: str | None,
    compiler_options: Mapping[str, OptionValue] | None,
    progress: Progress = silent,
) -> Program:
    """The program of a ``jax.stages.Traced`` or ``Lowered``, of a function and its arguments, or of a module file.

    Args:
        program: one of these; a module file is a path (``mallocgame.compiler.module_file``). What is no StableHLO text
            is compiled once, which translates it.
        args: of the function, abstract or not; none for the others.
        kwargs: likewise, by name.
        target: needed where neither the lowering nor the arguments are for a TPU; of a file ``DEFAULT_TARGET`` if none.
        compiler_options: that it is compiled with anyway, beside those of ``jax.jit`` and of JAX's settings.
        progress: is told of a target that was not asked for, and of a compile.

    Raises:
        BadInputError: it is none of these, lowered for another platform or target, on devices that cannot be described,
            or with options that are none.
        CompilerRefusedError, NoAnswerError: JAX is missing, or a file does not compile.
    """
    if target is not None:
        get_target(target)
    init_args, notes = init_args_of(os.environ)
    if isinstance(program, str | os.PathLike):
        path = os.fspath(program)
        if args or kwargs or not is_program(path):
            raise BadInputError(f"{path}: not a module from before optimization, or arguments were given with it")
        chosen, why = target_chosen(None if target is None else get_target(target), progress)
        text = stablehlo_text(path) or load_capture(capture_of(Path(path), chosen.name, progress)).lowered
        made = Lowering(text, chosen.name, topology_for(chosen.name, devices_of(text)), options_of_jax())
        notes = (*notes, *([told(chosen.name, why)] if why == UNSAID else []))
    else:
        try:
            made = lowering_of(program, args, kwargs, target)
        except Exception as error:
            raise in_one_line(error) from None
    given = {name: text_of(value) for name, value in (compiler_options or {}).items()}
    options = {**split_option(init_args), **made.options, **given}
    check_options(options)
    return Program(made.text, made.target, made.topology, options, init_args, notes)
