"""From parsed dumps and a target to the problem of the game."""

from __future__ import annotations

from mallocgame.problem.build import build_problem
from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Target, Tensor, Use
from mallocgame.problem.targets import TARGETS, TOPOLOGIES, get_target, target_from_log, topology_for

__all__ = [
    "TARGETS",
    "TOPOLOGIES",
    "Computation",
    "Group",
    "Instruction",
    "Problem",
    "Target",
    "Tensor",
    "Use",
    "build_problem",
    "get_target",
    "target_from_log",
    "topology_for",
]
