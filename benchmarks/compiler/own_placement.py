"""How much of XLA's own placement can be told as a plan?

    python -m benchmarks.compiler.own_placement CAPTURE ...

XLA's own placement is read back from each capture. What local search can do of it is a plan; by bytes that instructions
access in fast memory in one run of their computation, this says which share that is, what the rest is about, and how
the plan's seconds under M compare with those of XLA's default. Exit code 1 where less than 95 % can be told, or the
median is below 99 %.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.verify import default_row
from mallocgame.models.replay import read_back
from mallocgame.plan.plan import Plan
from mallocgame.plan.reach import fitting_reach
from mallocgame.problem.schema import Problem
from mallocgame.solvers.annealing.search import Search
from xla_dump_parser import parse_hlo

LEAST, MEDIAN = 0.95, 0.99


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiler.own_placement")
    parser.add_argument("captures", nargs="+", type=Path)
    shares = [_report(path) for path in parser.parse_args(arguments).captures]
    print(f"{len(shares)} captures: {median(shares):.2%} in the median (bar {MEDIAN:.0%}), {min(shares):.2%} at least")
    return int(min(shares) < LEAST or median(shares) < MEDIAN)


def _report(path: Path) -> float:
    capture = load_capture(path)
    problem = capture.problem()
    own = read_back(problem, parse_hlo(capture.final, "final")).to_plan()
    search = Search(problem, evict_products=True, reach=fitting_reach(problem, own))
    search.set(search.decisions_of(own))
    told, all_bytes = 0.0, 0.0
    left: Counter[str] = Counter()
    for tensor, use in [*((tensor, -1) for tensor in own.fast_definitions), *own.fast_uses]:
        value = problem.tensors[tensor]
        accessed = value.defined_bytes if use < 0 else value.uses[use].accessed_bytes
        all_bytes += accessed
        if _is_fast(search, tensor, use):
            told += accessed
        else:
            left[_about(problem, own, tensor, use)] += accessed
    share = told / all_bytes if all_bytes else 1.0
    rest = ", ".join(f"{about} {bytes_ / all_bytes:.2%}" for about, bytes_ in left.most_common(3) if bytes_)
    slower = search.seconds(0) / default_row(capture).m_seconds
    print(f"{path.stem:26} {share:7.2%} of the bytes, M x{slower:.4f}{'; not: ' if rest else ''}{rest}", flush=True)
    return share


def _is_fast(search: Search, tensor: int, use: int) -> bool:
    record = search.world.tensors[tensor]
    site = record["site"] if use < 0 else search.world.uses["site"][record["use_first"] + use]
    return bool(search.world.sites["fast"][site])


def _about(problem: Problem, own: Plan, tensor: int, use: int) -> str:
    value = problem.tensors[tensor]
    evicted = any(copy.tensor == tensor and copy.kind == "eviction" for copy in own.copies)
    if value.fixed is not None:
        return value.fixed
    if tensor != problem.groups[value.group].tensors[0]:
        return "carried, and prefetched in the loop" if use >= 0 else "made in a loop or branch"
    if evicted:
        return "evicted, and read again"
    return "prefetched" if use >= 0 else "made in fast memory"


if __name__ == "__main__":
    sys.exit(main())
