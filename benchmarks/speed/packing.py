"""Our packer and a plain CP-SAT model side by side on MiniMalloc's instances, every answer validated.

    python -m benchmarks.speed.packing [FILE...]    # CSV files named NAME.CAPACITY.csv; MiniMalloc's A to F if none

The model: one interval a buffer in address, one in time, no two rectangles overlap; 2 workers, 60 s. Our packer runs in
one thread from a seed; its native code is compiled, or loaded from numba's cache, before: that time is printed apart.
Where the model finds nothing in its time, it counts with the time that it took, so the ratio is a lower bound.
Exit code 1 if an instance is not packed into its capacity, or the ratio's geometric mean is below 10.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from mallocgame.packing import Buffer, Packing, compile_native, pack, read_csv, validate

INSTANCES = Path(__file__).parents[3] / "shared" / "data" / "minimalloc"
RATIO_NEEDED = 10.0
SECONDS_LIMIT = 60.0
WORKERS = 2
MINIMALLOC_SECONDS = {"A": 5.5, "B": 3.8, "C": 0.7, "D": 2.8, "E": 4.2, "F": 6.4}
"""google/minimalloc's own C++ on a machine like this one, measured once before."""


@dataclass(frozen=True)
class ModelAnswer:
    """What the plain model gave: a status word, offsets in bytes if any, and the wall time in seconds."""

    status: str
    offsets: tuple[int, ...] | None
    seconds: float


def solve_by_model(buffers: tuple[Buffer, ...], capacity: int) -> ModelAnswer:
    """The plain model of size, live range and capacity. Alignment, gaps and fixed offsets are not in it."""
    from ortools.sat.python import cp_model

    start = monotonic()
    model = cp_model.CpModel()
    offsets = [model.new_int_var(0, capacity - buffer.size, buffer.id) for buffer in buffers]
    addresses = [
        model.new_fixed_size_interval_var(offset, buffer.size, "")
        for offset, buffer in zip(offsets, buffers, strict=True)
    ]
    times = [model.new_fixed_size_interval_var(buffer.lower, buffer.upper - buffer.lower, "") for buffer in buffers]
    model.add_no_overlap_2d(times, addresses)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = SECONDS_LIMIT
    solver.parameters.num_workers = WORKERS
    outcome = solver.solve(model)
    seconds = monotonic() - start
    if outcome in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return ModelAnswer("feasible", tuple(solver.value(offset) for offset in offsets), seconds)
    return ModelAnswer("infeasible" if outcome == cp_model.INFEASIBLE else "time limit", None, seconds)


def is_packed(buffers: tuple[Buffer, ...], answer: Packing | ModelAnswer, capacity: int) -> bool:
    """Whether there is an answer; exits the program if there is a wrong one."""
    if answer.offsets is None:
        return False
    violations = validate(buffers, answer.offsets, capacity)
    if violations:
        sys.exit(f"wrong answer: {violations[0].message}")
    return True


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Our packer against a plain CP-SAT model.")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files = arguments.files or sorted(INSTANCES.glob("?.*.csv"))
    print(f"native code ready in {compile_native():.1f} s (compiled, or loaded from the cache), not counted below")
    print(
        f"{'':<10} {'buffers':>7} {'ours s':>8} {'nodes':>8} {'CP-SAT s':>9} {'CP-SAT':>10} {'ratio':>9} {'C++ s':>6}"
    )
    ratios, failed = [], 0
    for file in files:
        capacity = int(file.name.split(".")[-2])
        buffers = read_csv(file).buffers
        ours = pack(buffers, capacity, time_limit=SECONDS_LIMIT, seed=arguments.seed)
        model = solve_by_model(buffers, capacity)
        failed += not is_packed(buffers, ours, capacity)
        beyond = "" if is_packed(buffers, model, capacity) else ">"
        ratios.append(model.seconds / ours.seconds)
        name = file.name.split(".")[0]
        print(
            f"{name:<10} {len(buffers):7d} {ours.seconds:8.3f} {ours.nodes:8d} {model.seconds:9.2f} {model.status:>10} "
            f"{beyond + format(ratios[-1], '.1f'):>9} {MINIMALLOC_SECONDS.get(name, ''):>6}",
            flush=True,
        )
    mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    print(f"geometric mean of the ratio: {mean:.1f} (needed: {RATIO_NEEDED:g}); not packed by ours: {failed}")
    return 1 if failed or mean < RATIO_NEEDED else 0


if __name__ == "__main__":
    sys.exit(main())
