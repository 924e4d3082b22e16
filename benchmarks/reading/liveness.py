"""Our buffers and live ranges against XLA's own, value by value, on CPU and TPU modules.

    python -m benchmarks.reading.liveness FOLDER [--platforms cpu v5e:2x2 ...] [--captures FILE...] [--seconds 300]

Compiles the programs of ``liveness_programs`` for each platform, and the modules of captures for theirs, each in a
child of its own, and keeps the dumps in FOLDER/PLATFORM/PROGRAM; what is there is not compiled again. Compared for each
module, on its text after all passes (for TPUs on the text before memory space assignment too: its buffers), are

- buffers: the sets of values that share one, with the last ``HloAliasAnalysis`` of the log that has these values;
- live ranges: first and last time of each value, with the live-range dump, whose schedule has to be ours;
- positions and uses of each value, with the buffer-assignment dump;
- addresses: all values of a buffer are at one place, and those at one place at one time are of one buffer.

A difference counts as explained where one of these rules holds, and is printed otherwise (exit code 1):

- ``call``: a call's own uses are left out where what it calls is in the schedule; HloLiveRange passes over them, too.
- ``taken over``: an instruction writes its result where an operand was whose last reader it is.
- ``branch``: memory space assignment frees a conditional's operand in each branch after its last reader there;
  HloLiveRange, and we, keep it until the conditional itself.
- ``contexts``: what an asynchronous operation's start makes for its own use lies where the SparseCore's queue says,
  whatever XLA's live ranges are: those of two such values at one place overlap in its own dump.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from threading import Timer

from benchmarks.reading.liveness_programs import PROGRAMS
from mallocgame.compiler.capture_file import load_capture
from mallocgame.problem.aliasing import alias_groups
from mallocgame.problem.dataflow import Dataflow, Value, analyse
from mallocgame.problem.liveness import Range, live_ranges, normalised
from mallocgame.problem.schedule import Schedule, flatten
from mallocgame.problem.schema import ShapeIndex
from mallocgame.system.errors import MallocgameError
from mallocgame.system.processes import end_group, start_group
from xla_dump_parser import ParseError, parse_buffer_assignment, parse_hlo, parse_live_range, read_text, walk_shape
from xla_dump_parser.compile_log import parse_compile_log
from xla_dump_parser.msa_tables import parse_shape_index

PLATFORMS = ("cpu", "v5e:2x2", "v6e:2x2", "v5p:2x2x1", "tpu7x:2x2x1")
HOST_DEVICES = 8

Name = tuple[str, ShapeIndex]
"""Of a value: the instruction that defines it, and where in its shape."""

Buffer = frozenset[Name]

_VALUE = re.compile(r"<\d{1,18} ([^\s{>]+)(\{[\d,]*\})?(?: \(phi\))?>")
_ANALYSIS, _BUFFER = b"HloAliasAnalysis, module", b" HloBuffer "
_DUMPED_VALUE = re.compile(r"^(<[^>]*?)(?: @\d+)?>$", re.MULTILINE)
_COLLECTIVES = re.compile(r"\b(?:all-gather|all-reduce|all-to-all|reduce-scatter|collective-permute)(?:-start)?\(")
_SPARSECORE = 'execution_thread="sparsecore"'


@dataclass(slots=True)
class Module:
    """What is compared of one module, and how it went.

    Attributes:
        counts: of modules by kind, and of what was compared.
        explained: differences by rule.
        unexplained: one line each.
    """

    counts: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ours:
    """Our reading of a text."""

    schedule: Schedule
    dataflow: Dataflow
    names: tuple[Name, ...]
    groups: tuple[tuple[int, ...], ...]
    ranges: tuple[Range, ...]


def read_ours(file: Path) -> Ours:
    """Values, buffers and live ranges of the schedule in a file."""
    module = parse_hlo(read_text(file), str(file))
    schedule = flatten(module)
    dataflow = analyse(schedule, module.source)
    groups = alias_groups(schedule, dataflow, module)
    names = tuple((schedule.steps[value.time].name, value.index) for value in dataflow.values)
    ranges = normalised(live_ranges(schedule, dataflow, module), groups)
    return Ours(schedule, dataflow, names, groups, tuple(ranges))


def compare(folder: Path) -> Module:
    """Compare the module whose dump and log are in a folder.

    Raises:
        ParseError: a file of the dump is missing or is not as it should be.
        MallocgameError: ours refuses the module.
    """
    found = Module()
    analyses = list(_analyses(folder / "log"))
    after = _largest(folder, "*after_optimizations.txt")
    ours = read_ours(after)
    text = read_text(after)
    found.counts["modules"] = 1
    found.counts["with collectives"] = _COLLECTIVES.search(text) is not None
    found.counts["with SparseCore"] = _SPARSECORE in text
    _compare_buffers(found, ours, analyses)
    for before in folder.glob("*after_optimizations_before_buffer_assignment.txt"):
        _compare_buffers(found, read_ours(before), analyses)
    _compare_ranges(found, ours, _largest(folder, "*-live-range.txt"))
    _compare_sites(found, ours, _largest(folder, "*-buffer-assignment-values.txt"))
    _compare_places(found, ours, _largest(folder, "*-buffer-assignment.txt"))
    return found


def _largest(folder: Path, pattern: str) -> Path:
    """The file of the program; helper modules, where there are any, are tiny."""
    files = sorted(folder.glob(pattern), key=lambda path: path.stat().st_size)
    if not files:
        raise ParseError(str(folder), 0, 0, f"no {pattern} in the dump")
    return files[-1]


def _analyses(log: Path) -> Iterator[frozenset[Buffer]]:
    """The buffers of each alias analysis that is printed in a log."""
    buffers: set[Buffer] = set()
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if _ANALYSIS.decode() in line and buffers:
                yield frozenset(buffers)
                buffers = set()
            elif _BUFFER.decode() in line:
                named = _VALUE.findall(line)
                buffers.add(frozenset((name, parse_shape_index(index or None)) for name, index in named))
    if buffers:
        yield frozenset(buffers)


def _compare_buffers(found: Module, ours: Ours, analyses: Sequence[frozenset[Buffer]]) -> None:
    """With the last analysis of all our values that has fewest others: passes before and after have other values."""
    values = frozenset(ours.names)
    theirs: frozenset[Buffer] = frozenset()
    least: tuple[int, int] | None = None
    for analysis in analyses:
        named = frozenset[Name]().union(*analysis)
        others = (len(values - named), len(named - values))
        if least is None or others <= least:
            least, theirs = others, analysis
    mine = {frozenset(ours.names[number] for number in members) for members in ours.groups}
    shared = {values & buffer for buffer in theirs} - {frozenset()}
    found.counts["values of buffers"] += len(values)
    found.counts["shared buffers"] += sum(len(buffer) > 1 for buffer in mine)
    found.unexplained += [f"buffer only ours: {_text(buffer)}" for buffer in mine - shared]
    found.unexplained += [f"buffer only XLA's: {_text(buffer)}" for buffer in shared - mine]


def _compare_ranges(found: Module, ours: Ours, file: Path) -> None:
    theirs = parse_live_range(read_text(file), str(file))
    if [step.name for step in ours.schedule.steps] != list(theirs.schedule):
        found.unexplained.append("another schedule")
        return
    ranges = {(live.instruction, live.index): (live.start, live.end) for live in theirs.ranges}
    found.counts["live ranges"] += len(ours.names)
    for name, live in zip(ours.names, ours.ranges, strict=True):
        if ranges.get(name) != live:
            found.unexplained.append(f"live range of {_text([name])}: {live}, XLA {ranges.get(name)}")
    arrays = {
        (step.name, index)
        for step in ours.schedule.steps
        for index, array in walk_shape(step.shape)
        if array.dtype not in ("token", "opaque")
    }
    missing = (ranges.keys() & arrays) - set(ours.names)
    found.unexplained += [f"value only XLA's: {_text([name])}" for name in sorted(missing)]


def _compare_sites(found: Module, ours: Ours, file: Path) -> None:
    log = parse_compile_log(_DUMPED_VALUE.sub(r"Processing buffer: \1>", read_text(file)), str(file))
    theirs = {(logged.value.instruction, logged.value.index): logged for logged in log.values}
    steps = ours.schedule.steps
    calls = {step.name for step in steps if step.opcode == "call"}
    for name, value in zip(ours.names, ours.dataflow.values, strict=True):
        logged = theirs.get(name)
        if logged is None:
            found.unexplained.append(f"value only ours: {_text([name])}")
            continue
        uses = {(use.instruction, use.operand, use.index) for use in logged.uses}
        passed = {use for use in uses if use[0] in calls}
        found.explained["call"] += len(passed)
        mine = {(steps[time].name, operand, index) for time, operand, index in value.reads}
        found.counts["uses"] += len(mine)
        found.unexplained += [f"use of {_text([name])}: {use}" for use in mine ^ (uses - passed)]
        positions = {(steps[time].name, index) for time, index in value.positions}
        found.counts["positions"] += len(positions)
        found.unexplained += [f"position of {_text([name])}: {at}" for at in positions ^ set(logged.positions)]


def _compare_places(found: Module, ours: Ours, file: Path) -> None:
    places = {
        (value.instruction, value.index): (allocation.id, value.offset, value.offset + value.size, value.memory_space)
        for allocation in parse_buffer_assignment(read_text(file), str(file))
        for value in allocation.values
    }
    group_of = {number: group for group, members in enumerate(ours.groups) for number in members}
    for members in ours.groups:
        there = {places[ours.names[number]][:2] for number in members if ours.names[number] in places}
        if len(there) > 1:
            found.unexplained.append(f"one buffer, {len(there)} places: {_text(ours.names[n] for n in members)}")
    by_allocation: dict[int, list[int]] = {}
    for number, name in enumerate(ours.names):
        if name in places:
            by_allocation.setdefault(places[name][0], []).append(number)
    for numbers in by_allocation.values():
        live: list[int] = []
        for number in sorted(numbers, key=lambda it: ours.ranges[it][0]):
            start = ours.ranges[number][0]
            live = [other for other in live if ours.ranges[other][1] >= start]
            for other in live:
                (_, low, high, space), (_, from_, to, _) = places[ours.names[number]], places[ours.names[other]]
                if group_of[number] == group_of[other]:
                    continue
                found.counts["pairs live at once"] += 1
                if low < to and from_ < high:
                    _explain(found, ours, other, number, fast=space != 0)
            live.append(number)


def _explain(found: Module, ours: Ours, one: int, other: int, fast: bool) -> None:
    """Why two values are at one place, the first of which is there when the second begins."""
    values = ours.dataflow.values
    start = ours.ranges[other][0]
    if ours.ranges[one][1] == start and any(time == start for time, _, _ in values[one].reads):
        found.explained["taken over"] += 1
    elif fast and _last_beside(ours, values[one], values[other].time) < start:
        found.explained["branch"] += 1
    elif _is_context(ours, values[one]) and _is_context(ours, values[other]):
        found.explained["contexts"] += 1
    else:
        both = f"{_text([ours.names[one]])} {ours.ranges[one]} and {_text([ours.names[other]])} {ours.ranges[other]}"
        found.unexplained.append(f"one place, two values: {both}")


def _last_beside(ours: Ours, value: Value, time: int) -> int:
    """Time of a value's last reader, without the conditionals that ``time`` is in a branch of, and other branches."""
    here = _branches(ours, time)
    last = value.time
    for read, _, _ in value.reads:
        there = _branches(ours, read)
        if read not in here and all(there.get(caller, branch) == branch for caller, branch in here.items()):
            last = max(last, read)
    return last


