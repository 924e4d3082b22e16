"""Our packer beside google/minimalloc's C++ and a plain CP-SAT model on MiniMalloc's instances, every answer validated.

    python -m benchmarks.speed.packing [FILE...]    # CSV files named NAME.CAPACITY.csv; MiniMalloc's A to F if none

Beside C++: the processor's seconds of a whole ``mallocgame pack FILE --capacity N``, start-up and all (user and system,
the least of some runs, for others use the machine too), and of the search alone, which does not count making the
machine code once an installation. C++ was measured before, as a process too.

The model: one interval a buffer in address, one in time, no two rectangles overlap; 2 workers, 60 s. Our packer runs in
one thread from a seed. Where the model finds nothing in its time, it counts with the time that it took, so the ratio is
a lower bound.

Exit code 1 if an instance is not packed into its capacity, a search takes longer than C++, the geometric mean of whole
processes to C++ is above a fifth, or that of the model's times to ours is below 10.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time

from mallocgame.packing import Buffer, Packing, compile_native, pack, read_csv, validate

INSTANCES = Path(__file__).parents[3] / "shared" / "data" / "minimalloc"
RATIO_NEEDED = 10.0
SHARE_ALLOWED = 0.2
SECONDS_LIMIT = 60.0
WORKERS = 2
RUNS = 3
MINIMALLOC_SECONDS = dict(zip("ABCDEFGHIJK", (8.9, 6.1, 1.1, 5.6, 6.2, 8.3, 1.7, 2.5, 5.3, 2.6, 1.3), strict=True))
"""The processor's seconds of google/minimalloc's own C++ on a machine like this one, measured once before."""


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


def process_seconds(file: Path, capacity: int, seed: int) -> float:
    """The processor's seconds of our command, the least of some runs."""
    command = [sys.executable, "-m", "mallocgame", "pack", str(file), "--capacity", str(capacity), "--seed", str(seed)]
    found = []
    for _ in range(RUNS):
        before = os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        found.append(used)
    return min(found)


def geometric_mean(ratios: Sequence[float]) -> float:
    """Of positive numbers."""
    return math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))


def beside_minimalloc(files: Sequence[Path], seed: int) -> bool:
    """Print our processes and searches beside C++; whether they are as quick as they should be."""
    print(f"{'cpu seconds':<12} {'process':>8} {'search':>8} {'C++':>6} {'process / C++':>14}")
    shares, slower = [], 0
    for file in files:
        name, capacity = file.name.split(".")[0], int(file.name.split(".")[-2])
        process = process_seconds(file, capacity, seed)
        buffers = read_csv(file).buffers
        start = process_time()
        pack(buffers, capacity, time_limit=SECONDS_LIMIT, seed=seed)
        search = process_time() - start
        known = MINIMALLOC_SECONDS.get(name)
        if known is not None:
            shares.append(process / known)
            slower += search >= known
        share = "" if known is None else f"{process / known:.3f}"
        print(f"{name:<12} {process:8.3f} {search:8.3f} {known or '':>6} {share:>14}", flush=True)
    if not shares:
        return True
    mean = geometric_mean(shares)
    print(
        f"geometric mean of process / C++: {mean:.3f} (at most {SHARE_ALLOWED:g}); searches slower than C++: {slower}"
    )
    return mean <= SHARE_ALLOWED and not slower


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Our packer beside C++ and CP-SAT.")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files = arguments.files or sorted(INSTANCES.glob("?.*.csv"))
    print(f"machine code ready in {compile_native():.1f} s (made, or loaded), not counted below")
    quick = beside_minimalloc(files, arguments.seed)
    print(f"{'':<10} {'buffers':>7} {'ours s':>8} {'nodes':>8} {'CP-SAT s':>9} {'CP-SAT':>10} {'ratio':>9}")
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
            f"{beyond + format(ratios[-1], '.1f'):>9}",
            flush=True,
        )
    mean = geometric_mean(ratios)
    print(f"geometric mean of the ratio: {mean:.1f} (needed: {RATIO_NEEDED:g}); not packed by ours: {failed}")
    return 1 if failed or not quick or mean < RATIO_NEEDED else 0


if __name__ == "__main__":
    sys.exit(main())
