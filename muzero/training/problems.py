"""The memory game's problems as puzzles: shipped ones, and ones that the generator makes up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from math import inf
from multiprocessing import get_context
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

import workloads.problems as shipped
from mallocgame.game.program import Program
from mallocgame.game.rules import Game
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.annealing.warm_up import compile_native
from mallocgame.solvers.base import all_hbm_seconds, solve
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress
from muzero.environment import size_class_of, with_known
from muzero.memory_game import task_of
from muzero.networks import NETWORKS, Network, shape_of
from muzero.search import Environment
from muzero.training.config import ProblemsConfig, TrainConfig
from muzero.training.demonstrations import Demonstration, best_to_follow, imitate
from muzero.training.puzzles import Puzzle
from workloads.generator import random_problem, varied_recipe

NONE, GREEDY, HASTY = KNOWN = ("none", "greedy", "hasty")
"""Kinds of plans that are shown to the agent."""

HASTY_STEPS = 300
"""Of local search, for a plan that is good and can be bettered."""

MANY = 64
"""So many problems are worth processes of their own."""

T = TypeVar("T")
R = TypeVar("R")


class Prepared(NamedTuple):
    """What a job makes of a problem, for each plan that is shown to the agent.

    Attributes:
        puzzle: the problem with the plan.
        demonstrations: of it, without its number.
    """

    puzzle: Puzzle
    demonstrations: list[Demonstration]


def training_puzzles(
    config: TrainConfig, progress: Progress, *, demonstrate: bool
) -> tuple[list[Puzzle], list[Demonstration]]:
    """What is played, and demonstrations of it if they are wanted and the config has some.

    Problems without a question to answer, or too large, are left out and told of. Many problems are prepared by all
    cores.

    Raises:
        BadInputError: no such split, problem or kind of known plan, or a problem file is damaged.
    """
    unknown = [known for known in config.problems.known if known not in KNOWN]
    if unknown or not config.problems.known:
        raise BadInputError(f"unknown kind of known plan {(*unknown, '')[0]!r}; known: {', '.join(KNOWN)}")
    puzzles: list[Puzzle] = []
    demonstrations: list[Demonstration] = []
    left_out: list[str] = []
    steps = config.imitation.steps if demonstrate else 0
    work = partial(prepare, replace(config, imitation=replace(config.imitation, steps=steps)))
    problems = list(_problems(config.problems))
    progress(f"preparing {len(problems)} problems" + (", asking local search about each" if steps else ""))
    for (name, _), found in zip(problems, _each(work, problems), strict=True):
        if not found:
            left_out.append(name)
        for made in found:
            demonstrations += [replace(one, puzzle=len(puzzles)) for one in made.demonstrations]
            puzzles.append(made.puzzle)
    progress(f"{len(puzzles)} puzzles to train on; {len(left_out)} left out: {', '.join(left_out[:8]) or 'none'}")
    return puzzles, demonstrations


def prepare(config: TrainConfig, named: tuple[str, Problem]) -> list[Prepared]:
    """One problem with each of the config's known plans; nothing if it has no sites or too many.

    Args:
        config: of the job; with no steps of local search there are no demonstrations.
        named: name and problem.
    """
    name, problem = named
    program = Program(problem)
    if not 0 < len(program.sites) <= config.problems.most_sites:
        return []
    plans = {known: _known_plan(known, problem, config.seed) for known in config.problems.known}
    demonstrated: list[list[Demonstration]] = [[] for _ in plans]
    if config.imitation.steps:
        game = Game(problem)
        local = solve(problem, "local", time_limit=inf, max_steps=config.imitation.steps, seed=config.seed).plan
        best = best_to_follow(game, [local, *(plan for plan in plans.values() if plan is not None)])
        for number, own in enumerate(demonstrated):
            rng = np.random.default_rng([config.seed, number])
            for again in range(config.imitation.episodes):
                own.append(imitate(game, best, 0, rng, config.imitation.errors if again else 0.0))
    puzzles = puzzles_of(name, program, plans)
    return [Prepared(*both) for both in zip(puzzles, demonstrated, strict=True)]


def evaluated_puzzles(config: TrainConfig, progress: Progress) -> tuple[list[Puzzle], list[Demonstration]]:
    """What progress is measured on, with what greedy and local search find there; none without evaluations.

    Greedy's plan is shown where it is in training.

    Returns:
        The puzzles, and episodes after local search's or greedy's plans; none of these without ``reference_steps``.

    Raises:
        BadInputError: a problem file is damaged.
    """
    if not config.evaluation.every:
        return [], []
    if config.evaluation.problems == "validation":
        problems = [(name, shipped.load(name).problem) for name in shipped.names("validation")]
        most = config.evaluation.most_sites
    else:
        problems, most = list(_problems(config.problems)), config.problems.most_sites
    known = GREEDY if GREEDY in config.problems.known else config.problems.known[0]
    progress(f"asking greedy and local search about {len(problems)} problems")
    found: list[Puzzle] = []
    demonstrations: list[Demonstration] = []
    for name, problem in problems:
        program = Program(problem)
        if not 0 < len(program.sites) <= most:
            continue
        greedy = solve(problem, "greedy", time_limit=inf)
        best = greedy.seconds_under_m
        if config.evaluation.reference_steps:
            local = solve(problem, "local", time_limit=inf, max_steps=config.evaluation.reference_steps)
            best = min(best, local.seconds_under_m)
            game = Game(problem)
            followed = best_to_follow(game, [local.plan, greedy.plan])
            demonstrations.append(imitate(game, followed, len(found), np.random.default_rng(0), errors=0.0))
        shown = greedy.plan if known == GREEDY else _known_plan(known, problem, config.seed)
        (puzzle,) = puzzles_of(name, program, {known: shown})
        found.append(replace(puzzle, greedy_seconds=greedy.seconds_under_m, best_seconds=best))
    return found, demonstrations


def puzzles_of(name: str, program: Program, plans: Mapping[str, Plan | None]) -> list[Puzzle]:
    """The puzzles of a program that has sites: one for each kind of plan that is shown to the agent, with the plan.

    Raises:
        BadInputError: the program is too large for the environment.
    """
    problem, size = program.problem, size_class_of(program)
    task, hbm_seconds = task_of(program, size), all_hbm_seconds(problem)
    found = []
    for known, plan in plans.items():
        shown = task if plan is None else task._replace(tables=with_known(task.tables, program, plan))
        own = name if known == NONE else f"{name} {known}"
        found.append(Puzzle(own, size, shown, len(program.sites), hbm_seconds, float(task.scale)))
    return found


def _known_plan(known: str, problem: Problem, seed: int) -> Plan | None:
    """The plan of a kind that is shown."""
    if known == NONE:
        return None
    if known == GREEDY:
        return solve(problem, "greedy", time_limit=inf).plan
    return solve(problem, "local", time_limit=inf, max_steps=HASTY_STEPS, seed=seed).plan


def _each(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """The results in order; of many items, computed by all cores."""
    if len(items) < MANY:
        yield from map(work, items)
        return
    compile_native()  # once, into its cache
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, items, chunksize=4)


def network_of(config: TrainConfig, environment: Environment, puzzle: Puzzle) -> Network:
    """The network of the config for what the environment shows, the same for all puzzles."""

    def seen(task: Any) -> Any:
        states = jax.tree.map(lambda leaf: leaf[None], environment.start(task))
        observations = environment.observe(jax.tree.map(lambda leaf: leaf[None], task), states)
        return jax.tree.map(lambda leaf: leaf[0], observations)

    sizes = replace(NETWORKS[config.network], board=config.board)
    return Network(sizes, shape_of(jax.eval_shape(seen, puzzle.tables)))


def _variant(problem: Problem, number: int) -> Problem:
    """The same program with another size of fast memory, drawn by the number."""
    target = problem.target
    share = 2.0 ** random.Random(f"{problem.fingerprint} {number}").uniform(-2.0, 1.0)
    fast_bytes = max(1, int(target.fast_bytes * share) // target.alignment) * target.alignment
    return replace(problem, target=replace(target, fast_bytes=fast_bytes))


def _problems(config: ProblemsConfig) -> Iterator[tuple[str, Problem]]:
    """Name and problem: shipped ones, then made-up ones."""
    unknown = [split for split in config.splits if split not in shipped.SPLITS]
    if unknown:
        raise BadInputError(f"unknown split {unknown[0]!r}; known: {', '.join(shipped.SPLITS)}")
    names = dict.fromkeys([name for split in shipped.SPLITS if split in config.splits for name in shipped.names(split)])
    for name in [*names, *(name for name in config.names if name not in names)]:
        try:
            problem = shipped.load(name).problem
        except KeyError as error:
            raise BadInputError(error.args[0]) from None
        yield name, problem
        for number in range(config.variants):
            yield f"{name}-{number}", _variant(problem, number)
    for seed in range(config.generator_seed, config.generator_seed + config.generated):
        yield f"generated-{seed}", random_problem(seed, varied_recipe(seed, config.generated_instructions))
