"""Does the JAX environment play the same game as ``mallocgame.game``? Random moves in both, compared move by move."""

from __future__ import annotations

import random
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from mallocgame.game import Game, Move
from mallocgame.game import State as Reference
from mallocgame.game.places import Places, places_of
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from muzero.environment.known import with_places
from muzero.environment.plans import plan_of
from muzero.environment.sizes import SizeClass
from muzero.environment.state import BARRED, State
from muzero.environment.steps import start, step
from muzero.environment.tables import RESERVED, size_class_of, tables_of

TOLERANCE = 1e-9
"""Differences of seconds up to this share of the time with everything in HBM are rounding."""


class ConformanceError(AssertionError):
    """The two games differ; the message names the first difference."""


class Played(NamedTuple):
    """What was compared.

    Attributes:
        moves: how many.
        episodes: finished ones.
        drop_backups: groups that were barred in them.
    """

    moves: int
    episodes: int
    drop_backups: int


@cache
def compiled(function: Any) -> Any:
    """The jitted function, the same one for all callers, so that it compiles once for each size class."""
    return jax.jit(function)


def check(problem: Problem, seed: int, moves: int) -> None:
    """Play random legal moves in both games and compare legal moves, rewards, offsets, starts and plans.

    Args:
        problem: to be played.
        seed: of the moves.
        moves: at least so many are made; the last episode is played to its end.

    Raises:
        ConformanceError: the games differ.
    """
    play(problem, seed, moves)


def play(problem: Problem, seed: int, moves: int, size: SizeClass | None = None) -> Played:
    """Like ``check``, in a given size class. Each second episode knows the plan of the one before.

    Raises:
        ConformanceError: the games differ.
    """
    game = Game(problem)
    tables = tables_of(game.program, size or size_class_of(game.program))
    rng, done, episodes, backups = random.Random(seed), 0, 0, 0
    known: Plan | None = None
    while done < moves and game.program.sites:
        game.places = Places() if known is None else places_of(game.program, known)
        own = tables if known is None else with_places(tables, game.program, known)
        state, reference = _episode(game, own, rng)
        done += len(reference.moves)
        episodes += 1
        backups += len(reference.barred)
        plan = game.plan(reference)
        _same("plan", plan, plan_of(game.program, tables, state), len(reference.moves))
        known = plan if known is None else None
    return Played(done, episodes, backups)


def _episode(game: Game, tables: Any, rng: random.Random) -> tuple[State, Reference]:
    """The last states of an episode with random leanings, compared after each move."""
    leaning = {move: rng.random() + 0.05 for move in Move}
    state, reference = compiled(start)(tables), game.start()
    slack = TOLERANCE * game.total(reference)
    while True:
        _compare(game, state, reference, slack)
        if game.done(reference):
            return state, reference
        moves = sorted(game.legal(reference), key=lambda move: move.value)
        move = rng.choices(moves, [leaning[move] for move in moves])[0]
        reference, expected = game.step(reference, move)
        state, reward = compiled(step)(tables, state, np.int32(move.value))
        if abs(expected - float(reward)) > slack:
            raise ConformanceError(f"move {len(reference.moves)}: the reward is {float(reward)!r}, not {expected!r} s")


def _compare(game: Game, state: State, reference: Reference, slack: float) -> None:
    at = len(reference.moves)
    _same("number of answered sites", at, int(state.at), at)
    _same("done", game.done(reference), bool(state.done), at)
    legal = [move in game.legal(reference) for move in Move]
    _same("legal moves", legal, np.asarray(state.legal).tolist(), at)
    moves = np.asarray(state.moves)[:at]
    _same("moves", [move.value for move in reference.moves], np.where(moves == BARRED, 0, moves).tolist(), at)
    _same("barred groups", len(reference.barred), int((moves == BARRED).sum()), at)
    tensors = game.problem.tensors
    stays = sorted(
        (stay.offset, stay.start, stay.end, tensors[stay.tensor].group)
        for stays in reference.board.stays.values()
        for stay in stays
    )
    stays = sorted(stays + [(one.offset, one.start, one.end, RESERVED) for one in game.problem.reserved])
    columns = (state.stays.low, state.stays.start, state.stays.end, state.stays.owner)
    count = int(state.stays.number)
    rows = sorted(zip(*(np.asarray(column)[:count].tolist() for column in columns), strict=True))
    _same("stays (offset, start, end, group)", stays, rows, at)
    if abs(game.total(reference) - float(state.total)) > slack:
        raise ConformanceError(f"move {at}: the total is {float(state.total)!r}, not {game.total(reference)!r} s")


def _same(what: str, expected: object, found: object, at: int) -> None:
    if expected != found:
        raise ConformanceError(f"after move {at}: {what}: {found!r}, not {expected!r}")
