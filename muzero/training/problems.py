"""The memory game's problems as puzzles: shipped ones, and ones that the generator makes up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import Any

import jax

import workloads.problems as shipped
from mallocgame.errors import BadInputError
from mallocgame.game.program import Program
from mallocgame.generator import random_problem, varied_recipe
from mallocgame.problem.schema import Problem
from mallocgame.progress import Progress
from mallocgame.solvers.base import all_hbm_seconds, solve
from muzero.environment import size_class_of
from muzero.memory_game import task_of
from muzero.networks import NETWORKS, Network, shape_of
from muzero.search import Environment
from muzero.training.config import ProblemsConfig, TrainConfig
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


def evaluated_puzzles(config: TrainConfig, train: list[Puzzle], progress: Progress) -> list[Puzzle]:
    """What progress is measured on, with what greedy and local search find there; none without evaluations.

    Raises:
        BadInputError: a problem file is damaged.
    """
    if not config.evaluation.every:
        return []
    if config.evaluation.problems == "validation":
        names = shipped.names("validation")
        problems = {name: shipped.load(name).problem for name in names}
        puzzles = [puzzle_of(name, problem, config.problems.most_sites) for name, problem in problems.items()]
        chosen = [puzzle for puzzle in puzzles if puzzle is not None]
    else:
        problems, chosen = dict(_problems(config.problems)), train
    progress(f"asking greedy and local search about {len(chosen)} problems")
    return [_with_references(puzzle, problems[puzzle.name], config) for puzzle in chosen]


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


def _problems(config: ProblemsConfig) -> Iterator[tuple[str, Problem]]:
    """Name and problem: shipped ones, then made-up ones."""
    unknown = [split for split in config.splits if split not in shipped.SPLITS]
    if unknown:
        raise BadInputError(f"unknown split {unknown[0]!r}; known: {', '.join(shipped.SPLITS)}")
    names = dict.fromkeys([name for split in shipped.SPLITS if split in config.splits for name in shipped.names(split)])
    for name in [*names, *(name for name in config.names if name not in names)]:
        try:
            yield name, shipped.load(name).problem
        except KeyError as error:
            raise BadInputError(error.args[0]) from None
    for seed in range(config.generator_seed, config.generator_seed + config.generated):
        yield f"generated-{seed}", random_problem(seed, varied_recipe(seed, config.generated_instructions))


def _with_references(puzzle: Puzzle, problem: Problem, config: TrainConfig) -> Puzzle:
    """With the seconds of greedy's plan, and of the best of local search's in so many steps."""
    greedy = solve(problem, "greedy", time_limit=inf).seconds_under_m
    steps = config.evaluation.reference_steps
    local = solve(problem, "local", time_limit=inf, max_steps=steps).seconds_under_m if steps else inf
    return replace(puzzle, greedy_seconds=greedy, best_seconds=min(greedy, local))
