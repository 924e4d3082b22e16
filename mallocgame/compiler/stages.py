"""What JAX makes of a program before it is compiled: the lowered module, and the TPU that it is for.

JAX is imported where a program is lowered. Its ``Lowered`` does not say its platform and devices in public.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from mallocgame.compiler.described import describe, place_of
from mallocgame.compiler.devices import devices_of
from mallocgame.compiler.jax_settings import options_of_jax
from mallocgame.plan.compiler_options import text_of
from mallocgame.problem.targets import TARGET_OF_KIND, topology_for
from mallocgame.problem.topologies import topology_of
from mallocgame.system.errors import BadInputError, CompilerRefusedError, MallocgameError
from mallocgame.system.printable import one_line

_WAY_OUT = (
    "on a machine without a TPU lower it for a described one: jax.jit(f).lower(*mallocgame.abstract('v5e', *args)), "
    "or give the function itself: mallocgame.optimize(f, *args, target='v5e')"
)


@dataclass(frozen=True, slots=True)
class Lowering:
    """A lowered module.

    Attributes:
        text: StableHLO.
        target: e.g. ``"v5p"``.
        topology: of its devices, as text (``mallocgame.problem.topologies``).
        options: compiler options by JAX's settings, and those that ``jax.jit`` was given.
    """

    text: str
    target: str
    topology: str
    options: Mapping[str, str]


def parts_of(made: object) -> tuple[Any, Sequence[Any], Mapping[str, Any]]:
    """A program, its arguments and those by name, of what a user's function gives.

    Raises:
        BadInputError: it gives something else.
    """
    match made:
        case (function, tuple() | list() as args) if callable(function):
            return function, args, {}
        case (function, tuple() | list() as args, dict() as kwargs) if callable(function):
            return function, args, kwargs
        case _ if is_stage(made):
            return made, (), {}
    raise BadInputError(
        "the function must return (function, tuple of abstract arguments), or these with a dictionary of arguments by "
        "name, or what jax.jit(f).trace(...) or .lower(...) gives"
    )


def lowering_of(
    program: object, args: Sequence[Any], kwargs: Mapping[str, Any], target: str | None, places: bool = True
) -> Lowering:
    """The lowered module of a program; arguments and errors as ``lower``.

    Args:
        program, args, kwargs, target: as ``lower`` takes them.
        places: whether the text has the places of the source; without them equal programs are equal texts.

    Raises:
        BadInputError: it is lowered for no TPU or another target, or does not say for which, or for devices that are no
            whole topology.
    """
    stage = lower(program, args, kwargs, target)
    found, devices = _target(stage, target)
    text = str(stage.as_text(debug_info=places))
    several = _topology(devices, found) if len(devices) > 1 else topology_for(found, devices_of(text))
    return Lowering(text, found, several, {**options_of_jax(), **_own_options(stage)})


def lower(program: object, args: Sequence[Any], kwargs: Mapping[str, Any], target: str | None) -> Any:
    """The ``jax.stages.Lowered`` of a program.

    Args:
        program: a function, jitted or not; a ``jax.stages.Traced`` or ``Lowered``; or what wraps one of these in an
            attribute of that name, or has a ``lower`` that gives one, as the jitted functions of flax and equinox.
        args: of a function: arrays, abstract arrays, static ones.
        kwargs: likewise, by name.
        target: lower for a TPU, of which nothing is needed; None for the devices of the arguments, else JAX's own.

    Raises:
        BadInputError: it is none of these, or arguments were given with a stage. Errors of the program's code come as
            they are.
        CompilerRefusedError: JAX or, where devices have to be described, libtpu is missing.
    """
    try:
        import jax
    except ImportError as error:
        raise CompilerRefusedError(f"JAX cannot be imported ({error}); install the tpu extra") from None
    if is_stage(program) and (args or kwargs):
        raise BadInputError("a traced or lowered program has its arguments already; leave them out")
    lowered = _stage(program, "lowered", jax.stages.Lowered)
    if lowered is not None:
        return lowered
    traced = _stage(program, "traced", jax.stages.Traced)
    if traced is None and not callable(program):
        raise BadInputError(
            f"a {type(program).__name__} cannot be optimized; give jax.jit(f).lower(...) or .trace(...), a function "
            "and its arguments, or the path of a module (*.mlir), a capture, a problem, a dump or an HLO text"
        )
    if traced is None and hasattr(program, "lower") and not hasattr(program, "trace"):
        with nullcontext() if target is None else _on_a_described(target):
            try:
                made = program.lower(*args, **kwargs)
            except Exception:  # of the program's code
                traced = _of_abstract_leaves(program, args, kwargs)
                if traced is None:
                    raise
        if traced is None:
            return _stage(made, "lowered", jax.stages.Lowered) or made
    if traced is None:
        function: Any = program
        jitted = function if hasattr(function, "trace") else jax.jit(function)
        try:
            made = jitted.trace(*args, **kwargs)
        except ValueError:  # some kernels ask, while they are traced, which TPU they are for
            if target is None:
                raise
            with _on_a_described(target):
                made = jitted.trace(*args, **kwargs)
        traced = _stage(made, "traced", jax.stages.Traced) or made
    if target is None:
        return traced.lower()
    try:
        return traced.lower(lowering_platforms=("tpu",))
    except ValueError:  # host callbacks, for one, are lowered for a device, and not for a platform
        with _on_a_described(target):
            return traced.lower(lowering_platforms=("tpu",))


def _of_abstract_leaves(program: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The ``Traced`` of a function that takes abstract arrays for static values, as ``eqx.filter_jit`` gives it.

    It is traced with arrays in their places; of its results the arrays are kept. None where no leaf is abstract.
    """
    import jax

    leaves, tree = jax.tree.flatten((tuple(args), dict(kwargs)))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, jax.ShapeDtypeStruct)]
    if not places:
        return None

    def with_arrays(*arrays: Any) -> Any:
        given, named = jax.tree.unflatten(tree, _replaced(leaves, places, arrays))
        return [leaf for leaf in jax.tree.leaves(program(*given, **named)) if isinstance(leaf, jax.Array)]

    with_arrays.__name__ = getattr(program, "__name__", with_arrays.__name__)
    return jax.jit(with_arrays).trace(*(leaves[place] for place in places))


