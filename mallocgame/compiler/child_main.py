"""The child's side of a compile: ``python -m mallocgame.compiler.child_main WORK``.

Reads ``WORK/request.json``; writes ``WORK/lowered.mlir``, ``WORK/dump/`` and, as its last act, ``WORK/result.json``
with the versions and times or ``{"error": kind, "message": one line}``. Its stderr is the compiler's log.
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
from pathlib import Path
from typing import Any

from mallocgame.compiler.devices import devices_of, replicas_and_partitions
from mallocgame.compiler.module_file import is_module_file, read_module
from mallocgame.problem.targets import topology_for
from mallocgame.system import reference
from mallocgame.system.errors import BadInputError
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
        lowered = _lower(request)
        (work / "lowered.mlir").write_text(lowered, encoding="utf-8")
        _compile(lowered, request, work / "dump")
    except _FailureError as failure:
        return _finish(work, {"error": failure.kind, "message": str(failure)}, 1)
    return _finish(work, {"versions": _versions(), "seconds": time.monotonic() - started}, 0)


def _finish(work: Path, result: Mapping[str, Any], status: int) -> int:
    temporary = work / "result.json.tmp"
    temporary.write_text(json.dumps(result), encoding="utf-8")
    os.replace(temporary, work / "result.json")
    return status


def _lower(request: Mapping[str, Any]) -> str:
    """StableHLO text of the module to compile."""
    if request["lowered"] is not None:
        return str(request["lowered"])
    try:
        if is_module_file(request["function"]):
            return read_module(request["function"])
        function, arguments = load_function(request["function"])
        return lower(function, arguments)
    except BadInputError as error:
        raise _FailureError("input", str(error)) from None
    except Exception as error:
        raise _FailureError("input", f"{request['function']}: {describe(error)}") from None


def lower(function: Any, arguments: Any, *, debug_info: bool = True) -> str:
    """StableHLO text of ``function`` at abstract ``arguments`` for a TPU; needs JAX, not libtpu.

    Args:
        function: jitted or not.
        arguments: abstract ones.
        debug_info: whether the text has names and the places of the source.
    """
    import jax

    jitted = function if hasattr(function, "trace") else jax.jit(function)
    return str(jitted.trace(*arguments).lower(lowering_platforms=("tpu",)).as_text(debug_info=debug_info))


def load_function(name: str) -> tuple[Any, Any]:
    """(function, arguments) of ``MODULE:FUNCTION``, called here; errors of the user's code come as they are.

    Raises:
        BadInputError: it is not of this form, or gives something else.
    """
    pair = reference.named_by(name)()
    if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[0]) and isinstance(pair[1], tuple | list)):
        raise BadInputError("the function must return (function, tuple of abstract arguments)")
    return pair


def describe(error: BaseException) -> str:
    """Type, message and place of an error in the user's code, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (__file__, reference.__file__, "importlib")
    outside = [frame for frame in frames if not any(part in frame.filename for part in ours)]
    place = f" ({os.path.basename(outside[-1].filename)}:{outside[-1].lineno})" if outside else ""
    text = one_line(error, 400)
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _compile(lowered: str, request: Mapping[str, Any], dump: Path) -> None:
    try:
        import jax
        from jax.experimental import topologies
    except ImportError as error:
        raise _FailureError("jax", f"JAX cannot be imported ({error}); install the tpu extra") from None
    topology = _topology(lowered, request["topology"])
    try:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    except Exception as error:
        raise _FailureError("jax", f"no TPU compiler for topology {topology}: {describe(error)}") from None
    if len(devices) < devices_of(lowered):
        raise _FailureError("input", f"{topology} has {len(devices)} devices, the program is for {devices_of(lowered)}")
    # Some versions write get-tuple-elements as %x#0 unless told not to, which loses their names and places.
    options = {**request["options"], "xla_dump_to": str(dump), "xla_dump_compact_gte": False}
    try:
        _compile_text(lowered, devices[: devices_of(lowered)], options)
    except (AttributeError, TypeError, ImportError) as error:
        raise _FailureError("jax", f"jax {jax.__version__} is not supported: {describe(error)}") from None
    except Exception as error:
        raise _FailureError("compiler", str(error)) from None


def _topology(lowered: str, name: str) -> str:
    """The topology of this name, or the smallest of this target that has enough devices."""
    try:
        return name if ":" in name else topology_for(name, devices_of(lowered))
    except BadInputError as error:
        raise _FailureError("input", str(error)) from None


def _compile_text(lowered: str, devices: Sequence[Any], options: Mapping[str, str | bool]) -> None:
    """Compile StableHLO text for described devices, as ``Lowered.compile`` does; JAX has no public call for it."""
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
    compile_options.env_option_overrides = sorted(options.items())
    build = compile_options.executable_build_options
    build.use_spmd_partitioning = True
    build.use_shardy_partitioner = True
    build.allow_spmd_sharding_propagation_to_parameters = [True]
    build.allow_spmd_sharding_propagation_to_output = [True]
    devices[0].client.compile(module, _jax.DeviceList(tuple(devices)), compile_options)


def _versions() -> dict[str, str]:
    from importlib import metadata

    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("jax", "jaxlib", "libtpu")},
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
