"""Plans of local search as episodes of the game, to learn from before the agent plays well itself.

A site wants fast memory if the plan has it there. At each decision two moves are legal, DROP and one that uses fast
memory, so the move nearest to the plan is clear, and the episode is legal whatever the plan. It may save less than the
plan: the game gives addresses as it goes, and where they do not work out, what the plan has in fast memory stays in
HBM.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from mallocgame.game.program import Site
from mallocgame.game.rules import Game, Move
from mallocgame.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.solvers.base import solve
from muzero.training.config import ImitationConfig


@dataclass(frozen=True, eq=False)
class Demonstration:
    """The decisions of one episode; forced moves are none.

    Attributes:
        puzzle: number of the puzzle in the job's list.
        moves: int8 [S], what was played, of ``mallocgame.game.Move``.
        taught: int8 [S], what the plan says there; another move than the played one where the episode errs.
    """

    puzzle: int
    moves: np.ndarray
    taught: np.ndarray


def demonstrations_of(puzzle: int, problem: Problem, config: ImitationConfig, seed: int) -> list[Demonstration]:
    """Episodes after the best plan that local search finds in ``config.steps``.

    The first follows the plan. The others err here and there, to show what to do after a mistake; they are taught the
    plan's moves all the same.

    Args:
        puzzle: number of the puzzle.
        problem: the puzzle's.
        config: how many, and how often they err.
        seed: of the search and the errors.
    """
    plan = solve(problem, "local", time_limit=inf, max_steps=config.steps, seed=seed).plan
    game = Game(problem)
    rng = np.random.default_rng([seed, puzzle])
    return [imitate(game, plan, puzzle, rng, config.errors if number else 0.0) for number in range(config.episodes)]


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
    return Demonstration(puzzle, np.array(moves, np.int8), np.array(taught, np.int8))


def is_fast(plan: Plan, site: Site) -> bool:
    """Whether a plan has what a site asks about in fast memory."""
    if site.use < 0:
        return site.tensor in plan.fast_definitions
    return (site.tensor, site.use) in plan.fast_uses
