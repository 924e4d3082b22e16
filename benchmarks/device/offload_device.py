"""The offload game's answers measured on the device that JAX has: `python -m benchmarks.device.offload_device`.

First the device's own rates: the link to pinned host memory each way and both ways, its memory, and its products. Then,
for each training step: full checkpointing runs alone, warm, and scales the model's times; the plans for 100, 75, 50 and
35 % of what XLA's default needs are solved with that, compiled, and solved again where the compiler needs more than the
model said. Each plan is compiled once more for every budget that it misses, with XLA told to rematerialise the rest.
XLA's default, its own rematerialisation for the same budgets, full checkpointing, everything named kept, everything
named offloaded and the plans then run in turn, the order within a round turning, on one state that each hands to the
next.

Told of each: the median time of a step, the memory that the compiler asks for, and the highest use that the allocator
has seen. The least hungry runs first, so that each peak is its own; None where it raised none. The answer for a budget
is the quickest of all that fit, by the first half of the rounds; the second half tells how it does beside the quickest
that is not ours, which is chosen by both halves. Rows are written as they come. On a CPU (`--programs` with tiny ones)
it only shows that it works: XLA's CPU compiler ignores offloading.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from typing import Any

import jax
import jax.numpy as jnp

from mallocgame.offload.candidates import scaled
from mallocgame.offload.confirm import judged_everywhere
from mallocgame.offload.judge import Judged
from mallocgame.offload.links import link_of_target
from mallocgame.offload.policy import NamedMoves, named_moves
from mallocgame.offload.problem import OffloadProblem
from mallocgame.offload.program import Build, load_training
from mallocgame.offload.residuals import read_residuals
from mallocgame.offload.solve import solve
from mallocgame.offload.usual import usual_moves
from mallocgame.probe import memory_rates
from mallocgame.probe.calibrate import ARRAY_BYTES, LARGE_BYTES, host_memory, target_of
from mallocgame.probe.device import describe_device
from mallocgame.problem.chips import Link
from mallocgame.problem.target_file import MeasuredTarget, Rate
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically
from mallocgame.system.printable import one_line

PROGRAMS = ("workloads.offload.transformer:large_transformer", "workloads.offload.convolutional:large_convolutional")
SHARES = (1.0, 0.75, 0.5, 0.35)
GPU_OPTIONS = {"xla_gpu_enable_latency_hiding_scheduler": True, "xla_gpu_enable_triton_gemm": False}
"""Of every compile on a GPU: copies to the host run beside the step, and products are the library's, for short
compiles."""
REMATERIALISATION = "xla_gpu_memory_limit_slop_factor"
"""XLA's option for GPUs: per cent of the memory beside arguments and results; for more it rematerialises."""
SOLVE_SECONDS = 10.0
"""Of each solve; the local solver takes a quarter."""

Options = Mapping[str, Any]
Row = dict[str, Any]


@dataclass
class Program:
    """One way to compile a training step.

    Attributes:
        label: for people.
        moves: what it tells JAX.
        options: of the compiler.
        budget: bytes that it was made for; None where it was made for none.
        predicted: by the judge, for a plan.
        executable: compiled.
        failure: why there is none, or why it does not run.
        seconds: of its steps, by round.
        peak_bytes: see the module.
    """

    label: str
    moves: NamedMoves
    options: Options
    budget: int | None = None
    predicted: Judged | None = None
    executable: Any = None
    failure: str = ""
    seconds: list[float] = field(default_factory=list)
    peak_bytes: int | None = None

    @property
    def ours(self) -> bool:
        """Whether it follows a plan."""
        return self.predicted is not None

    @property
    def device_bytes(self) -> int:
        """Device memory that the compiler asks for: arguments, results and temporaries, without what is shared."""
        found = self.executable.memory_analysis()
        parts = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
        return int(parts - found.alias_size_in_bytes)

    def row(self) -> Row:
        """Its row."""
        row: Row = {
            "label": self.label,
            "moves": None if self.moves.moves is None else dict(self.moves.moves),
            "options": dict(self.options),
            "budget": self.budget,
        }
        if self.executable is not None:
            row["device_bytes"] = self.device_bytes
            row["host_bytes"] = int(getattr(self.executable.memory_analysis(), "host_temp_size_in_bytes", 0))
            row["peak_bytes"] = self.peak_bytes
        if self.predicted is not None:
            row["predicted"] = {"bytes": self.predicted.peak, "seconds": self.predicted.seconds}
        if self.seconds:
            row |= {"seconds": median(self.seconds), "fastest": min(self.seconds), "runs": len(self.seconds)}
        return row | ({"failure": self.failure} if self.failure else {})