def _branches(ours: Ours, time: int) -> dict[int, int]:
    """The branches that a time is in: number of the computation by time of the conditional."""
    found: dict[int, int] = {}
    number = ours.schedule.computation_of[time]
    while (caller := ours.schedule.computations[number].caller) is not None:
        if ours.schedule.computations[number].kind == "branch":
            found[caller] = number
        number = ours.schedule.computation_of[caller]
    return found


def _is_context(ours: Ours, value: Value) -> bool:
    return ours.schedule.steps[value.time].opcode in ("async-start", "async-update") and value.index[:1] >= (2,)


def _text(names: object) -> str:
    assert not isinstance(names, str)
    return ", ".join(
        name + ("{" + ",".join(map(str, index)) + "}" if index else "")
        for name, index in sorted(names)  # type: ignore[call-overload]
    )


def make(folder: Path, platform: str, program: str, seconds: float) -> str | None:
    """Compile a program, or the module of a capture file, into a folder; what went wrong in words, or None."""
    if next(folder.glob("*-live-range.txt"), None) is not None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.reading.liveness_programs", program, platform, str(folder)]
    child = start_group(
        command,
        env=_environment(platform, folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    limit = Timer(seconds, end_group, [child])
    limit.start()
    last = b""
    try:
        with open(folder / "log", "wb") as log, child.stderr as lines:
            for line in lines:
                if _ANALYSIS in line or _BUFFER in line:
                    log.write(line)
                elif line.strip():
                    last = line
        status = child.wait()
    finally:
        limit.cancel()
        end_group(child)
    if status == 0:
        return None
    rmtree(folder)
    return last.decode(errors="replace").strip()[:300] or f"exit code {status}"


def _environment(platform: str, folder: Path) -> dict[str, str]:
    """With the alias analysis logged, and on a CPU several devices and the dump."""
    flags = f"--xla_force_host_platform_device_count={HOST_DEVICES} --xla_dump_to={folder} --xla_dump_hlo_as_text"
    prefix = "TF_CPP" if platform == "cpu" else "TPU"
    return {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_STDERR_LOG_LEVEL": "0",
        f"{prefix}_MIN_LOG_LEVEL": "0",
        f"{prefix}_VMODULE": "hlo_alias_analysis=2",
        "XLA_FLAGS": flags if platform == "cpu" else "",
    }


def _wanted(platforms: Sequence[str], captures: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    """(platform, name, program) of each module."""
    for platform in platforms:
        for name, program in PROGRAMS.items():
            if program.runs_on(platform):
                yield platform, name, name
    for file in captures:
        yield load_capture(file).topology, file.stem, str(file.resolve())


def _table(found: Mapping[str, Module]) -> Iterator[str]:
    total = Module()
    for module in found.values():
        total.counts += module.counts
        total.explained += module.explained
        total.unexplained += module.unexplained
    for what, count in total.counts.items():
        yield f"{what}: {count}"
    yield "explained: " + ", ".join(f"{rule} {count}" for rule, count in sorted(total.explained.items()))
    yield f"unexplained: {len(total.unexplained)}"


def main() -> int:
    """Compile, compare, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--platforms", nargs="*", default=PLATFORMS)
    parser.add_argument("--captures", nargs="*", type=Path, default=[])
    parser.add_argument("--seconds", type=float, default=300.0, help="limit of one compile")
    args = parser.parse_args()
    found: dict[str, Module] = {}
    refused = 0
    for platform, name, program in _wanted(args.platforms, args.captures):
        folder: Path = args.folder / platform.replace(" ", "") / name
        wrong = make(folder, platform, program, args.seconds)
        try:
            if wrong is None:
                found[f"{platform} {name}"] = module = compare(folder)
                module.counts["for CPUs"] = platform == "cpu"
                for line in module.unexplained[:10]:
                    print(f"{platform} {name}: {line}")
        except (MallocgameError, ParseError) as error:
            wrong = str(error)
        if wrong is not None:
            refused += 1
            print(f"{platform} {name}: not compared: {wrong}")
    for line in _table(found):
        print(line)
    print(f"not compared: {refused}")
    return 1 if any(module.unexplained for module in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
