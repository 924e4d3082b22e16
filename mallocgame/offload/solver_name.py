"""The solvers of the offload game by name, apart from them so that the command line loads nothing."""

from __future__ import annotations

from typing import Literal, get_args

SolverName = Literal["greedy", "local", "exact"]
SOLVERS: tuple[SolverName, ...] = get_args(SolverName)
