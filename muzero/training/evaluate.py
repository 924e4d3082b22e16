"""How well the agent plays: greedy episodes of the policy alone and with search, beside other solvers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from muzero.networks import Network, Params
from muzero.search import SearchOptions, Variant
from muzero.training.best import Best
from muzero.training.puzzles import Puzzle, stacked
from muzero.training.self_play import Player, play

TOLERANCE = 1e-6
"""Share of everything in HBM by which two plans may differ and still count as equally good: rewards are float32."""


class HeldOut(NamedTuple):
    """Decisions of demonstrations that nobody learns from.

    Attributes:
        observations: pytree of float16 [N, ...].
        moves: int8 [N], the demonstrated moves.
    """

    observations: Any
    moves: np.ndarray


CHUNK = 256
"""Decisions that the network sees at once."""


def accuracy(network: Network, params: Params, held_out: HeldOut) -> dict[str, float]:
    """How near the policy alone is to demonstrated moves.

    Returns:
        ``accuracy``, the share of decisions at which the likeliest of all moves is the demonstrated one, and
        ``surprise``, the mean of minus the logarithm of its probability.
    """
    count, right, surprise = len(held_out.moves), 0.0, 0.0
    for start in range(0, count, CHUNK):
        rows = np.minimum(np.arange(start, start + CHUNK), count - 1)
        seen = jax.tree.map(lambda array, rows=rows: array[rows], held_out.observations)
        logs = np.asarray(_log_policy(network)(params, seen))[: count - start]
        moves = held_out.moves[start : start + CHUNK].astype(int)
        right += float(np.sum(np.argmax(logs, axis=-1) == moves))
        surprise -= float(np.sum(logs[np.arange(len(moves)), moves]))
    return {"accuracy": right / count, "surprise": surprise / count}


@cache
def _log_policy(network: Network) -> Callable[..., jax.Array]:
    """(params, observations float16 [N, ...]) -> logarithms of the policy [N, moves]."""

    def logs(params: Params, seen: Any) -> jax.Array:
        seen = jax.tree.map(lambda array: array.astype(jnp.float32), seen)
        policy, _ = network.predict(params, network.represent(params, seen))
        return jax.nn.log_softmax(policy, axis=-1)

    return jax.jit(logs)


def evaluate(player: Player, params: Params, puzzles: Sequence[Puzzle], lanes: int, best: Best) -> dict[str, float]:
    """Play each puzzle once by the policy alone and once as ``player`` does, both greedily.

    Args:
        player: whose options have the search.
        params: of the network.
        puzzles: with what greedy and others found.
        lanes: of a batch.
        best: what was found so far counts for the best known; it learns the episodes played here.

    Returns:
        By name: ``WHO/score``, the mean over the puzzles of the share of (best known - all in HBM) that is saved;
        ``WHO/above_greedy``, the share of puzzles on which that is at least what greedy saves; and ``greedy/score`` and
        ``best/score`` likewise.
    """
    who = {"policy": player._replace(options=SearchOptions(variant=Variant.POLICY_ALONE))}
    if player.options.variant is not Variant.POLICY_ALONE:
        who["search"] = player
    found = {name: _seconds(one, params, puzzles, lanes, best) for name, one in who.items()}
    found["best"] = np.array([best.seconds(puzzle) for puzzle in puzzles])
    greedy = np.array([_known(puzzle.greedy_seconds) for puzzle in puzzles])
    hbm = np.array([puzzle.hbm_seconds for puzzle in puzzles])
    others = [_known(puzzle.best_seconds) for puzzle in puzzles]
    known = np.min(np.stack([*found.values(), greedy, np.array(others)]), axis=0)
    figures = {}
    for name, seconds in {**found, "greedy": greedy}.items():
        if np.all(np.isfinite(seconds)):
            figures[f"{name}/score"] = float(np.mean(_scores(seconds, hbm, known)))
            if name != "greedy":
                figures[f"{name}/above_greedy"] = float(np.mean(seconds <= greedy + TOLERANCE * hbm))
    return figures


def _known(seconds: float | None) -> float:
    return np.inf if seconds is None else seconds


def _scores(seconds: np.ndarray, hbm: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Shares of what is known to be possible; 1 where nothing can be saved and nothing is lost."""
    possible = np.maximum(hbm - known, TOLERANCE * hbm)
    nothing = 1 + np.minimum(0.0, hbm - seconds) / hbm
    scores: np.ndarray = np.where(hbm - known > TOLERANCE * hbm, (hbm - seconds) / possible, nothing)
    return scores


def _seconds(player: Player, params: Params, puzzles: Sequence[Puzzle], lanes: int, best: Best) -> np.ndarray:
    """Seconds under M of one greedy episode each."""
    found = np.zeros(len(puzzles))
    by_kind: dict[Any, list[int]] = {}
    for number in sorted(range(len(puzzles)), key=lambda number: puzzles[number].sites):
        by_kind.setdefault(puzzles[number].kind, []).append(number)
    for numbers in by_kind.values():
        for start in range(0, len(numbers), lanes):
            chosen = np.resize(numbers[start : start + lanes], lanes)
            played = play(player, params, stacked(puzzles, chosen), jax.random.key(0), np.zeros(lanes, np.float32))
            best.learn(puzzles, chosen, played)
            for lane, number in enumerate(chosen):
                found[number] = puzzles[number].seconds(played.returns[lane])
    return found
