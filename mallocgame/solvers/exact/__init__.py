"""Exact answers and proven bounds: one formulation of the game's plans under model M, two solvers."""

from mallocgame.solvers.exact.answer import Exact, Status
from mallocgame.solvers.exact.bound import Bound, proven_bound
from mallocgame.solvers.exact.solve import BACKENDS, Backend, solve_exactly

__all__ = ["BACKENDS", "Backend", "Bound", "Exact", "Status", "proven_bound", "solve_exactly"]
