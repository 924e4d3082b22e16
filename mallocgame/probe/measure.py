"""Measures programs side by side until the answer is narrow enough, the time is over, or Ctrl-C.

The parent decides while the measuring process waits, so that nothing of ours runs beside a running clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal

import numpy as np

from mallocgame.probe.child import ProbeChild
from mallocgame.probe.device import state
from mallocgame.probe.programs import Program
from mallocgame.probe.statistics import (
    LEVEL,
    MIN_BOUTS,
    Array,
    Interval,
    Verdict,
    bouts,
    choose,
    interval,
    judge,
    log_ratios,
)
from mallocgame.problem.targets import DEVICE_KINDS, TARGET_OF_KIND
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, Stage, silent

Status = Literal["narrow enough", "time limit", "interrupted"]

_INTERRUPTED: Status = "interrupted"

MAX_ROUNDS_IN_BOUT = 8
WANTED_BOUTS = 40
"""A bout gets fewer rounds where the time limit has no room for so many bouts of that size."""

FIRST_LOOK = 24
"""Bouts before the intervals' widths are first looked at: a width that few bouts give may be narrow by chance."""

SAMPLE_SECONDS = 5e-4
"""A sample repeats a shorter program until about this: long beside the clock and the call, short beside the time for
which an operating system leaves a process alone."""

MAX_CALLS = 1000
MAX_KEPT_BYTES = 256 * 2**20
"""Of outputs and copies of donated arguments that the calls of a sample may take."""

WARM_UP_SECONDS = 0.3
REQUEST_SECONDS = 1.0
"""Rounds are asked for in portions of at most this long."""

COMPILE_LIMIT, RUN_LIMIT = 1800.0, 600.0
"""Seconds for compiling all programs, and for any other request."""


@dataclass(frozen=True)
class Measured:
    """One program.

    Attributes:
        name: as in ``Program``.
        options: how many compiler options it has.
        compile_seconds: wall time.
        calls: of a sample.
        fastest: seconds of a call in the fastest sample.
        median: likewise, in the median sample.
        difference: of its outputs from the first program's, as ``outputs.difference``; None where these do not compare.
        finite: whether its outputs have no NaN and no infinity.
        interval: its time as a share of the first program's; None for the first, and with too few bouts.
        verdict: None for the first.
    """

    name: str
    options: int
    compile_seconds: float
    calls: int
    fastest: float
    median: float
    difference: float | None
    finite: bool
    interval: Interval | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Probe:
    """What a probe found.

    Attributes:
        programs: in the order given; the first is what the others are compared with.
        best: number of the program to use: the fastest of those that are surely faster than the first, else the first.
        level: of each interval.
        margin: share by which an interval has to stay clear of 1 for a verdict.
        status: why it ended.
        rounds: that were measured.
        rounds_in_bout: of which each program's fastest counts.
        seconds: of measuring.
        seed: of inputs, orders and resamples.
        device: as ``device.describe_device``.
        before: as ``device.state``.
        after: likewise.
        samples: ``[rounds][programs]`` seconds of a call.
        notes: what a reader should know.
    """

    programs: tuple[Measured, ...]
    best: int
    level: float
    margin: float
    status: Status
    rounds: int
    rounds_in_bout: int
    seconds: float
    seed: int
    device: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    samples: tuple[tuple[float, ...], ...]
    notes: tuple[str, ...]


