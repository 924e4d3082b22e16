"""How far is the proven bound below the quickest program that is known, and is it ever above one?

    python -m benchmarks.agreement.bounds [--time-limit 120] [--workers 1] [--search 0] [--rows FILE] [FILE ...]

FILES are captures or problem files, all shipped ones if none are given. What is known of a file: XLA's default, the
rows of the same schedule, target and memory split with the programs that they tried, and with ``--search`` so many
seconds of local search under M. Exit code 1 where a bound is above any of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path

from benchmarks.showing.gains import ROWS
from mallocgame.bench.rows import BenchRow
from mallocgame.bench.rows_file import read_rows
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.loading import load
from mallocgame.solvers import solve
from mallocgame.solvers.exact import proven_bound
from mallocgame.system.errors import MallocgameError
from workloads import problems

TOLERANCE = 1e-9
"""Share of the seconds by which sums may differ from rounding."""


def rows_of(loaded: Loaded, rows: Sequence[BenchRow]) -> list[BenchRow]:
    """The rows about the same schedule on the same target at the same split that have figures."""
    found = (row for row in rows if row.fingerprint == loaded.problem.fingerprint and row.m_seconds is not None)
    there = loaded.problem.target.name, loaded.scoped_vmem_kib
    return [row for row in found if (row.target, row.scoped_vmem_kib) == there]


def known(loaded: Loaded, rows: Sequence[BenchRow], search: float) -> Iterator[float]:
    """Seconds under M of what is known."""
    default = loaded.default_seconds()
    if default is not None:
        yield default
    for row in rows:
        tried = (program for program in row.programs if program.scoped_vmem_kib == loaded.scoped_vmem_kib)
        yield from (seconds for seconds in (row.m_seconds, *(program.m_seconds for program in tried)) if seconds)
    if search > 0.0:
        yield solve(loaded.problem, "local", time_limit=search, objective="M", evict_products=True).seconds_under_m


def main() -> int:
    """Command line; 0 if no bound is above what is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds for a bound")
    parser.add_argument("--workers", type=int, default=1, help="threads of the solver")
    parser.add_argument("--search", type=float, default=0.0, help="seconds of local search for a file")
    parser.add_argument("--rows", type=Path, default=ROWS)
    given = parser.parse_args()
    above = 0
    print(f"{'file':36} {'instr.':>6} {'least M':>11} {'before':>11} {'linear':>11} {'bound':>11}  M/before  M/bound")
    try:
        rows = read_rows(given.rows)
        for file in given.files or sorted(problems.FOLDER.glob("*.mgp")):
            loaded = load(file)
            same = rows_of(loaded, rows)
            before = max((row.proven_m or 0.0 for row in same), default=0.0)
            least = min(known(loaded, same, given.search), default=inf)
            bound = proven_bound(loaded.problem, time_limit=given.time_limit, workers=given.workers)
            wrong = bound.seconds > least * (1 + TOLERANCE)
            above += wrong
            seconds = " ".join(f"{value:11.5e}" for value in (least, before, bound.linear, bound.seconds))
            ratio = f"{least / before:8.4f}" if before else f"{'-':>8}"
            print(
                f"{file.stem:36} {len(loaded.problem.instructions):6} {seconds}  {ratio} {least / bound.seconds:8.4f}  "
                f"{bound.status}, {bound.seconds_spent:.1f} s{', ABOVE' * wrong}",
                flush=True,
            )
    except MallocgameError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"bounds above what is known: {above}")
    return 1 if above else 0


if __name__ == "__main__":
    raise SystemExit(main())
