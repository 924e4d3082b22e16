"""How long are the flags of a plan, and how long does the compiler take with them?

    python -m benchmarks.compiler.flags [--steps 50000] [--only SUBSTRING] [CAPTURE ...]

Without captures: bytes of the flags of local search's plan for each shipped problem that 12ad1a7 could export, beside
its own, which had an override for each site and each buffer (benchmarks/results/flags/before.json); what is ordered;
and what of the gain under M is kept in half of the bytes (``export --max-bytes``).

With captures: cpu seconds of the compile with the plan over those of XLA's default, both made now; how many different
kernels the fusions of both are, for code is generated for each, and memories tell kernels apart that are alike
otherwise; and what was honoured. Exit code 1 where the median is above a fifth, a compile takes more than 1.5 times the
default's, or less than 99 % of a plan is honoured.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.child import QUIET_VMODULE, Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.export.formats import environment_bytes, to_flags
from mallocgame.compiler.export.options import SORT_ORDER, TENSOR_OVERRIDES, allocation_of, compiler_options
from mallocgame.compiler.export.overrides import InexpressibleError
from mallocgame.compiler.export.within import within
from mallocgame.compiler.relax import Relaxation
from mallocgame.compiler.verify import judge_sites
from mallocgame.models.replay import replay_plan
from mallocgame.optimizer.proposers.plans import tellable
from mallocgame.plan.named_plan import NamedPlan, name_plan
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers import solve
from mallocgame.system.errors import BadInputError, MallocgameError
from workloads import problems
from xla_dump_parser import hlo, parse_hlo

BEFORE = Path(__file__).parents[1] / "results" / "flags" / "before.json"
SHARE, SLOWER, HONOURED = 0.2, 1.5, 0.99
UNTOLD = ("metadata", "backend_config", "calls", "to_apply")
LIMIT = Limits(seconds=1800.0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiler.flags")
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--steps", type=int, default=50_000, help="of local search")
    parser.add_argument("--only", default="", help="part of the name of the problems to run")
    options = parser.parse_args(arguments)
    if options.captures:
        return max([_compile(path, options.steps) for path in options.captures if options.only in path.stem], default=0)
    return _shipped(options.steps, options.only)


def _shipped(steps: int, only: str) -> int:
    before: Mapping[str, int] = json.loads(BEFORE.read_bytes())
    shares, kept, ordered = [], [], []
    for entry in problems.index():
        if only not in entry.name or entry.name not in before:
            continue
        problem = problems.load(entry.name).problem
        named = _plan(problem, steps, None)
        try:
            options = compiler_options(named)
        except InexpressibleError as error:
            print(f"{entry.name:26} {error}")
            continue
        order, size = allocation_of(named), len(to_flags(options))
        shares.append(size / before[entry.name])
        ordered.append(len(order.told))
        half = _kept_in_half(problem, named)
        kept += [] if half is None else [half]
        print(
            f"{entry.name:26} {entry.instructions:5} instructions, {before[entry.name]:7} -> {size:6} bytes, "
            f"x{shares[-1]:.3f}, {options.get(TENSOR_OVERRIDES, '').count('{hlo_'):4} overrides, ordered "
            f"{len(order.told):3} of {len(order.told) + len(order.rest):4} buffers, {len(order.missed)} without room, "
            f"half of the bytes: {'none' if half is None else f'{half:.3f} of the gain'}",
            flush=True,
        )
    print(
        f"{len(shares)} problems: median x{median(shares):.3f} (bar {SHARE}), {sum(size == 0 for size in ordered)} "
        f"without any order; half of the bytes keep {median(kept):.3f} of the gain in the median of {len(kept)}"
    )
    return int(median(shares) > SHARE)


def _plan(problem: Problem, steps: int, scoped_vmem_kib: int | None, final: hlo.HloModule | None = None) -> NamedPlan:
    """Local search's."""
    plan = solve(problem, final=final, solver="local", time_limit=600.0, seed=0, max_steps=steps).plan
    return name_plan(problem, plan, solver="local", scoped_vmem_kib=scoped_vmem_kib)


def _kept_in_half(problem: Problem, named: NamedPlan) -> float | None:
    """Of the time that the plan saves under M, the share that half of its bytes do; None where nothing fits in."""
    try:
        part = within(named, environment_bytes(named) // 2).named.plan
    except BadInputError:
        return None
    hbm, whole, half = (replay_plan(problem, plan, "M").total for plan in (Plan(problem.fingerprint), named.plan, part))
    return (hbm - half) / (hbm - whole) if hbm > whole else None


def _compile(path: Path, steps: int) -> int:
    capture = load_capture(path)
    problem = capture.problem()
    named, _ = tellable(_plan(problem, steps, capture.scoped_vmem_kib, parse_hlo(capture.final, "final")))
    options = compiler_options(named)
    try:
        default, compiled = _compiled(capture, {}), _compiled(capture, options)
    except MallocgameError as error:
        print(f"{path.stem}: {type(error).__name__}: {error}", flush=True)
        return 1
    final, seconds, before = parse_hlo(compiled[0].final, "final"), compiled[1], default[1]
    kernels = [_kernels(module) for module in (parse_hlo(default[0].final, "XLA's default"), final)]
    honoured, sites, _ = judge_sites(problem, Relaxation(named), named.plan, final)
    counts = [options.get(name, "").count("{hlo_") for name in (TENSOR_OVERRIDES, SORT_ORDER)]
    print(
        f"{path.stem:26} {len(problem.instructions):5} instructions, {environment_bytes(options):6} bytes, "
        f"{counts[0]} placements, {counts[1]} orders, cpu seconds {before:6.1f} -> {seconds:6.1f}, "
        f"x{seconds / before:.2f} (bar {SLOWER}), kernels {kernels[0]} -> {kernels[1]}, honoured {honoured}/{sites}",
        flush=True,
    )
    return int(seconds > SLOWER * before or honoured < HONOURED * sites)


def _kernels(module: hlo.HloModule) -> int:
    """Fusions that differ in what they compute, or in shapes, layouts and memories of operands and results."""
    return len(
        {
            (
                fusion.shape,
                tuple(computation.by_name[name].shape for name in fusion.operands),
                _body(module.computations[fusion.called[0]]),
            )
            for computation in module.computations.values()
            for fusion in computation.instructions
            if fusion.opcode == "fusion"
        }
    )


def _body(computation: hlo.Computation) -> tuple[tuple[object, ...], ...]:
    """What a computation does, without names."""
    place = {instruction.name: number for number, instruction in enumerate(computation.instructions)}
    return tuple(
        (
            instruction.opcode,
            instruction.shape,
            instruction.literal,
            tuple(place[name] for name in instruction.operands),
            tuple((name, value) for name, value in instruction.attributes.items() if name not in UNTOLD),
        )
        for instruction in computation.instructions
    )


def _compiled(capture: Capture, options: Mapping[str, str]) -> tuple[Compiled, float]:
    """A compile, and the cpu seconds of its process."""
    before = _cpu_seconds()
    request = Request(
        capture.topology, capture.lowered, None, {**capture.options, **options}, capture.init_args, QUIET_VMODULE
    )
    return compile_in_child(request, LIMIT), _cpu_seconds() - before


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
