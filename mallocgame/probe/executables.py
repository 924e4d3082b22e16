"""Programs compiled for the device at hand. Runs in the measuring process: JAX is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import mlir
from jaxlib import _jax
from jaxlib import xla_client as xc

from mallocgame.compiler.child_main import describe, load_program
from mallocgame.compiler.devices import devices_of
from mallocgame.compiler.module_file import is_module_file, read_module
from mallocgame.compiler.stages import is_stage, lower
from mallocgame.plan.compiler_options import EFFORT, OptionValue, effort_of
from mallocgame.probe.inputs import Abstract
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.printable import one_line

DONATED = ("tf.aliasing_output", "jax.buffer_donor")
"""Attributes of an argument of a lowered module whose buffer the program may reuse."""


@dataclass(frozen=True)
class Executable:
    """A loaded program.

    Attributes:
        call: takes the flat arguments, returns the outputs; does not wait.
        inputs: shape and type of each argument.
        shardings: of each argument; None for the device's default.
        values: of each argument the array that the program brought; None where it is abstract.
        donated: numbers of the arguments that a call uses up.
        text: the optimised HLO.
    """

    call: Callable[[Sequence[Any]], Sequence[Any]]
    inputs: tuple[Abstract, ...]
    shardings: tuple[Any, ...]
    values: tuple[Any, ...]
    donated: frozenset[int]
    text: str


def load(name: str, function: str | None, lowered: str | None, options: Mapping[str, str]) -> Executable:
    """Compile one program for the first device that JAX has; arguments as the attributes of ``programs.Program``.

    Raises:
        BadInputError: the function cannot be loaded or traced, or the module is for several devices.
        CompilerRefusedError: the compiler refuses the program or its options.
    """
    for_here = {key: _for_device(value) for key, value in options.items()} | effort_of(options)
    if function is not None and is_module_file(function):
        return _from_text(name, read_module(function), for_here)
    return _from_function(name, function, for_here) if function is not None else _from_text(name, lowered, for_here)


def _for_device(value: str) -> OptionValue:
    """An option as JAX hands it on: outside of TPUs it reads true and false as values alone."""
    if jax.default_backend() == "tpu" or value not in ("true", "false"):
        return value
    return value == "true"


def _from_function(name: str, function: str, options: Mapping[str, OptionValue]) -> Executable:
    try:
        made, args, kwargs = load_program(function)
        lowered = lower(made, args, kwargs, None)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}") from None
    except Exception as error:
        raise BadInputError(f"{name}: {describe(error)}") from None
    try:
        compiled = lowered.compile(compiler_options=dict(options) or None)
    except Exception as error:
        raise CompilerRefusedError(f"{name}: the compiler refused: {_one_line(error)}") from None
    leaves, tree = jax.tree.flatten(_arguments(lowered) if is_stage(made) else (tuple(args), kwargs))
    shardings = tuple(jax.tree.leaves(compiled.input_shardings, is_leaf=lambda leaf: leaf is None))
    return Executable(
        call=lambda flat: jax.tree.leaves(_call(compiled, *jax.tree.unflatten(tree, flat))),
        inputs=tuple((tuple(np.shape(leaf)), _dtype(name, leaf)) for leaf in leaves),
        shardings=shardings if len(shardings) == len(leaves) else (None,) * len(leaves),
        values=tuple(None if isinstance(leaf, jax.ShapeDtypeStruct) else leaf for leaf in leaves),
        donated=frozenset(n for n, leaf in enumerate(jax.tree.leaves(compiled.args_info)) if leaf.donated),
        text=compiled.as_text(),
    )


def _arguments(lowered: Any) -> Any:
    """The abstract arguments that a program was traced at, and those by name."""
    struct: Any = jax.ShapeDtypeStruct
    return jax.tree.map(lambda leaf: struct(leaf.shape, leaf.dtype), lowered.args_info)


def _call(compiled: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return compiled(*args, **kwargs)


def _dtype(name: str, leaf: Any) -> np.dtype[Any]:
    dtype = leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        raise BadInputError(f"{name}: an argument is a key of jax.random; take its seed as the argument instead")
    found: np.dtype[Any] = np.dtype(dtype)
    return found


def _from_text(name: str, lowered: str | None, options: Mapping[str, OptionValue]) -> Executable:
    """A lowered module, as ``Lowered.compile`` has it; JAX has no public call for a text."""
    assert lowered is not None
    if devices_of(lowered) != 1:
        raise BadInputError(
            f"{name}: a program for {devices_of(lowered)} devices; give MODULE:FUNCTION with arguments on a real mesh"
        )
    device = jax.devices()[0]
    wanted = xc.CompileOptions()
    wanted.num_replicas = wanted.num_partitions = 1
    wanted.device_assignment = xc.DeviceAssignment.create(np.array([[device.id]]))
    for effort in EFFORT.keys() & options.keys():
        setattr(wanted.executable_build_options, effort, options[effort])
    wanted.env_option_overrides = sorted(item for item in options.items() if item[0] not in EFFORT)
    try:
        with mlir.make_ir_context():
            module = mlir.ir.Module.parse(lowered)
            inputs, donated = _signature(module)
            loaded = device.client.compile_and_load(module, _jax.DeviceList((device,)), wanted)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}") from None
    except Exception as error:
        raise CompilerRefusedError(f"{name}: the compiler refused: {_one_line(error)}") from None
    return Executable(
        call=lambda flat: [part[0] for part in _outputs(loaded, flat)],
        inputs=inputs,
        shardings=(None,) * len(inputs),
        values=(None,) * len(inputs),
        donated=donated,
        text="\n".join(part.to_string() for part in loaded.hlo_modules()),
    )


def _outputs(loaded: Any, flat: Sequence[Any]) -> Any:
    return loaded.execute_sharded(list(flat)).disassemble_into_single_device_arrays()


def _signature(module: Any) -> tuple[tuple[Abstract, ...], frozenset[int]]:
    """Inputs of the function ``main``, and which of them are donated."""
    for operation in module.body.operations:
        if str(operation.attributes["sym_name"]).strip('"') != "main":
            continue
        kind = mlir.ir.FunctionType(mlir.ir.TypeAttr(operation.attributes["function_type"]).value)
        inputs = tuple(_abstract(mlir.ir.RankedTensorType(one)) for one in kind.inputs)
        if "arg_attrs" not in operation.attributes:
            return inputs, frozenset()
        attributes = operation.attributes["arg_attrs"]
        return inputs, frozenset(n for n, one in enumerate(attributes) if any(word in one for word in DONATED))
    raise BadInputError("the module has no function main")


_TYPES = {"bf16": "bfloat16", "i1": "bool", "index": "int64"}
_LETTERS = {"f": "float", "i": "int", "ui": "uint", "si": "int"}


def _abstract(tensor: Any) -> Abstract:
    """Shape and type of a tensor of MLIR."""
    text = str(tensor.element_type)
    letters = text.rstrip("0123456789")
    name = _TYPES.get(text) or _LETTERS.get(letters, "?") + text.removeprefix(letters)
    if text.startswith("complex<"):
        name = {"complex<f32>": "complex64", "complex<f64>": "complex128"}.get(text, "?")
    if text.startswith("f8"):
        name = "float8_" + text.removeprefix("f8").lower()
    try:
        return tuple(tensor.shape), np.dtype(jnp.dtype(name))
    except TypeError:
        raise BadInputError(f"an argument is of type {text}, for which no inputs can be made") from None


def _one_line(error: Exception) -> str:
    return one_line(error, 500)
