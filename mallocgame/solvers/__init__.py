"""Solvers: from a problem to a plan. ``solve`` runs one of ``SOLVERS`` by name."""

from mallocgame.solvers.base import Solution, names, solve

SOLVERS = names()

__all__ = ["SOLVERS", "Solution", "solve"]