def measure(
    programs: Sequence[Program],
    *,
    time_limit: float,
    margin: float,
    seed: int,
    inputs: str | None,
    progress: Progress = silent,
) -> Probe:
    """Run programs side by side; Ctrl-C gives what is known so far.

    Args:
        programs: two or more.
        time_limit: seconds of measuring; compiling and warming up come on top.
        margin: as in ``Probe``; measuring ends when every interval's half width is half of it.
        seed: of inputs, orders and resamples.
        inputs: file of real inputs, see ``inputs.read_inputs``.
        progress: called with one line at each step.

    Raises:
        BadInputError: a program cannot be used, or is for another device.
        CompilerRefusedError: a program does not compile, or the process died.
        NoAnswerError: something does not fit on the device or takes too long.
        KeyboardInterrupt: before anything was known.
    """
    if len(programs) < 2:
        raise BadInputError("a probe compares programs: give two or more")
    with ProbeChild() as child:
        device = child.ask("find the device", seconds=RUN_LIMIT)
        for program in programs:
            check_device(program, device)
        progress(Stage(f"{device['kind']}: compiling {len(programs)} programs"))
        loaded = child.ask("load", load_request(programs, seed, inputs), seconds=COMPILE_LIMIT)
        warm = child.ask("warm up", {"seconds": WARM_UP_SECONDS}, seconds=RUN_LIMIT)
        calls = [calls_of(seconds, kept) for seconds, kept in zip(warm["seconds"], warm["kept_bytes"], strict=True)]
        round_seconds = sum(count * seconds for count, seconds in zip(calls, warm["seconds"], strict=True))
        in_bout = rounds_in_bout(time_limit / round_seconds)
        level = 1 - (1 - LEVEL) / (len(programs) - 1)
        before = state(device["platform"])
        progress(f"measuring for at most {time_limit:g} s; a round of all programs takes {round_seconds:.3g} s")
        samples: list[list[float]] = []
        started, status = monotonic(), _INTERRUPTED
        try:
            status = _until_known(
                child, samples, calls, in_bout, round_seconds, time_limit, margin, level, seed, progress
            )
        except KeyboardInterrupt:
            status = _INTERRUPTED
        spent = monotonic() - started
    if not samples:
        raise KeyboardInterrupt
    table = np.array(samples)
    found = intervals(table, in_bout, level, seed)
    verdicts: list[Verdict] = [("cannot tell" if one is None else judge(one, margin)) for one in found]
    measured = tuple(
        Measured(
            name=program.name,
            options=len(program.options),
            compile_seconds=loaded["seconds"][number],
            calls=calls[number],
            fastest=float(table[:, number].min()),
            median=float(np.median(table[:, number])),
            difference=warm["differences"][number],
            finite=warm["finite"][number],
            interval=found[number - 1] if number else None,
            verdict=verdicts[number - 1] if number else None,
        )
        for number, program in enumerate(programs)
    )
    return Probe(
        programs=measured,
        best=choose(found, verdicts),
        level=level,
        margin=margin,
        status=status,
        rounds=len(samples),
        rounds_in_bout=in_bout,
        seconds=spent,
        seed=seed,
        device=device,
        before=before,
        after=state(device["platform"]),
        samples=tuple(map(tuple, samples)),
        notes=tuple(_notes(measured, device, len(samples) // in_bout)),
    )


def check_device(program: Program, device: dict[str, Any]) -> None:
    """Refuse a program that was compiled for another device than the one at hand.

    Raises:
        BadInputError: it was.
    """
    if program.target not in (None, TARGET_OF_KIND.get(device["kind"])):
        raise BadInputError(
            f"{program.name}: is for {program.target} ({DEVICE_KINDS[program.target]}), but the device at hand is "
            f"{device['kind']}: run this where that TPU is"
        )


def calls_of(seconds: float, kept_bytes: int) -> int:
    """Calls that make a sample of a program that takes ``seconds`` and keeps so many bytes a call."""
    room = MAX_KEPT_BYTES // max(1, kept_bytes)
    return max(1, min(math.ceil(SAMPLE_SECONDS / max(seconds, 1e-9)), MAX_CALLS, room))


def rounds_in_bout(rounds: float) -> int:
    """Rounds of a bout where the time limit has room for so many ``rounds``: 2, 4, 6 or 8."""
    return int(min(MAX_ROUNDS_IN_BOUT, max(2, rounds / WANTED_BOUTS // 2 * 2)))


def orders(programs: int, seed: int) -> Iterator[tuple[int, ...]]:
    """For each round the order of the programs: at random, then the same one reversed (ABBA), so that drift cancels."""
    rng = np.random.default_rng(seed)
    while True:
        order = tuple(map(int, rng.permutation(programs)))
        yield order
        yield order[::-1]


def intervals(samples: Array, in_bout: int, level: float, seed: int) -> list[Interval | None]:
    """Of each program but the first; None with too few bouts."""
    fastest = bouts(samples, in_bout)
    if len(fastest) < MIN_BOUTS:
        return [None] * (samples.shape[1] - 1)
    return [interval(log_ratios(fastest, number), level, seed) for number in range(1, samples.shape[1])]


def _until_known(
    child: ProbeChild,
    samples: list[list[float]],
    calls: Sequence[int],
    in_bout: int,
    round_seconds: float,
    time_limit: float,
    margin: float,
    level: float,
    seed: int,
    progress: Progress,
) -> Status:
    """Add rounds to ``samples`` until it is known why to stop."""
    started, coming = monotonic(), orders(len(calls), seed)
    portion = in_bout * max(1, int(REQUEST_SECONDS / (round_seconds * in_bout)))
    while (left := time_limit - (monotonic() - started)) > 0:
        ahead = [next(coming) for _ in range(portion)]
        request = {"orders": ahead, "calls": calls, "seconds": min(left, REQUEST_SECONDS)}
        samples += child.ask("measure", request, seconds=time_limit + RUN_LIMIT)["seconds"]
        if len(samples) < FIRST_LOOK * in_bout:
            continue
        found = intervals(np.array(samples), in_bout, level, seed)
        widest = max(one.half_width for one in found if one is not None)
        progress(f"{len(samples)} rounds, {monotonic() - started:.0f} s: ratios known to {100 * widest:.2g} %")
        if widest <= margin / 2:
            return "narrow enough"
    return "time limit"


def load_request(programs: Sequence[Program], seed: int, inputs: str | None) -> dict[str, Any]:
    """What a measuring process is asked to load."""
    return {
        "programs": [
            {
                "name": program.name,
                "function": program.function,
                "lowered": program.lowered,
                "options": dict(program.options),
            }
            for program in programs
        ],
        "seed": seed,
        "inputs": inputs,
    }


def _notes(programs: Sequence[Measured], device: dict[str, Any], whole_bouts: int) -> Iterator[str]:
    if whole_bouts < MIN_BOUTS:
        yield f"{whole_bouts} bouts are too few for a verdict ({MIN_BOUTS} are needed): raise the time limit"
    for program in programs:
        if not program.finite:
            yield f"{program.name}: its outputs have NaN or infinity; real inputs may take another time"
        if program.difference is None:
            yield f"{program.name}: its outputs cannot be compared with those of {programs[0].name}"
        elif program.difference > 0:
            difference = f"{program.difference:.2g} of the largest value"
            yield f"{program.name}: its outputs differ from those of {programs[0].name} by {difference}"
    if device["platform"] == "cpu":
        yield "a CPU is no accelerator: this tells which program is faster on this CPU"