def measured_link(seconds: float) -> Link:
    """Rates of the device at hand."""
    device = describe_device(jax.devices())
    size = ARRAY_BYTES.get(device["platform"], LARGE_BYTES)
    rates = tuple(Rate(**rate) for rate in memory_rates.measure(jax.devices()[0], seconds, size))
    target, measured, _ = target_of(device, rates, host_memory())
    return link_of_target(MeasuredTarget(target, measured, device["kind"], device["versions"], rates), "here")


def compile_all(build: Build, programs: list[Program]) -> None:
    """Compile side by side; who fails is told so."""

    def finish(program: Program, lowered: Any) -> None:
        try:
            program.executable = lowered.compile(compiler_options=dict(program.options))
        except Exception as error:  # whatever the compiler says is a row
            program.failure = one_line(error, 300)

    with ThreadPoolExecutor(len(programs) or 1) as pool:
        for program in programs:
            step, arguments = build(program.moves.remat)
            pool.submit(finish, program, jax.jit(step).lower(*arguments))


def arrays(abstract: Any) -> Any:
    """Small numbers of these shapes that repeat nowhere near, made on the device."""

    def make(leaf: Any) -> jax.Array:
        count = jnp.arange(math.prod(leaf.shape), dtype=jnp.uint32).reshape(leaf.shape) * jnp.uint32(2654435761)
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return (count % 64).astype(leaf.dtype)
        return ((count.astype(jnp.float32) / 2.0**31 - 1.0) * 0.03).astype(leaf.dtype)

    return jax.block_until_ready(jax.jit(lambda: jax.tree.map(make, abstract))())


class Runs:
    """Runs of programs on one state: their first two arguments, which each gives back as its first two results."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments
        self._given: tuple[Any, ...] | None = None

    def run(self, program: Program) -> float | None:
        """Seconds of a step; None where it fails, which the program then says."""
        if self._given is None:
            self._given = arrays(self._arguments)
        given, self._given = self._given, None
        started = perf_counter()
        try:
            weights, velocity, *_ = jax.block_until_ready(program.executable(*given))
        except Exception as error:
            program.failure = one_line(error, 300)
            return None
        seconds = perf_counter() - started
        self._given = (weights, velocity, *given[2:])
        return seconds


def peak_seen() -> int:
    """The highest use of device memory so far; 0 where the device does not tell."""
    return int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))


class Table:
    """The rows so far, written whenever they change."""

    def __init__(self, out: Path, link: Link) -> None:
        self._out = out
        self._versions = {"jax": jax.__version__, "device": jax.devices()[0].device_kind}
        self._link = {name: getattr(link, name) for name in Link.__dataclass_fields__}
        self._rows: dict[str, list[Row]] = {}

    def put(self, program: str, rows: list[Row]) -> None:
        """Take these rows as a program's."""
        self._rows[program] = rows
        document = {"versions": self._versions, "link": self._link, "programs": self._rows}
        write_atomically(self._out, (json.dumps(document, indent=1) + "\n").encode())


def plans_of(
    problem: OffloadProblem, build: Build, budgets: Mapping[str, int], margin: int, options: Options
) -> Iterator[Program]:
    """A compiled plan for each budget, by its label; solved again while the compiler needs more than the model said.

    Args:
        problem: with times of this device.
        build: of the step.
        budgets: bytes.
        margin: what the compiler needs beyond the model, as far as known.
        options: of the compiler.
    """
    margins, latest = dict.fromkeys(budgets, margin), dict[str, Program]()
    for _ in range(3):
        found: list[Program] = []
        for label, short in margins.items():
            solved = solve(problem, max(0, budgets[label] - short), solver="local", time_limit=SOLVE_SECONDS)
            if solved.plan is not None and solved.judged is not None:
                moves = named_moves(problem, solved.plan.moves)
                found.append(Program(label, moves, options, budgets[label], solved.judged))
        compile_all(build, found)
        margins.clear()
        for program in found:
            assert program.predicted is not None, "a plan was judged"
            latest[program.label] = program
            if not program.failure and program.device_bytes > budgets[program.label]:
                margins[program.label] = program.device_bytes - program.predicted.peak
    yield from latest.values()


