"""How much of a plan the real compiler honours, over captures of every target: Show 2.

    python -m benchmarks.compiler.honoured [--time-limit 20] [--seed 0] [--only SUBSTRING] [CAPTURE ...]

Without captures it makes them: a real model for each of v4 lite, v4, v5e, v5p and v6e, a training step and a scanned
model among them, kept in out/captures/ for the next run. Each is solved by the local search, exported, recompiled and
read back. Counted is every definition and use of every tensor (its memory space) and every planned copy (its
start); addresses are not counted. Relaxed tensors count as misses. Exit code 1 below 99 % or where XLA's default is
replayed with a missing cost.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

import workloads
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.verification import Verification
from mallocgame.compiler.verify import verify
from mallocgame.plan.plan_file import name_plan
from mallocgame.plan.verdict import is_better
from mallocgame.solvers import solve
from mallocgame.system.errors import MallocgameError

KEPT = Path(__file__).parents[2] / "out" / "captures"
GOAL = 0.99
DEFAULT: tuple[tuple[str, str], ...] = (
    ("tiny", "v4 lite"),
    ("gpt2", "v4 lite"),
    ("gpt2-train", "v4"),
    ("gpt2", "v5e"),
    ("lstm", "v5e"),
    ("unet", "v5p"),
    ("gpt2-scan", "v6e"),
    ("tiny-scan", "v6e"),
)
"""(workload, target) of the captures made where none are given."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiler.honoured")
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for the solver, each capture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the name of the captures to run")
    options = parser.parse_args(arguments)
    honoured = sites = 0
    failed = False
    for name, kept in _captures(options.captures, options.only):
        try:
            verification = _run(name, kept, options.time_limit, options.seed)
        except MallocgameError as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            failed = True
            continue
        honoured += verification.honoured
        sites += verification.sites
        failed |= verification.honoured < GOAL * verification.sites or bool(verification.rows[0].missing)
    share = honoured / sites if sites else 0.0
    print(f"all: honoured {honoured}/{sites} = {100 * share:.3f} %")
    return int(failed or share < GOAL)


def _captures(paths: Sequence[Path], only: str) -> Iterator[tuple[str, Capture]]:
    """(name, capture), one at a time: a large one takes much memory."""
    if paths:
        yield from ((path.stem, load_capture(path)) for path in paths if only in path.stem)
        return
    KEPT.mkdir(parents=True, exist_ok=True)
    for workload, target in DEFAULT:
        path = KEPT / f"{workload}-{target.replace(' ', '')}.mgz"
        if only not in path.stem:
            continue
        if not path.exists():
            capture(workloads.find(workload).reference, None, target, path)
        yield path.stem, load_capture(path)


def _run(name: str, kept: Capture, time_limit: float, seed: int) -> Verification:
    problem = kept.problem()
    solution = solve(problem, solver="local", time_limit=time_limit, seed=seed)
    named = name_plan(
        problem,
        solution.plan,
        solver="local",
        seed=seed,
        versions=kept.versions,
        scoped_vmem_kib=kept.scoped_vmem_kib,
    )
    started = monotonic()
    verification = verify(named, kept)
    _show(name, verification, monotonic() - started, len(solution.plan.copies), len(problem.instructions))
    return verification


def _show(name: str, verification: Verification, seconds: float, copies: int, instructions: int) -> None:
    default, plan = verification.rows[0], verification.rows[-1]
    share = 100 * verification.honoured / verification.sites
    print(
        f"{name:16} honoured {verification.honoured}/{verification.sites} = {share:.2f} %, {copies} copies, "
        f"{instructions} instructions, {len(verification.relaxed)} relaxed, {verification.compiles} compiles, "
        f"{seconds:.0f} s, libtpu {verification.versions['libtpu']}"
    )
    for row in verification.rows:
        e, m = row.e_seconds / default.e_seconds, row.m_seconds / default.m_seconds
        print(
            f"  {row.name:12} E {1e3 * row.e_seconds:9.4f} ms x{e:.4f}  M {1e3 * row.m_seconds:9.4f} ms x{m:.4f}  "
            f"stall E {1e6 * row.e_stall:8.2f} us M {1e6 * row.m_stall:8.2f} us  "
            f"peak fast {row.peak_fast / 2**20:6.1f} MiB  HBM {row.peak_hbm / 2**20:8.1f} MiB"
            + (f"  {len(row.missing)} without cost" if row.missing else "")
        )
    print(f"  best: {verification.best}; the plan {'is' if is_better(plan, default) else 'is not'} better than XLA's")
    causes = Counter(miss.cause for miss in verification.misses)
    for cause, count in causes.most_common(6):
        print(f"  {count} missed: {cause}")
    for miss in verification.misses[:4]:
        print(f"    {miss.kind} of {miss.tensor} at {miss.where}: planned {miss.planned}, found {miss.found}")
    for note in verification.notes:
        print(f"  note: {note}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
