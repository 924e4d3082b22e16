"""Our costs against the compiler's own, for captures or dump folders.

    python -m benchmarks.reading.costs CAPTURE...

CAPTURE: a .mgz capture, or TARGET=FOLDER of a dump with its log in it or beside it (FOLDER.log), e.g.
"v4 lite=dumps/lstm".

Columns:
    instr       instructions with an ``Initial resource`` line, all of the schedule
    all HBM     largest relative difference of our M elapsed to them; at most 1e-5
    fast lines  ``inst elapsed reduction`` lines (elapsed in HBM less elapsed with one operand in fast memory)
    one fast    largest relative difference of our reduction, computed in float32 as the compiler does; at most 1e-5
                beyond what the difference of two such numbers cannot show: one unit of float32 of the elapsed time,
                and where the compute time bounds it, half of the last digit that the log prints of that
    >0.1%       instructions that take more than 0.1 % of the program's time
    bytes       median relative error of the analytic total bytes over those; at most 5 %
    compute     median relative error of the analytic compute seconds over those; at most 15 %

Exit code 1 if a bound is passed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from mallocgame.problem.build import build_problem
from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.schema import Problem, Target
from mallocgame.problem.target_log import half_unit, times_beside_asynchronous
from mallocgame.problem.targets import get_target
from mallocgame.system.errors import MallocgameError
from xla_dump_parser import ParseError, find_dump, parse_hlo, read_hlo, read_text
from xla_dump_parser.compile_log import CompileLog, parse_compile_log
from xla_dump_parser.hlo import HloModule

PRINT_PRECISION = 1e-5
BYTES_BOUND = 0.05
COMPUTE_BOUND = 0.15
SHARE = 1e-3
BESIDE_SPARSE_CORE = 0.8
"""What the lines print is what copies may use: while an operation runs on the SparseCore, 0.8 of the elapsed time."""


@dataclass(frozen=True)
class Material:
    """One compile: its schedule before MSA, its log, and the target by the table."""

    name: str
    target: Target
    module: HloModule
    log: CompileLog


@dataclass(frozen=True)
class Row:
    """One line of the table; see the module's docstring."""

    name: str
    target: str
    instructions: int
    elapsed: float
    worst: str
    reductions: int
    reduction: float
    heavy: int
    bytes_error: float
    compute_error: float

    @property
    def holds(self) -> bool:
        """Whether all bounds do."""
        exact = self.elapsed <= PRINT_PRECISION and self.reduction <= PRINT_PRECISION
        return exact and self.bytes_error <= BYTES_BOUND and self.compute_error <= COMPUTE_BOUND


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", metavar="CAPTURE")
    try:
        rows = [compare(load(name)) for name in parser.parse_args().captures]
    except (MallocgameError, ParseError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    width = max(len(row.name) for row in rows)
    print(
        f"{'capture':{width}} {'target':8} {'instr':>6} {'all HBM':>9} {'fast lines':>10} {'one fast':>9}"
        f" {'>0.1%':>6} {'bytes':>8} {'compute':>8}"
    )
    for row in rows:
        print(
            f"{row.name:{width}} {row.target:8} {row.instructions:6} {row.elapsed:9.1e} {row.reductions:10}"
            f" {row.reduction:9.1e} {row.heavy:6} {row.bytes_error:8.2%} {row.compute_error:8.2%}"
            + ("" if row.holds else f"   BOUND PASSED (worst: {row.worst})")
        )
    return 0 if all(row.holds for row in rows) else 1


def load(name: str) -> Material:
    """A capture file, or TARGET=FOLDER."""
    target, separator, folder = name.partition("=")
    if separator:
        dump = find_dump(folder)
        log = dump.log or Path(folder.rstrip("/") + ".log")
        return Material(
            Path(folder).name, get_target(target), read_hlo(dump.before_msa), parse_compile_log(read_text(log))
        )
    from mallocgame.compiler.capture_file import load_capture

    capture = load_capture(name)
    module = parse_hlo(capture.before_msa, name)
    return Material(Path(name).stem, get_target(capture.target), module, parse_compile_log(capture.log))


def compare(material: Material) -> Row:
    """The row of one compile."""
    problem = build_problem(material.module, material.target, material.log)
    elapsed, worst = elapsed_error(problem, material.log)
    heavy, bytes_error, compute_error = analytic_errors(problem, build_problem(material.module, material.target))
    return Row(
        name=material.name,
        target=material.target.name,
        instructions=len(material.log.resources),
        elapsed=elapsed,
        worst=worst,
        reductions=len(material.log.reductions),
        reduction=reduction_error(problem, material.log),
        heavy=heavy,
        bytes_error=bytes_error,
        compute_error=compute_error,
    )


def elapsed_error(problem: Problem, log: CompileLog) -> tuple[float, str]:
    """Largest relative difference to the ``Initial resource`` lines, and where it is."""
    worst, where = 0.0, ""
    beside = times_beside_asynchronous(problem.instructions)
    for time, (resource, instruction) in enumerate(zip(log.resources, problem.instructions, strict=True)):
        ours = m_elapsed(problem.target, instruction.compute_seconds, instruction.total_bytes)
        allowed = (ours, ours * BESIDE_SPARSE_CORE) if time in beside else (ours,)
        error = min(abs(seconds - resource.seconds) for seconds in allowed) / (resource.seconds or 1e-12)
        if error > worst:
            worst, where = error, instruction.name
    return worst, where


def reduction_error(problem: Problem, log: CompileLog) -> float:
    """Largest relative difference to the ``inst elapsed reduction`` lines."""
    sites = {
        (problem.instructions[use.time].name, operand, index): (use.time, use.accessed_bytes / len(use.operands))
        for tensor in problem.tensors
        for use in tensor.uses
        for operand, index in use.operands
    }
    worst = 0.0
    for logged in log.reductions:
        time, accessed = sites[logged.use.instruction, logged.use.operand, logged.use.index]
        instruction = problem.instructions[time]
        compute, total = instruction.compute_seconds, instruction.total_bytes
        slow = _float32_elapsed(problem.target, compute, total, 0.0)
        fast = _float32_elapsed(problem.target, compute, total, accessed)
        slack = float(np.spacing(slow))
        if fast == np.float32(compute):
            slack += half_unit(compute)
        difference = abs(float(slow - fast) - logged.seconds)
        if difference > slack:
            worst = max(worst, (difference - slack) / (logged.seconds or 1e-12))
    return worst


def _float32_elapsed(target: Target, compute: float, total: float, fast_read: float) -> np.float32:
    slow = (np.float32(total) - np.float32(fast_read)) / np.float32(target.hbm_bandwidth)
    fast = np.float32(fast_read) / np.float32(target.fast_read_bandwidth)
    return max(np.float32(compute), np.float32(slow + fast))


def analytic_errors(logged: Problem, analytic: Problem) -> tuple[int, float, float]:
    """How many instructions take more than 0.1 % of the time, and over them the median errors of bytes and compute."""
    seconds = [
        m_elapsed(logged.target, instruction.compute_seconds, instruction.total_bytes)
        * _runs(logged, instruction.computation)
        for instruction in logged.instructions
    ]
    total = sum(seconds)
    heavy = [time for time, share in enumerate(seconds) if share > SHARE * total]
    if not heavy:
        return 0, 0.0, 0.0
    pairs = [(logged.instructions[time], analytic.instructions[time]) for time in heavy]
    return (
        len(heavy),
        median(_error(guess.total_bytes, known.total_bytes) for known, guess in pairs),
        median(_error(guess.compute_seconds, known.compute_seconds) for known, guess in pairs),
    )


def _runs(problem: Problem, number: int) -> int:
    runs = 1
    computation = problem.computations[number]
    while computation.caller is not None:
        runs *= computation.trips
        computation = problem.computations[problem.instructions[computation.caller].computation]
    return runs


def _error(guess: float, known: float) -> float:
    return abs(guess - known) / known if known else float(guess != known)


if __name__ == "__main__":
    sys.exit(main())
