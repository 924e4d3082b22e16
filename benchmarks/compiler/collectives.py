"""Programs with collectives, with the floor of the links between chips and without it: is a plan paid for what hides?

    python -m benchmarks.compiler.collectives [--time-limit 20] [--seed 0] [--compile] [CAPTURE ...]

Without captures it makes them: the sharded programs of the catalogue for v5e and v5p, kept in out/captures/ for the
next run. Each is solved by local search for the least M twice, from XLA's default, with the links and without; with
``--compile`` the compiler confirms both plans; of one that it refuses, more and more is left in HBM.

Columns, all of M in us but E; two lines for each capture, ``links`` says which costs count:
    floor       what the links take at least, all runs together
    E, default  of XLA's default
    headroom    share of the default above the proven bound
    predicted   of the plan
    gain        of the plan over the default, share
    confirmed   of the plan's final text
    E plan      likewise

The third line counts the links for the plan that was found without them: what of its gain is left.

Checked, with the links: no M is below the floor, no collective is quicker than its own anywhere, no plan below the
proven bound. What the compiler says of its all-gathers (devices of a group, bytes of a shard with its padding) has to
be what we read.
Exit code 1 where something is not so, or where XLA's default is replayed with a missing cost.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import workloads
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.child import compile_in_child
from mallocgame.compiler.relax import Relaxation
from mallocgame.compiler.verify import carry_out, judge_sites
from mallocgame.models.replay import Replay, replay_final, replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.plan_file import name_plan
from mallocgame.problem.costs.collectives import collective_of, group_size
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import DEVICES_PER_CHIP
from mallocgame.report.table import plain_table
from mallocgame.solvers import solve
from mallocgame.solvers.exact.bound import proven_bound
from xla_dump_parser import parse_hlo
from xla_dump_parser.hlo import HloModule
from xla_dump_parser.shapes import padded_bytes, walk_shape

KEPT = Path(__file__).parents[2] / "out" / "captures"
WORKLOADS = ("sharded-mlp-train", "sharded-gpt-train", "sharded-llama-decode", "sharded-resnet-train")
TARGETS = ("v5e", "v5p")
HEADER = (
    "program", "links", "floor", "E default", "default", "bound", "headroom", "predicted", "gain", "confirmed",
    "E plan", "",
)  # fmt: skip
ROUNDING = 1e-9
COMPILES = 6
"""Of one plan; what the compiler refuses is left in HBM."""

SAID = re.compile(r"group_size = (\d+) .*?shard_size = (\d+) bytes")
"""What the compiler says of an all-gather in its final text."""


def without_links(problem: Problem) -> Problem:
    """The problem where collectives take what the log says."""
    steps = tuple(replace(step, link_seconds=0.0) for step in problem.instructions)
    kernels = tuple((time, source) for time, source in problem.kernels if source != "links")
    return replace(problem, instructions=steps, kernels=kernels)


def floor_of(problem: Problem) -> float:
    """Seconds that the links take at least in one run of the program."""
    return sum(problem.runs[step.computation] * step.link_seconds for step in problem.instructions)


@dataclass
class Judge:
    """Counts what is not as it has to be, and says it."""

    failures: int = 0

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.failures += 1
            print(f"WRONG: {what}", flush=True)

    def replayed(self, name: str, problem: Problem, replay: Replay) -> None:
        """No collective is quicker than its links, so that the whole is not either."""
        floor = floor_of(problem)
        self.check(replay.total >= floor * (1 - ROUNDING), f"{name}: {replay.total} s, the links take {floor} s")
        for row in replay.rows:
            least = 0.0 if row.time is None else problem.instructions[row.time].link_seconds
            self.check(row.seconds >= least, f"{name}: {row.name} takes {row.seconds} s, its links {least} s")


@dataclass(frozen=True)
class Found:
    """A plan, and its final text where the compiler has made one."""

    plan: Plan
    final: HloModule | None
    honoured: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each solver and each bound")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="confirm the plans")
    options = parser.parse_args(arguments)
    judge = Judge()
    rows: list[tuple[str, ...]] = []
    for name, kept in _captures(options.captures):
        final = parse_hlo(kept.final, "final")
        _compare_with_the_compiler(name, kept, final, judge)
        rows += _lines(name, kept, final, options, judge)
        print("\n".join(plain_table("", HEADER, rows)), flush=True)
    print(f"not as it has to be: {judge.failures}")
    return int(judge.failures > 0)


def _captures(paths: Sequence[Path]) -> Iterator[tuple[str, Capture]]:
    """(name, capture), one at a time."""
    if paths:
        yield from ((path.stem, load_capture(path)) for path in paths)
        return
    KEPT.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        for workload in WORKLOADS:
            path = KEPT / f"{workload}-{target}.mgz"
            if not path.exists():
                capture(workloads.find(workload).reference, None, target, path)
            yield path.stem, load_capture(path)


def _compare_with_the_compiler(name: str, kept: Capture, final: HloModule, judge: Judge) -> None:
    """Group and shard of each all-gather of which the compiler's text has them."""
    told = 0
    chip = DEVICES_PER_CHIP[kept.target]
    for computation in final.computations.values():
        for step in computation.instructions:
            said = SAID.search(step.attributes.get("backend_config", "").replace("\\n", " "))
            if step.opcode != "all-gather" or said is None:
                continue
            told += 1
            count, shard = int(said[1]), int(said[2])
            arrays = (each for it in step.operands for _, each in walk_shape(computation.by_name[it].shape))
            found = collective_of(final, computation, step, chip)
            incoming = 0.0 if found is None else found.incoming or 0.0
            ours = group_size(final, step), sum(map(padded_bytes, arrays))
            judge.check(
                ours == (count, shard) and 0.0 < incoming <= (count - chip) * shard,
                f"{name}: {step.name}: {ours}, {incoming} bytes; the compiler says {count} of {shard} bytes",
            )
    print(f"{name}: the compiler tells group and shard of {told} all-gathers", flush=True)


