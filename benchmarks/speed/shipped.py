"""The shipped problems: how large they are, and whether loading all takes less time than compiling one of them.

    python -m benchmarks.speed.shipped [--loads 3]

Loading is timed in a fresh process, Python's own start included, a few times. Then two of the problems are compiled
with libtpu as ``mallocgame capture`` does: of those with at least 100 instructions the one that was quickest to compile
when it was captured, and the median one. Compared are the slowest load and the compiler's own time, without the start
of its process and the tracing. Exit code 1 where the set has more than 25 MB or a load takes longer than a compile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from mallocgame import api
from mallocgame.plan.problem_file import SUFFIX, ProblemFile
from mallocgame.system.errors import MallocgameError
from workloads import problems

MOST_BYTES = 25_000_000
LARGE = 100
"""Instructions from which on a problem is large enough to be compiled here."""

_LOAD = "from workloads import problems\nfor name in problems.names(): problems.load(name)"


def load_seconds() -> float:
    """Wall time of a fresh process that loads every problem."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", _LOAD], check=True)
    return perf_counter() - start


def to_compile(contents: dict[str, ProblemFile]) -> dict[str, str]:
    """What to compile: name -> why this one."""
    large = sorted(
        (content.compile_seconds, name)
        for name, content in contents.items()
        if len(content.problem.instructions) >= LARGE
    )
    return {large[0][1]: "the quickest", large[len(large) // 2][1]: "the median one"}


def compile_seconds(content: ProblemFile) -> tuple[float, float]:
    """The compiler's own seconds, and those of the whole command."""
    assert content.workload is not None
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        kept = api.capture(
            content.workload, target=content.problem.target.name, out=Path(folder, "x.mgz"), workload=True
        )
        return kept.seconds, perf_counter() - start


def main() -> int:
    """Command line; 0 if the set is small and quick enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=3)
    options = parser.parse_args()
    files = sorted(problems.FOLDER.glob(f"*{SUFFIX}"))
    size = sum(file.stat().st_size for file in files) + (problems.FOLDER / problems.INDEX).stat().st_size
    try:
        contents = {name: problems.load(name) for name in problems.names()}
        print(f"shipped: {len(contents)} problems, {size / 1e6:.2f} MB of at most {MOST_BYTES / 1e6:.0f} MB")
        loads = sorted(load_seconds() for _ in range(options.loads))
        print(f"loading all of them in a fresh process: {loads[0]:.2f} to {loads[-1]:.2f} s")
        slow = False
        for name, why in to_compile(contents).items():
            compiler, whole = compile_seconds(contents[name])
            slow = slow or loads[-1] >= compiler
            print(
                f"compiling {name} ({why} of {LARGE} instructions or more): {compiler:.2f} s in the compiler, "
                f"{whole:.2f} s with its process; {compiler / loads[-1]:.1f} times as long as loading all"
            )
    except MallocgameError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 1 if slow or size > MOST_BYTES else 0


if __name__ == "__main__":
    raise SystemExit(main())
