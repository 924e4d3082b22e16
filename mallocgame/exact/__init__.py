"""Exact answers and proven bounds: one formulation of the game's plans under model M, two solvers."""

from mallocgame.exact.answer import Exact, Status
from mallocgame.exact.bound import Bound, proven_bound
from mallocgame.exact.solve import BACKENDS, Backend, solve_exactly

__all__ = ["BACKENDS", "Backend", "Bound", "Exact", "Status", "proven_bound", "solve_exactly"]
