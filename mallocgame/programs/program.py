"""What is optimized: a lowered module, the devices it is for, and the options that it is compiled with anyway."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mallocgame.compiler.devices import devices_of
from mallocgame.compiler.lowered import is_lowered_module, read_lowered
from mallocgame.plan.compiler_options import OptionValue, check_options, text_of
from mallocgame.problem.targets import TARGET_OF_KIND, TARGETS, TOPOLOGIES, get_target, topology_for
from mallocgame.programs.environment import options_of_environment
from mallocgame.programs.module_text import digest
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.printable import one_line

_WAY_OUT = (
    "on a machine without a TPU lower it for a described one: jax.jit(f).lower(*mallocgame.abstract('v5e', *args)), "
    "or give the function itself: mallocgame.optimize(f, *args, target='v5e')"
)
_NAME = re.compile(r"^module @([\w.\-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """A program of the compiler.

    Attributes:
        lowered: StableHLO text.
        target: e.g. ``"v5p"``.
        topology: what libtpu is asked for, e.g. ``"v5p:2x2x1"``.
        options: compiler options that it is compiled with anyway.
        notes: what a reader should know, one line each.
    """

    lowered: str
    target: str
    topology: str
    options: Mapping[str, str]
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def module(self) -> str:
        """Name of the module."""
        found = _NAME.search(self.lowered)
        return found[1] if found else "module"

    @cached_property
    def digest(self) -> str:
        """64 hex digits: the module without the places of its source, devices and options."""
        parts = (digest(self.lowered), self.topology, sorted(self.options.items()))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def program_of(
    program: object, args: Sequence[Any], target: str | None, compiler_options: Mapping[str, OptionValue] | None
) -> Program:
    """The program of a ``jax.stages.Lowered``, of a function and its arguments, or of a saved module.

    Args:
        program: one of these; a saved module is the path of StableHLO text, named ``*.mlir``.
        args: of the function, abstract or not; none for the others.
        target: needed where neither the lowering nor the arguments are for a TPU.
        compiler_options: that it is compiled with anyway, beside those of ``jax.jit`` and ``LIBTPU_INIT_ARGS``.

    Raises:
        BadInputError: it is none of these, lowered for another platform or target, on devices that cannot be described,
            or with options that are none.
        CompilerRefusedError: JAX is missing.
    """
    if target is not None:
        get_target(target)
    options, notes = options_of_environment(os.environ)
    if isinstance(program, str | os.PathLike):
        path = os.fspath(program)
        if args or not is_lowered_module(path):
            raise BadInputError(f"{path}: not a saved module (*.mlir), or arguments were given with it")
        if target is None:
            raise BadInputError(f"{path}: a module does not say its chip: add target=, one of: {', '.join(TARGETS)}")
        lowered, own = read_lowered(path), {}
    else:
        stage = _stage(program, args, target)
        target = _target(stage, target)
        lowered, own = str(stage.as_text(debug_info=True)), _own_options(stage)
    options |= own | texts_of(compiler_options or {})
    check_options(options)
    return Program(lowered, target, topology_for(target, devices_of(lowered)), options, notes)


def texts_of(options: Mapping[str, OptionValue]) -> dict[str, str]:
    """Compiler options as the text that the compiler reads."""
    return {name: text_of(value) for name, value in options.items()}


def _stage(program: object, args: Sequence[Any], target: str | None) -> Any:
    """The ``jax.stages.Lowered``: given, or of the function."""
    if "jax" in sys.modules and isinstance(program, sys.modules["jax"].stages.Lowered):
        if args:
            raise BadInputError("a lowered program has its arguments already; leave them out")
        return program
    if not callable(program):
        raise BadInputError(
            f"a {type(program).__name__} cannot be optimized; give jax.jit(f).lower(...), a function and its "
            "arguments, or the path of a module (*.mlir), a capture, a problem, a dump or an HLO text"
        )
    return _lower(program, args, target)


def _lower(function: Callable[..., Any], args: Sequence[Any], target: str | None) -> Any:
    """As the arguments' devices have it; for a TPU that is not there, where they have none."""
    try:
        import jax
    except ImportError as error:
        raise CompilerRefusedError(f"JAX cannot be imported ({error}); install the tpu extra") from None
    jitted: Any = function if hasattr(function, "trace") else jax.jit(function)
    try:
        traced = jitted.trace(*args)
        return traced.lower() if target is None else traced.lower(lowering_platforms=("tpu",))
    except Exception as error:
        words = one_line(error, 400)
        raise BadInputError(f"the function cannot be lowered: {type(error).__name__}: {words}") from None


def _target(stage: Any, asked: str | None) -> str:
    """The target of a lowering.

    JAX has no public name for a lowering's platform and devices; without them ``target`` has to say it.
    """
    inner = getattr(stage, "_lowering", None)
    platforms = getattr(inner, "_platforms", None)
    if platforms is not None and tuple(platforms) != ("tpu",):
        raise BadInputError(f"the program is lowered for {' and '.join(platforms)}, not for a TPU; {_WAY_OUT}")
    devices = [device for device in getattr(inner, "_device_list", None) or () if device.platform == "tpu"]
    if not devices:
        if asked is None:
            raise BadInputError(f"the lowering does not say which TPU it is for: add target=, or {_WAY_OUT}")
        return asked
    kind = devices[0].device_kind
    if kind not in TARGET_OF_KIND:
        raise BadInputError(f"device kind {kind!r} is not known; known are {', '.join(TARGET_OF_KIND)}")
    target = TARGET_OF_KIND[kind]
    if asked not in (None, target):
        raise BadInputError(f"the program is lowered for {target}, not for {asked}; leave target out")
    _check_devices(devices, target)
    return target


def _check_devices(devices: Sequence[Any], target: str) -> None:
    """Refuse a program whose devices the compiler cannot be told of: it would compile, and plan, another one.

    Several devices have to be a whole topology in its own order, which is what the child compiles for.
    """
    if len(devices) == 1:
        return
    count, there = len(devices), len(devices[0].client.devices())
    ordered = [device.id for device in devices] == list(range(count))
    if not ordered or there != count or count not in TOPOLOGIES[target]:
        raise BadInputError(
            f"the program is for {count} of {there} devices of {target}, and not for a whole topology in its own "
            f"order; optimize takes {' or '.join(map(str, TOPOLOGIES[target]))} devices in the order of their ids"
        )
    if len({device.process_index for device in devices}) > 1 and "CompileOnly" not in type(devices[0].client).__name__:
        raise BadInputError(
            "the program runs in several processes, and each would find another plan: optimize it in one process, "
            "lowered for described devices, save the plan, and load it in all of them (docs/api.md)"
        )


def _own_options(stage: Any) -> dict[str, str]:
    """Options that ``jax.jit(f, compiler_options=...)`` was given."""
    return texts_of(dict(getattr(getattr(stage, "_lowering", None), "_compiler_options_kvs", ())))
