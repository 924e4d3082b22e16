"""The memory game as the agent plays it: rewards as shares of what a problem has to give."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from mallocgame.game.program import Program
from mallocgame.models.replay import relaxed_bound
from mallocgame.problem.schema import Problem
from mallocgame.solvers.base import all_hbm_seconds
from muzero import environment
from muzero.environment import Observation, SizeClass, State, Tables, size_class_of, tables_of
from muzero.search import Environment, batched


class Task(NamedTuple):
    """What the agent's environment takes as its tables; a pytree, so tasks of one size class can be stacked.

    Attributes:
        tables: of the problem.
        scale: float64[], seconds that a return of 1 saves.
    """

    tables: Tables
    scale: npt.NDArray[np.float64]


def scale_of(problem: Problem) -> float:
    """Seconds between everything in HBM and the relaxed bound, which no plan beats: returns are at most 1.

    Where that is nothing, the whole time, or 1 s.
    """
    whole = all_hbm_seconds(problem)
    gain = whole - relaxed_bound(problem, "M")
    return gain if gain > 1e-9 * whole else whole or 1.0


def task_of(program: Program, size: SizeClass | None = None) -> Task:
    """The task of a program, in the smallest size class that holds it or a given one.

    Raises:
        BadInputError: no class holds it, or fast memory is too large.
    """
    tables = tables_of(program, size_class_of(program) if size is None else size)
    return Task(tables, np.array(scale_of(program.problem), np.float64))


def memory_game(*, shared: bool) -> Environment:
    """The memory game on a batch of positions.

    Args:
        shared: whether the tables are one ``Task`` for all positions; else each has its own, stacked.
    """
    return batched(_start, _step, _observe, shared=shared)


def _start(task: Task) -> State:
    return environment.start(task.tables)


def _step(task: Task, state: State, move: jax.Array) -> tuple[State, jax.Array]:
    state, seconds = environment.step(task.tables, state, move)
    return state, (seconds / task.scale).astype(jnp.float32)


def _observe(task: Task, state: State) -> Observation:
    return environment.observe(task.tables, state)
