"""Many programs at once: each solved in a process of its own, with results that an interrupted run goes on from."""

from mallocgame.batch.find import find_programs, is_batch
from mallocgame.batch.results import Result
from mallocgame.batch.run import Engine, Outcome, solve_all

__all__ = ["Engine", "Outcome", "Result", "find_programs", "is_batch", "solve_all"]
