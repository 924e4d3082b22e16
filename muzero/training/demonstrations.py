"""Plans of solvers as episodes of the game, to learn from before the agent plays well itself.

A site wants fast memory if the plan has it there. At each decision two moves are legal, DROP and one that uses fast
memory, so the move nearest to the plan is clear, and the episode is legal whatever the plan. It may save less than the
plan: the game gives addresses as it goes, and where they do not work out, what the plan has in fast memory stays in
HBM.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mallocgame.game.rules import Game, Move
from mallocgame.plan.plan import Plan
from muzero.environment import is_fast


@dataclass(frozen=True, eq=False)
class Demonstration:
    """The decisions of one episode; forced moves are none.

    Attributes:
        puzzle: number of the puzzle in the job's list.
        moves: int8 [S], what was played, of ``mallocgame.game.Move``.
        taught: int8 [S], what the plan says there; another move than the played one where the episode errs.
        seconds: under M of the episode.
    """

    puzzle: int
    moves: np.ndarray
    taught: np.ndarray
    seconds: float


def best_to_follow(game: Game, plans: Iterable[Plan]) -> Plan:
    """The plan whose episode is the best one, which need not be the best plan: see above."""
    rng = np.random.default_rng(0)
    return min(plans, key=lambda plan: imitate(game, plan, 0, rng, 0.0).seconds)


def imitate(game: Game, plan: Plan, puzzle: int, rng: np.random.Generator, errors: float) -> Demonstration:
    """One episode after a plan.

    Args:
        game: of the plan's problem.
        plan: to be followed.
        puzzle: for the result.
        rng: draws the errors.
        errors: chance of the other move at a decision.
    """
    state = game.start()
    moves, taught = [], []
    while not game.done(state):
        legal, site = game.legal(state), game.site(state)
        move = next(iter(legal))
        if len(legal) > 1:
            other = next(iter(legal - {Move.DROP}))
            wanted = other if is_fast(plan, site) else Move.DROP
            move = wanted if rng.random() >= errors else next(iter(legal - {wanted}))
            moves.append(move.value)
            taught.append(wanted.value)
        state, _ = game.step(state, move)
    return Demonstration(puzzle, np.array(moves, np.int8), np.array(taught, np.int8), game.total(state))
