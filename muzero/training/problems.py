"""The memory game's problems as puzzles: shipped ones, and ones that the generator makes up."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import jax
import numpy as np

import workloads.problems as shipped
from mallocgame.errors import BadInputError
from mallocgame.game.program import Program
from mallocgame.game.rules import Game
from mallocgame.generator import random_problem, varied_recipe
from mallocgame.problem.schema import Problem
from mallocgame.progress import Progress
from mallocgame.solvers.base import all_hbm_seconds, solve
from muzero.environment import size_class_of
from muzero.memory_game import task_of
from muzero.networks import NETWORKS, Network, shape_of
from muzero.search import Environment
from muzero.training.config import ProblemsConfig, TrainConfig
from muzero.training.demonstrations import Demonstration, demonstrations_of, imitate
from muzero.training.puzzles import Puzzle


def training_puzzles(config: TrainConfig, progress: Progress) -> list[Puzzle]:
    """What is played; problems without a question to answer, or too large, are left out and told of.

    Raises:
        BadInputError: no such split or problem, or a problem file is damaged.
    """
    found: list[Puzzle] = []
    left_out: list[str] = []
    for name, problem in _problems(config.problems):
        puzzle = puzzle_of(name, problem, config.problems.most_sites)
        if puzzle is None:
            left_out.append(name)
        else:
            found.append(puzzle)
    progress(f"{len(found)} problems to train on; {len(left_out)} left out: {', '.join(left_out[:8]) or 'none'}")
    return found


def training_demonstrations(config: TrainConfig, train: Sequence[Puzzle], progress: Progress) -> list[Demonstration]:
    """Of the training puzzles, as many as the config says.

    Raises:
        BadInputError: a problem file is damaged.
    """
    if not config.imitation.steps:
        return []
    progress(f"asking local search about {len(train)} problems")
    numbers = {puzzle.name: number for number, puzzle in enumerate(train)}
    return [
        shown
        for name, problem in _problems(config.problems)
        if name in numbers
        for shown in demonstrations_of(numbers[name], problem, config.imitation, config.seed)
    ]


def evaluated_puzzles(
    config: TrainConfig, train: list[Puzzle], progress: Progress
) -> tuple[list[Puzzle], list[Demonstration]]:
    """What progress is measured on, with what greedy and local search find there; none without evaluations.

    Returns:
        The puzzles, and episodes after local search's plans; none of these without ``reference_steps``.

    Raises:
        BadInputError: a problem file is damaged.
    """
    if not config.evaluation.every:
        return [], []
    if config.evaluation.problems == "validation":
        names = shipped.names("validation")
        problems = {name: shipped.load(name).problem for name in names}
        most = config.evaluation.most_sites
        puzzles = [puzzle_of(name, problem, most) for name, problem in problems.items()]
        chosen = [puzzle for puzzle in puzzles if puzzle is not None]
    else:
        problems, chosen = dict(_problems(config.problems)), train
    progress(f"asking greedy and local search about {len(chosen)} problems")
    found, shown = [], []
    for number, puzzle in enumerate(chosen):
        problem = problems[puzzle.name]
        greedy = solve(problem, "greedy", time_limit=inf).seconds_under_m
        best = greedy
        if config.evaluation.reference_steps:
            local = solve(problem, "local", time_limit=inf, max_steps=config.evaluation.reference_steps)
            best = min(greedy, local.seconds_under_m)
            shown.append(imitate(Game(problem), local.plan, number, np.random.default_rng(0), errors=0.0))
        found.append(replace(puzzle, greedy_seconds=greedy, best_seconds=best))
    return found, shown


def puzzle_of(name: str, problem: Problem, most_sites: int) -> Puzzle | None:
    """The puzzle of a problem, or None if it has no sites or more than ``most_sites``."""
    program = Program(problem)
    if not 0 < len(program.sites) <= most_sites:
        return None
    size = size_class_of(program)
    task = task_of(program, size)
    return Puzzle(name, size, task, len(program.sites), all_hbm_seconds(problem), float(task.scale))


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