def measure_program(reference: str, link: Link, rounds: int, end: float, table: Table) -> None:
    """Compile and measure one training step every way, until ``end`` by the monotonic clock."""
    started = monotonic()

    def tell(line: str) -> None:
        print(f"{reference.split(':')[1]}: {line}, {monotonic() - started:.0f} s", flush=True)

    training = load_training(reference)
    build, problem = training.build, read_residuals(training, link).problem
    tell(f"{len(problem.tensors)} residuals")
    options = GPU_OPTIONS if jax.default_backend() == "gpu" else {}
    default = Program("xla default", NamedMoves(None), options)
    usual = {label: Program(label, moves, options) for label, moves in usual_moves(problem).items()}
    programs = [default, *usual.values()]
    compile_all(build, programs)
    tell("usual ones compiled")
    _, arguments = build(NamedMoves(None).remat)
    runs, full = Runs(arguments), usual["full checkpointing"]
    table.put(reference, [program.row() for program in programs])
    if default.failure or full.failure:
        raise BadInputError(f"{reference}: {default.failure or full.failure}")
    alone = [runs.run(full) for _ in range(8)][3:]
    recompute = judged_everywhere(problem, full.moves)
    if None not in alone:
        problem = scaled(problem, median(seconds for seconds in alone if seconds) / recompute.seconds)
    margin = full.device_bytes - recompute.peak
    tell(f"full checkpointing takes {alone}, by the model {recompute.seconds:.4f} s")
    budgets = {share: int(default.device_bytes * share) for share in SHARES}
    if options:
        programs += [rematerialised(default, share, budget, link) for share, budget in budgets.items() if share < 1.0]
        compile_all(build, [program for program in programs if program.executable is None])
    labels = {f"plan for {share:.0%}": budget for share, budget in budgets.items()}
    plans = list(plans_of(problem, build, labels, margin, options))
    programs += plans
    if options:
        mixed = [
            rematerialised(default, share, budget, link, plan)
            for plan in plans
            for share, budget in budgets.items()
            if not plan.failure and plan.device_bytes > budget
        ]
        compile_all(build, mixed)
        programs += mixed
    tell("all compiled")
    table.put(reference, [program.row() for program in programs])
    able = sorted((program for program in programs if not program.failure), key=lambda one: one.device_bytes)
    for program in able:
        before = peak_seen()
        runs.run(program)
        program.peak_bytes = peak_seen() if peak_seen() > before else None
    tell("all ran once")
    for turn in range(rounds):
        able = [program for program in able if not program.failure]
        for program in able[turn % len(able) :] + able[: turn % len(able)]:
            seconds = runs.run(program)
            if seconds is not None:
                program.seconds.append(seconds)
        table.put(reference, [program.row() for program in programs])
        if monotonic() > end:
            break
    rows = (answer_row(f"{share:.0%}", budget, programs) for share, budget in budgets.items())
    answers = [row for row in rows if row is not None]
    table.put(reference, [*(program.row() for program in programs), *answers])
    for program in programs:
        told = f"{median(program.seconds) * 1e3:9.3f} ms" if program.seconds else program.failure
        size = f"{program.device_bytes / 2**20:9.1f} MiB" if program.executable else ""
        print(f"  {program.label:<50} {told} {size}", flush=True)
    for row in answers:
        print("  " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)


def answer_row(share: str, budget: int, programs: list[Program]) -> Row | None:
    """What is chosen for a budget and how it does, beside the quickest that is not ours; None if nothing fits."""
    fitting = [program for program in programs if program.seconds and program.device_bytes <= budget]
    half = min((len(program.seconds) for program in fitting), default=0) // 2
    if half == 0:
        return None
    chosen = min(fitting, key=lambda one: median(one.seconds[:half]))
    row: Row = {
        "label": f"answer for {share}",
        "budget": budget,
        "chosen": chosen.label,
        "seconds": median(chosen.seconds[half:]),
        "runs": len(chosen.seconds) - half,
    }
    others = [program for program in fitting if not program.ours]
    if others:
        best = min(others, key=lambda one: median(one.seconds))
        row |= {"best of the others": best.label, "its seconds": median(best.seconds[half:])}
    return row


def rematerialised(default: Program, share: float, budget: int, link: Link, plan: Program | None = None) -> Program:
    """XLA's default, or a plan, told to rematerialise for a budget."""
    memory = default.executable.memory_analysis()
    fixed = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    limit = max(1, 100 * (budget - fixed) // (link.device_bytes - fixed))
    options = {**default.options, REMATERIALISATION: int(limit)}
    if plan is None:
        return Program(f"xla rematerialisation for {share:.0%}", default.moves, options, budget)
    label = f"{plan.label}, xla rematerialisation for {share:.0%}"
    return Program(label, plan.moves, options, budget, plan.predicted)


def main() -> int:
    """Measure, print, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=130.0, help="no round begins later; shared by the programs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the rows")
    chosen = parser.parse_args()
    started = monotonic()
    link = measured_link(3.0)
    print(link, flush=True)
    name = re.sub(r"[^A-Za-z0-9]+", "-", link.name).strip("-").lower()
    chosen.out.mkdir(parents=True, exist_ok=True)
    table = Table(chosen.out / f"offload-{name}.json", link)
    failed = 0
    for number, program in enumerate(chosen.programs):
        try:
            end = started + chosen.seconds * (number + 1) / len(chosen.programs)
            measure_program(program, link, chosen.rounds, end, table)
        except Exception as error:  # the next program goes on
            failed += 1
            print(f"{program}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
