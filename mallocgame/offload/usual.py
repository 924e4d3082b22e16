"""The policies that people write, as moves of a problem's names."""

from __future__ import annotations

from mallocgame.offload.policy import NamedMoves, named_moves
from mallocgame.offload.problem import Move, OffloadProblem
from mallocgame.offload.rules import everywhere

FULL, KEPT, OFFLOADED = "full checkpointing", "all named kept", "all named offloaded"
"""Their labels."""


def usual_moves(problem: OffloadProblem) -> dict[str, NamedMoves]:
    """The policies that people write: by label, the move of every name."""
    policies: dict[str, Move] = {
        FULL: "recompute",
        KEPT: "keep",
        OFFLOADED: "offload",
    }
    found: dict[str, NamedMoves] = {}
    for label, move in policies.items():
        moves = named_moves(problem, everywhere(problem, move, "keep")).moves
        assert moves is not None, "a policy"
        found[label] = NamedMoves({**moves, **dict.fromkeys((near.name for near in problem.near), move)})
    return found
