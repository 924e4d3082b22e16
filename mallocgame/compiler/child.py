"""Runs one compile in a child process with limits on time and memory, and brings its texts back.

The compiler may abort the process, hang or take tens of GiB, and a repeat within one process is answered from a cache
without a log. So every compile gets a fresh process in its own session, which is killed whole at a limit, at an error
and on Ctrl-C. The parent never imports JAX.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mallocgame.compiler.failures import LeftBehind, OutOfMemoryError, raise_failure
from mallocgame.plan.init_args import VARIABLE
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from mallocgame.system.processes import end_group, python_path, start_group

COST_VMODULE = (
    "op_cost=1,algorithm=3,simulator=3,memory_space_assignment=3,"
    "memory_space_assignment_util=3,prefetch_interval_picker=4"
)
"""What libtpu has to log for a capture: costs, options, MSA's tables and its reasons."""

QUIET_VMODULE = "memory_space_assignment=1"
"""What it logs where only the result counts."""

POLL_SECONDS = 0.05

SECONDS, GIB = "MALLOCGAME_COMPILE_SECONDS", "MALLOCGAME_COMPILE_GIB"
"""Environment variables: the limits of a compile, for large programs and busy machines."""

_OF_HOSTS = ("TPU_", "CLOUD_TPU_", "MEGASCALE_", VARIABLE, "XLA_FLAGS")
"""Beginnings of the names of environment variables that a compile must not depend on."""

_KEPT = ("TPU_LIBRARY_PATH",)
"""Says which libtpu it is."""


def _limit(name: str, default: float) -> float:
    """What an environment variable says, if it is set."""
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise BadInputError(f"the environment variable {name} has to be a positive number, not {text!r}")
    return value


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one compile: ``seconds`` of wall time, ``memory`` bytes resident in the child.

    Raises:
        BadInputError: ``SECONDS`` or ``GIB`` is set to no positive number.
    """

    seconds: float = field(default_factory=lambda: _limit(SECONDS, 900.0))
    memory: int = field(default_factory=lambda: int(_limit(GIB, 16.0) * 2**30))


@dataclass(frozen=True, slots=True)
class Request:
    """One compile. Exactly one of ``lowered`` and ``function`` is set.

    Attributes:
        topology: as text (``mallocgame.problem.topologies``), e.g. ``"v5e:1x1"``; or a target, e.g. ``"v5e"``, for the
            devices that the function's own mesh has, else the smallest topology with as many as the module is for.
        lowered: StableHLO text of a lowered module.
        function: ``MODULE:FUNCTION``, which called without arguments returns what ``child_main.load_program`` takes; or
            the path of a module file.
        options: compiler options, as text.
        init_args: words of ``LIBTPU_INIT_ARGS``, as they are.
        vmodule: what libtpu logs.
    """

    topology: str
    lowered: str | None = None
    function: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    init_args: tuple[str, ...] = ()
    vmodule: str = COST_VMODULE


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compile left behind.

    Attributes:
        lowered: StableHLO text of what was compiled.
        before_msa: scheduled HLO just before memory space assignment; empty where the compiler ran none.
        final: HLO after code generation, with memory spaces and estimated cycles.
        buffer_assignment: the buffer-assignment text.
        memory_usage: the memory-usage-report text.
        log: what the compiler wrote to stderr.
        versions: of python, jax, jaxlib and libtpu.
        seconds: wall time of lowering and compiling.
        peak_memory: most resident bytes seen while polling.
        topology: that it was compiled for, as text.
        own_options: options that the program brought: by JAX's settings where it was lowered or read, and those that
            ``jax.jit`` was given; they are beneath those of the request.
        code_bytes: of machine code; 0 where it is not known.
    """

    lowered: str
    before_msa: str
    final: str
    buffer_assignment: str
    memory_usage: str
    log: str
    versions: Mapping[str, str]
    seconds: float
    peak_memory: int
    topology: str
    own_options: Mapping[str, str] = field(default_factory=dict)
    code_bytes: int = 0


class LimitReachedError(NoAnswerError):
    """A compile was ended at a limit: what it would have given is not known."""


class TookTooLongError(LimitReachedError):
    """A compile reached its limit of seconds."""


Compile = Callable[[Request, Limits | None], Compiled]
"""Who compiles: ``compile_in_child``, or a cache before it."""


def compile_in_child(request: Request, limits: Limits | None = None) -> Compiled:
    """Compile as ``request`` says; the child and its files are gone afterwards, whatever happens.

    Raises:
        BadInputError: the function cannot be loaded or lowered.
        CompilerRefusedError: libtpu or JAX is missing, or the compiler refuses or dies (with its own words);
            its subclass OverrideRefusedError where a tensor override was refused, OutOfMemoryError where the program
            does not fit.
        NoAnswerError: a limit was reached, or there is no room for its files.
    """
    for package in ("jax", "libtpu"):
        if importlib.util.find_spec(package) is None:
            raise CompilerRefusedError(
                f"{package} is not installed; install the tpu extra: pip install 'mallocgame[tpu]'"
            )
    try:
        return _compile_in_folder(request, limits or Limits())
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise NoAnswerError(
            f"the compile cannot be run: {place}{error.strerror}; TMPDIR names the folder that it works in"
        ) from None


