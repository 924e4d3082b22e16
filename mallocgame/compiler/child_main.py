"""The child's side of a compile: ``python -m mallocgame.compiler.child_main WORK``.

Reads ``WORK/request.json``; writes ``WORK/lowered.mlir``, ``WORK/dump/`` and, as its last act, ``WORK/result.json``
with versions, time, topology, the program's own options and the size of its code, or ``{"error": kind, "message": one
line}``. Its stderr is the compiler's log.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mallocgame.compiler import described, stages
from mallocgame.compiler.devices import devices_of, replicas_and_partitions
from mallocgame.compiler.jax_settings import options_of
from mallocgame.compiler.module_file import is_module_file, read_module
from mallocgame.compiler.stages import Lowering, lowering_of, parts_of
from mallocgame.plan.compiler_options import EFFORT, LEVELS, check_options, effort_of
from mallocgame.problem.targets import topology_for
from mallocgame.system import reference
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.printable import one_line
from mallocgame.system.processes import limit_child

_MAX_FILE_BYTES = 2 * 2**30
"""Of the log and of each text; the parent reads them whole."""


class _FailureError(Exception):
    """Ends the child with this kind of error and message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def main(work: Path) -> int:
    request = json.loads((work / "request.json").read_text(encoding="utf-8"))
    limit_child(request["parent"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    sys.path[:] = list(dict.fromkeys([*request["path"], *sys.path]))
    started = time.monotonic()
    try:
        lowering = _lowering(request)
        (work / "lowered.mlir").write_text(lowering.text, encoding="utf-8")
        code = _compile(lowering, {**lowering.options, **request["options"]}, work / "dump")
    except _FailureError as failure:
        return _finish(work, {"error": failure.kind, "message": str(failure)}, 1)
    made = {"topology": lowering.topology, "own_options": lowering.options, "code_bytes": code}
    return _finish(work, {"versions": _versions(), "seconds": time.monotonic() - started, **made}, 0)


def _finish(work: Path, result: Mapping[str, Any], status: int) -> int:
    temporary = work / "result.json.tmp"
    temporary.write_text(json.dumps(result), encoding="utf-8")
    os.replace(temporary, work / "result.json")
    return status


def _lowering(request: Mapping[str, Any]) -> Lowering:
    """The module to compile; a target without a shape is its smallest topology with as many devices."""
    topology, target = request["topology"], request["topology"].partition(":")[0]
    try:
        if request["lowered"] is not None or is_module_file(request["function"]):
            text = read_module(request["function"]) if request["lowered"] is None else str(request["lowered"])
            own = topology if ":" in topology else topology_for(target, devices_of(text))
            return Lowering(text, target, own, {} if request["function"] is None else _settings())
        made = lowering_of(*load_program(request["function"]), target)
        check_options(made.options)
        return made if ":" not in topology else replace(made, topology=topology)
    except BadInputError as error:
        raise _FailureError("input", str(error)) from None
    except CompilerRefusedError as error:
        raise _FailureError("jax", str(error)) from None
    except Exception as error:
        raise _FailureError("input", f"{request['function']}: {describe(error)}") from None


def _settings() -> dict[str, str]:
    """Compiler options by JAX's settings here, which a module file is compiled with."""
    import jax

    return options_of(jax.config)


def load_program(name: str) -> tuple[Any, Sequence[Any], Mapping[str, Any]]:
    """A program, its arguments and those by name: what ``MODULE:FUNCTION`` gives, called here.

    Errors of the user's code come as they are.

    Raises:
        BadInputError: it is not of this form, or gives something else.
    """
    return parts_of(reference.named_by(name)())


def describe(error: BaseException) -> str:
    """Type, message and place of an error in the user's code, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (__file__, stages.__file__, reference.__file__, "importlib")
    outside = [frame for frame in frames if not any(part in frame.filename for part in ours)]
    place = f" ({os.path.basename(outside[-1].filename)}:{outside[-1].lineno})" if outside else ""
    text = one_line(error, 400)
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _compile(lowering: Lowering, options: Mapping[str, str], dump: Path) -> int:
    count = devices_of(lowering.text)
    try:
        devices = described.describe(lowering.topology)
    except CompilerRefusedError as error:
        raise _FailureError("jax", str(error)) from None
    except BadInputError as error:
        raise _FailureError("input", str(error)) from None
    if len(devices) < count:
        raise _FailureError("input", f"{lowering.topology} has {len(devices)} devices, the program is for {count}")
    # Some versions write get-tuple-elements as %x#0 unless told not to, which loses their names and places.
    dumps: dict[str, str | bool] = {"xla_dump_to": str(dump), "xla_dump_compact_gte": False}
    try:
        return compile_text(lowering.text, devices[:count], options, dumps)
    except (AttributeError, TypeError, ImportError) as error:
        raise _FailureError("jax", f"this jax is not supported: {describe(error)}") from None
    except Exception as error:
        raise _FailureError("compiler", str(error)) from None


def compile_text(
    lowered: str, devices: Sequence[Any], options: Mapping[str, str], dumps: Mapping[str, str | bool]
) -> int:
    """Compile StableHLO text for described devices, as ``Lowered.compile`` does; JAX has no public call for it.

    Returns:
        Bytes of machine code, as ``jax.stages.Compiled.memory_analysis`` has them; 0 where this jaxlib does not say.
    """
    import numpy as np
    from jax.interpreters import mlir
    from jaxlib import _jax
    from jaxlib import xla_client as xc

    with mlir.make_ir_context():
        module = mlir.ir.Module.parse(lowered)
    compile_options = xc.CompileOptions()
    replicas, partitions = replicas_and_partitions(lowered)
    compile_options.num_replicas = replicas
    compile_options.num_partitions = partitions
    assignment = np.array([device.id for device in devices]).reshape(replicas, partitions)
    compile_options.device_assignment = xc.DeviceAssignment.create(assignment)
    build = compile_options.executable_build_options
    build.memory_fitting_level = LEVELS["O2"]  # JAX's default
    for name, value in effort_of(options).items():
        setattr(build, name, value)
    flags = {name: value for name, value in options.items() if name not in EFFORT}
    compile_options.env_option_overrides = sorted({**flags, **dumps}.items())
    build.use_spmd_partitioning = True
    build.use_shardy_partitioner = True
    build.allow_spmd_sharding_propagation_to_parameters = [True]
    build.allow_spmd_sharding_propagation_to_output = [True]
    executable = devices[0].client.compile(module, _jax.DeviceList(tuple(devices)), compile_options)
    stats = getattr(executable, "get_compiled_memory_stats", lambda: None)()
    return int(getattr(stats, "generated_code_size_in_bytes", 0))


def _versions() -> dict[str, str]:
    from importlib import metadata

    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("jax", "jaxlib", "libtpu")},
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