def _replaced(leaves: Sequence[Any], places: Sequence[int], others: Sequence[Any]) -> list[Any]:
    found = list(leaves)
    for place, other in zip(places, others, strict=True):
        found[place] = other
    return found


def is_stage(program: object) -> bool:
    """Whether it is a ``jax.stages.Traced`` or ``Lowered``, or wraps one: its arguments are known."""
    import jax

    stages = (("lowered", jax.stages.Lowered), ("traced", jax.stages.Traced))
    return any(_stage(program, name, kind) is not None for name, kind in stages)


def in_one_line(error: Exception) -> MallocgameError:
    """An error of ``lower`` as it is told; one of the program's own code with its type."""
    if isinstance(error, MallocgameError):
        return error
    return BadInputError(f"the function cannot be lowered: {type(error).__name__}: {one_line(error, 400)}")


def _stage(program: object, name: str, kind: type[Any]) -> Any:
    """The program, or its attribute of this name, if that is of this kind; else None."""
    return next((stage for stage in (program, getattr(program, name, None)) if isinstance(stage, kind)), None)


def _on_a_described(target: str) -> Any:
    """In this context arguments that are on no device are on one that libtpu describes."""
    import jax

    return jax.default_device(describe(topology_for(target, 1))[0])


def _target(stage: Any, asked: str | None) -> tuple[str, Sequence[Any]]:
    """The target of a lowering, and its devices as far as it has any; without them ``asked`` has to say the target."""
    inner = getattr(stage, "_lowering", None)
    platforms = getattr(inner, "_platforms", None)
    if platforms is not None and tuple(platforms) != ("tpu",):
        raise BadInputError(f"the program is lowered for {' and '.join(platforms)}, not for a TPU; {_WAY_OUT}")
    devices = [device for device in getattr(inner, "_device_list", None) or () if device.platform == "tpu"]
    if not devices:
        if asked is None:
            raise BadInputError(f"the lowering does not say which TPU it is for: add target=, or {_WAY_OUT}")
        return asked, ()
    kind = devices[0].device_kind
    if kind not in TARGET_OF_KIND:
        raise BadInputError(f"device kind {kind!r} is not known; known are {', '.join(TARGET_OF_KIND)}")
    target = TARGET_OF_KIND[kind]
    if asked not in (None, target):
        raise BadInputError(f"the program is lowered for {target}, not for {asked}; leave target out")
    return target, devices


def _topology(devices: Sequence[Any], target: str) -> str:
    """The topology of several devices, which have to be all of it: the compiler cannot be told of others."""
    count, there = len(devices), len(devices[0].client.devices())
    found = topology_of(target, [place_of(device) for device in devices])
    if found is None or count != there:
        raise BadInputError(
            f"the program is for {count} of {there} devices of {target}, and not for a whole topology; lower it for "
            "all devices of one, in any order, as mallocgame.described_devices or jax.experimental.topologies has them"
        )
    if len({device.process_index for device in devices}) > 1 and "CompileOnly" not in type(devices[0].client).__name__:
        raise BadInputError(
            "the program runs in several processes, and each would find another plan: optimize it in one process, "
            "lowered for described devices, save the plan, and load it in all of them (docs/api.md)"
        )
    return str(found)


def _own_options(stage: Any) -> dict[str, str]:
    """Options that ``jax.jit(f, compiler_options=...)`` was given."""
    options = getattr(getattr(stage, "_lowering", None), "_compiler_options_kvs", ())
    return {name: text_of(value) for name, value in dict(options).items()}
