"""Teaches a capture what its instructions cost under other placements, by compiling it under a few random plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.child import Compile, Limits, compile_in_child
from mallocgame.compiler.confirm import MSA_OFF_OPTIONS, confirm
from mallocgame.compiler.meter import Meter
from mallocgame.compiler.relax import Relaxation
from mallocgame.compiler.verify import carry_out
from mallocgame.models.cycles.sites import plan_of_masks
from mallocgame.models.replay import replay_plan
from mallocgame.models.replay.observe import Observation, observation_of, observations_of, to_text
from mallocgame.optimizer.random_plans import random_plan
from mallocgame.plan.named_plan import NamedPlan, name_plan
from mallocgame.system.errors import CompilerRefusedError, NoAnswerError
from mallocgame.system.progress import Progress, Stage, silent

SHARES = (0.5, 0.9, 0.3, 0.7)
"""Probability of each group to go to fast memory in the random plans, in turn."""

DRAWS = 10
"""Plans drawn for each compile: small programs have few, and none is compiled twice."""


def calibrate(
    capture: Capture,
    compiles: int,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    compile: Compile = compile_in_child,
    progress: Progress = silent,
) -> Capture:
    """The capture with what a compile without MSA and compiles of random plans show, instead of what it had.

    A plan that the compiler refuses is compiled again without what was refused. What fails for another reason is left
    out; it counts as a compile. No plan is compiled twice, so a small program may take fewer compiles.

    Args:
        capture: of XLA's default.
        compiles: how many.
        seed: of the random plans.
        limits: of each compile.
        compile: who compiles, e.g. a cache: then the same call goes on where an interrupted one stopped.
        progress: is told of each compile.

    Raises:
        BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
    """
    meter = Meter(compile)
    seen: list[Observation] = []
    for plan in _programs(capture, seed, DRAWS * compiles):
        left = compiles - meter.compiles
        if left == 0:
            break
        progress(Stage(f"calibrating, compile {meter.compiles + 1} of {compiles}"))
        try:
            if plan is None:
                confirmed = confirm(capture, "msa off", {**capture.options, **MSA_OFF_OPTIONS}, meter, limits)
            else:
                confirmed, _ = carry_out(Relaxation(plan), capture, meter, limits=limits, max_compiles=left)
            seen.append(observation_of(capture.problem(), confirmed.final))
        except (CompilerRefusedError, NoAnswerError) as error:
            progress(f"left out: {error}")
    return replace(capture, observed=to_text(seen))


def _programs(capture: Capture, seed: int, draws: int) -> Iterator[NamedPlan | None]:
    """What to compile: MSA switched off (None), then random plans, each once."""
    yield None
    known = set()
    for number in range(draws):
        named = random_named_plan(capture, number, seed)
        if named.plan.stays and named.plan not in known:
            known.add(named.plan)
            yield named


def random_named_plan(capture: Capture, number: int, seed: int = 0) -> NamedPlan:
    """The random plan of this number, counted from 0, that ``calibrate`` compiles."""
    problem, own_seed = capture.problem(), 1000 * seed + number
    plan = random_plan(problem, own_seed, SHARES[number % len(SHARES)])
    return name_plan(problem, plan, solver="random", seed=own_seed, scoped_vmem_kib=capture.scoped_vmem_kib)


def interpolation_errors(capture: Capture) -> tuple[float, ...]:
    """For each calibrating plan of a capture, predicted E / confirmed E - 1, predicted from all compiles but its own.

    E is here without waiting for copies, which no cycles can tell.

    Raises:
        BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
    """
    problem, whole = capture.problem(), capture.cycles()
    seen = observations_of(capture.observed, problem)
    found = []
    for number, one in enumerate(seen):
        if any(one.masks):
            others = to_text([*seen[:number], *seen[number + 1 :]])
            plan = plan_of_masks(problem, one.masks)
            predicted = replay_plan(problem, plan, "E", replace(capture, observed=others).cycles())
            found.append(predicted.total / replay_plan(problem, plan, "E", whole).total - 1)
    return tuple(found)
