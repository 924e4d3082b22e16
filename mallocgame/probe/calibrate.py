"""Measures a device's memories and links, and instructions' times where there is a profile: a target for solvers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mallocgame.probe.child import ProbeChild
from mallocgame.probe.measure import COMPILE_LIMIT, RUN_LIMIT, check_device, load_request
from mallocgame.probe.programs import Program
from mallocgame.problem.schema import Target
from mallocgame.problem.target_file import InstructionTime, MeasuredTarget, Rate
from mallocgame.problem.targets import TARGET_OF_KIND, TARGETS
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.progress import Progress, Stage, silent

ARRAY_BYTES: Mapping[str, int] = {"cpu": 2**25}
"""Bytes of a test's arrays on platforms where 256 MiB would take long."""

LARGE_BYTES = 2**28
PROFILED_RUNS = 10
ALIGNMENT = 256
"""Of buffers outside of TPUs: a multiple of what XLA's backends for CPU and GPU align to."""

MAX_INSTRUCTIONS = 10_000
"""Of a program, those that take longest."""


def calibrate(
    programs: Sequence[Program], *, seconds: float, seed: int, inputs: str | None, progress: Progress = silent
) -> MeasuredTarget:
    """Measure the device at hand.

    Args:
        programs: whose instructions are timed; may be none.
        seconds: for the memories.
        seed: of made-up inputs.
        inputs: as ``measure.measure``.
        progress: called with one line at each step.

    Raises:
        BadInputError: a program cannot be used, or the device has no memory of the host to measure.
        CompilerRefusedError: JAX has no device, or a program does not compile.
        NoAnswerError: something does not fit or takes too long.
    """
    with ProbeChild() as child:
        device = child.ask("find the device", seconds=RUN_LIMIT)
        for program in programs:
            check_device(program, device)
        size = ARRAY_BYTES.get(device["platform"], LARGE_BYTES)
        progress(f"{device['kind']}: measuring memories with arrays of {size // 2**20} MiB for {seconds:g} s")
        request = {"seconds": seconds, "bytes": size}
        answer = child.ask("measure memory", request, seconds=seconds + RUN_LIMIT)
    rates = tuple(Rate(**rate) for rate in answer["rates"])
    target, measured, notes = target_of(device, rates, host_memory())
    instructions: list[InstructionTime] = []
    for program in programs:
        progress(Stage(f"profiling {program.name}"))
        found, trouble = _profile(program, seed, inputs)
        instructions += found
        notes += [trouble] if trouble else []
    if not programs:
        notes.append("no instruction was timed: name programs to profile")
    return MeasuredTarget(
        target=target,
        measured=measured,
        device=device["kind"],
        versions=device["versions"],
        rates=rates,
        instructions=tuple(instructions),
        notes=tuple(notes),
    )


def target_of(
    device: Mapping[str, Any], rates: Sequence[Rate], host_bytes: int
) -> tuple[Target, tuple[str, ...], list[str]]:
    """The target that figures make, which of its fields they are, and what a reader should know.

    Args:
        device: as ``device.describe_device``.
        rates: of it.
        host_bytes: memory of the host.

    Raises:
        BadInputError: outside of TPUs, no rate of pinned or other host memory.
    """
    found = {rate.name: rate for rate in rates}
    read, write, both = (found[f"device {kind}"].bandwidth for kind in ("read", "write", "read and write"))
    name = TARGET_OF_KIND.get(device["kind"])
    if name is not None:
        memory = device["memory_bytes"]
        target = replace(TARGETS[name], hbm_bandwidth=max(read, both), hbm_bytes=memory or TARGETS[name].hbm_bytes)
        note = "fast memory was not measured: its bandwidths are those of the built-in table"
        return target, ("hbm_bandwidth", *(["hbm_bytes"] if memory else [])), [note]
    host = next((kind for kind in ("pinned_host", "unpinned_host") if f"to {kind}" in found), None)
    if host is None:
        raise BadInputError(f"{device['kind']}: JAX has no memory kind for the host's memory here")
    target = Target(
        name=device["kind"],
        fast_space=0,
        fast_bytes=device["memory_bytes"] or host_bytes,
        alignment=ALIGNMENT,
        hbm_bandwidth=min(found[f"to {host}"].bandwidth, found[f"from {host}"].bandwidth),
        fast_read_bandwidth=read,
        fast_write_bandwidth=write,
        min_seconds=found["call"].fastest,
        hbm_bytes=host_bytes,
    )
    notes = [
        f"fast memory is the device's and the other one {host}; hbm_bandwidth is the slower way between the two",
        "compute times of instructions are not part of a target: analytic costs take those of v5e",
    ]
    measured = ("fast_read_bandwidth", "fast_write_bandwidth", "hbm_bandwidth", "min_seconds")
    return target, measured, notes


def host_memory() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _profile(program: Program, seed: int, inputs: str | None) -> tuple[list[InstructionTime], str]:
    """Instructions of one program, or why there are none; a profiler that aborts takes only its own process along."""
    with ProbeChild() as child:
        child.ask("load", load_request([program], seed, inputs), seconds=COMPILE_LIMIT)
        child.ask("warm up", {"seconds": 0}, seconds=RUN_LIMIT)
        try:
            answer = child.ask("profile", {"runs": PROFILED_RUNS}, seconds=RUN_LIMIT)
        except CompilerRefusedError as error:
            return [], f"{program.name}: no instruction was timed: {error}"
    rows = answer["instructions"][:MAX_INSTRUCTIONS]
    return [InstructionTime(program=program.name, **row) for row in rows], ""