def _lines(
    name: str, kept: Capture, final: HloModule, options: argparse.Namespace, judge: Judge
) -> list[tuple[str, ...]]:
    bounded = kept.problem()
    free = without_links(bounded)
    found = {links: _plan(problem, kept, final, options) for links, problem in (("no", free), ("yes", bounded))}
    least, bound = (
        proven_bound(problem, time_limit=options.time_limit, seed=options.seed).seconds for problem in (free, bounded)
    )
    return [
        _line(name, "no", free, found["no"], final, least, None),
        _line(name, "yes", bounded, found["yes"], final, bound, judge),
        _line(name, "yes, plan without", bounded, found["no"], final, bound, judge),
    ]


def _plan(problem: Problem, kept: Capture, default: HloModule, options: argparse.Namespace) -> Found:
    solution = solve(problem, time_limit=options.time_limit, seed=options.seed, final=default)
    if not options.compile:
        return Found(solution.plan, None, "")
    named = name_plan(
        problem,
        solution.plan,
        solver="local",
        seed=options.seed,
        versions=kept.versions,
        scoped_vmem_kib=kept.scoped_vmem_kib,
    )
    relaxation = Relaxation(named)
    confirmed, _ = carry_out(relaxation, kept, compile_in_child, max_compiles=COMPILES, cut=True)
    honoured, sites, _ = judge_sites(problem, relaxation, solution.plan, confirmed.final)
    return Found(solution.plan, confirmed.final, f"honoured {honoured}/{sites}")


def _line(
    name: str,
    links: str,
    problem: Problem,
    found: Found,
    default: HloModule,
    bound: float,
    judge: Judge | None,
) -> tuple[str, ...]:
    """One line of the table; ``judge`` checks it."""
    before = replay_final(problem, default, "M")
    predicted = replay_plan(problem, found.plan, "M")
    replays = {"XLA's default": before, "the plan, predicted": predicted}
    if found.final is not None:
        replays["the plan, confirmed"] = replay_final(problem, found.final, "M")
    if judge is not None:
        judge.check(not before.missing, f"{name}: missing costs: {before.missing[:3]}")
        for what, replay in replays.items():
            judge.replayed(f"{name}: {what}", problem, replay)
            judge.check(replay.total >= bound * (1 - ROUNDING), f"{name}: {what} is below the proven bound")
    confirmed = replays.get("the plan, confirmed")
    return (
        name,
        links,
        _us(floor_of(problem)),
        _us(replay_final(problem, default, "E").total),
        _us(before.total),
        _us(bound),
        _percent(1 - bound / before.total),
        _us(predicted.total),
        _percent(1 - predicted.total / before.total),
        "" if confirmed is None else _us(confirmed.total),
        "" if found.final is None else _us(replay_final(problem, found.final, "E").total),
        found.honoured,
    )


def _us(seconds: float) -> str:
    return f"{1e6 * seconds:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


if __name__ == "__main__":
    sys.exit(main())