def _compile_in_folder(request: Request, limits: Limits) -> Compiled:
    with tempfile.TemporaryDirectory(prefix="mallocgame-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        (work / "dump").mkdir()
        (work / "request.json").write_text(json.dumps(_request_json(request)), encoding="utf-8")
        returncode, peak = _run(work, request, limits)
        result = _read_result(work)
        if returncode != 0 or "error" in result:
            try:
                raise_failure(returncode, result, _read(work / "log"))
            except OutOfMemoryError as error:
                error.left = _left_behind(work, request.topology.partition(":")[0])
                raise
        return _collect(work, result, peak)


def _request_json(request: Request) -> dict[str, Any]:
    return {
        "topology": request.topology,
        "lowered": request.lowered,
        "function": request.function,
        "options": dict(request.options),
        "parent": os.getpid(),
        "path": [os.getcwd(), *(entry for entry in sys.path if entry)],
    }


def _run(work: Path, request: Request, limits: Limits) -> tuple[int, int]:
    """Exit status of the child (negative: minus a signal number) and its peak resident bytes."""
    command = [sys.executable, "-m", "mallocgame.compiler.child_main", str(work)]
    environment = child_environment(os.environ, request)
    with open(work / "log", "wb") as log, _child(command, environment, log, work) as process:
        return _wait(process, limits)


def child_environment(own: Mapping[str, str], request: Request) -> dict[str, str]:
    """The environment of a child that compiles and touches no device.

    This process may run on a TPU host, or hold its TPU: what such a host tells libtpu of its chips, workers and slices
    is left out. So are its flags of the compiler, which a request has itself, and for a lowered module its settings of
    JAX, which are among the request's options.

    Args:
        own: the environment of this process.
        request: what is compiled.
    """
    others = _OF_HOSTS if request.lowered is None else (*_OF_HOSTS, "JAX_")
    kept = {name: value for name, value in own.items() if name in _KEPT or not name.startswith(others)}
    if request.init_args:
        kept[VARIABLE] = " ".join(request.init_args)
    return {
        **kept,
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_MIN_LOG_LEVEL": "0",
        "TPU_STDERR_LOG_LEVEL": "0",
        "TPU_VMODULE": request.vmodule,
        "PYTHONFAULTHANDLER": "",
        "PYTHONPATH": python_path([own.get("PYTHONPATH", "")]),
    }


@contextmanager
def _child(
    command: list[str], environment: Mapping[str, str], log: Any, work: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in its own session; its whole process group is dead when the block is left."""
    process = start_group(
        command,
        env=dict(environment),
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        yield process
    finally:
        end_group(process)


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> tuple[int, int]:
    started = time.monotonic()
    peak = 0
    while True:
        try:
            return process.wait(timeout=POLL_SECONDS), peak
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() - started > limits.seconds:
            raise TookTooLongError(f"the compile took longer than {limits.seconds:g} s; {SECONDS} allows more")
        resident = _resident_bytes(process.pid)
        peak = max(peak, resident)
        if resident > limits.memory:
            raise LimitReachedError(
                f"the compile took more than {limits.memory / 2**30:.3g} GiB of memory; {GIB} allows more"
            )


def _resident_bytes(pid: int) -> int:
    """Resident bytes of the child, from /proc; 0 where the system has none."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _read_result(work: Path) -> dict[str, Any]:
    try:
        result = json.loads((work / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def _collect(work: Path, result: Mapping[str, Any], peak: int) -> Compiled:
    final = _dump_text(work, "*.after_codegen.txt")
    if not final:
        raise CompilerRefusedError("the compiler wrote no after_codegen dump; this libtpu is not supported")
    return Compiled(
        lowered=_read(work / "lowered.mlir"),
        before_msa=_dump_text(work, "*.after_optimizations_before_buffer_assignment.txt"),
        final=final,
        buffer_assignment=_dump_text(work, "*-buffer-assignment.txt"),
        memory_usage=_dump_text(work, "*-memory-usage-report.txt"),
        log=_read(work / "log"),
        versions=dict(result["versions"]),
        seconds=float(result["seconds"]),
        peak_memory=peak,
        topology=str(result["topology"]),
        own_options=dict(result["own_options"]),
        code_bytes=int(result["code_bytes"]),
    )


def _left_behind(work: Path, target: str) -> LeftBehind | None:
    """What a compile that ran out of memory has dumped by then."""
    assignment = _dump_text(work, "*-buffer-assignment.txt")
    if not assignment:
        return None
    return LeftBehind(
        target=target,
        lowered=_read(work / "lowered.mlir"),
        optimized=_dump_text(work, "*.after_optimizations.txt"),
        buffer_assignment=assignment,
        memory_usage=_dump_text(work, "*-memory-usage-report.txt"),
    )


def _dump_text(work: Path, pattern: str) -> str:
    """The largest file of the dump that matches: helper modules, where there are any, are tiny."""
    found = sorted((work / "dump").glob(pattern), key=lambda path: (-path.stat().st_size, path.name))
    return _read(found[0]) if found else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
