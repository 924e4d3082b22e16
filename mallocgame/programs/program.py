"""What is optimized: a lowered module, the devices it is for, and the options that it is compiled with anyway."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mallocgame.compiler.devices import devices_of
from mallocgame.compiler.jax_settings import options_of_jax
from mallocgame.compiler.lowered import is_lowered_module, read_lowered
from mallocgame.compiler.stages import Lowering, in_one_line, lowering_of
from mallocgame.plan.compiler_options import OptionValue, check_options, text_of
from mallocgame.plan.init_args import split_option
from mallocgame.problem.targets import TARGETS, get_target, topology_for
from mallocgame.programs.environment import init_args_of
from mallocgame.programs.module_text import digest
from mallocgame.system.errors import BadInputError

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
) -> Program:
    """The program of a ``jax.stages.Traced`` or ``Lowered``, of a function and its arguments, or of a saved module.

    Args:
        program: one of these; a saved module is the path of StableHLO text, named ``*.mlir``.
        args: of the function, abstract or not; none for the others.
        kwargs: likewise, by name.
        target: needed where neither the lowering nor the arguments are for a TPU.
        compiler_options: that it is compiled with anyway, beside those of ``jax.jit`` and of JAX's settings.

    Raises:
        BadInputError: it is none of these, lowered for another platform or target, on devices that cannot be described,
            or with options that are none.
        CompilerRefusedError: JAX is missing.
    """
    if target is not None:
        get_target(target)
    init_args, notes = init_args_of(os.environ)
    if isinstance(program, str | os.PathLike):
        path = os.fspath(program)
        if args or kwargs or not is_lowered_module(path):
            raise BadInputError(f"{path}: not a saved module (*.mlir), or arguments were given with it")
        if target is None:
            raise BadInputError(f"{path}: a module does not say its chip: add target=, one of: {', '.join(TARGETS)}")
        text = read_lowered(path)
        made = Lowering(text, target, topology_for(target, devices_of(text)), options_of_jax())
    else:
        try:
            made = lowering_of(program, args, kwargs, target)
        except Exception as error:
            raise in_one_line(error) from None
    given = {name: text_of(value) for name, value in (compiler_options or {}).items()}
    options = {**split_option(init_args), **made.options, **given}
    check_options(options)
    return Program(made.text, made.target, made.topology, options, init_args, notes)
