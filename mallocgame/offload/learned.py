"""What each name costs and saves in the compiled program, learned from the programs that were compiled.

The model adds up arrays. The compiler's buffers share memory between lifetimes, so that its bytes jump: a name may cost
nothing, or much more than its size, and to keep what was fused may even take longer. So the effect of each name and
move on bytes and seconds, counted from full checkpointing, starts at the model's, as uncertain as it is large, and is
corrected by everything that was compiled (Bayesian linear regression: Bishop, Pattern Recognition and Machine Learning,
3.3). Names at the same place of alike blocks are taken to have nearly the same effects. The next program is the
quickest by these effects that fits; where that has been compiled, the quickest by effects on bytes, and then on
seconds, that are as small as they may well be, for what names do together shows only where they are tried together.
In turn with these come programs with one move other than the best's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mallocgame.offload.candidates import Search
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.problem import Move, OffloadProblem
from mallocgame.offload.usual import FULL, KEPT, usual_moves

ALIKE = 0.9
"""Correlation of the effects of names at the same place of alike blocks."""

OFFLOADS = 0.5
"""The same of any two that are offloaded: the compiler schedules all copies of a program alike."""

NOISE = 0.01
"""Standard deviation of an effect that no name accounts for, as a share of all names' effects."""

MARGINS = (1.0, 0.95, 1.05, 0.85, 0.7, 0.5)
"""Shares of the budget's distance from full checkpointing that are aimed at, in this order."""

LEAST_SHARE = 0.01
"""Of a tensor's bytes that a device has: more devices have no larger part of a program."""

HOPES = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 0.5), (0.0, 1.0), (0.0, 2.0))
"""Standard deviations by which bytes, and seconds, are taken to be less, in this order."""

SURE = 2.0
"""Standard deviations by which a program with one other move may be smaller and quicker than it is taken to be."""

TOGETHER = 0.02
"""Share of a program's time that a move may save beyond that, together with the moves of others."""

POINTS = 600
"""Sums of bytes and seconds that are kept at each name."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """What a move of a name does, as the model has it.

    Attributes:
        name, move: which.
        size: bytes more than under full checkpointing.
        seconds: likewise.
        doubt: standard deviations of these two.
    """

    name: str
    move: Move
    size: float
    seconds: float
    doubt: tuple[float, float]


def modelled_effects(problem: OffloadProblem, share: float = 1.0) -> tuple[Effect, ...]:
    """The effects by the model, of each name in the order of the program; none of a move that changes nothing.

    Args:
        problem: the model.
        share: bytes on a device by bytes of the model, which counts whole arrays.
    """
    sizes: dict[str, float] = {}
    again: dict[str, float | None] = {}
    largest: dict[str, float] = {}
    for tensor in problem.tensors:
        name = tensor.decided_as
        sizes[name] = sizes.get(name, 0.0) + tensor.size * share
        largest[name] = max(largest.get(name, 0.0), tensor.size * share)
        recipe = tensor.recipe
        again[name] = None if recipe is None else (again.get(name) or 0.0) + recipe.seconds
    found: list[Effect] = []
    link = problem.link
    for name, size in sizes.items():
        seconds = again[name]
        copied = size / link.to_host + size / link.from_host
        if seconds is not None:
            found.append(Effect(name, "keep", size, -seconds, (size, max(seconds, 0.002 * problem.seconds))))
        kept = 0.0 if seconds is not None else size
        waited = copied / 2 - (seconds or 0.0)
        found.append(Effect(name, "offload", largest[name] - kept, waited, (size, max(copied, seconds or 0.0))))
    for near in problem.near:
        doubt = near.size * share, max(near.seconds, 0.002 * problem.seconds)
        found.append(Effect(near.name, "keep", 0.0, -near.seconds, doubt))
    return tuple(found)


def corrected(
    problem: OffloadProblem, effects: Sequence[Effect], seen: Sequence[Seen]
) -> tuple[Floats, Floats, Floats, Floats]:
    """(bytes, seconds, standard deviations of the bytes and of the seconds) of each effect after what was seen.

    Args:
        problem: says which names are alike.
        effects: by the model.
        seen: differences from full checkpointing.
    """
    made = np.array([[float(one.moves.get(each.name) == each.move) for each in effects] for one in seen])
    made = made.reshape(len(seen), len(effects))
    kinds = [(problem.alike.get(each.name, each.name), each.move) for each in effects]
    shared = np.array([[1.0 if i == j else _likeness(a, b) for j, b in enumerate(kinds)] for i, a in enumerate(kinds)])
    sizes, doubts = _posterior(made, shared, [(one.size, one.doubt[0]) for one in effects], [one.size for one in seen])
    before = [(one.seconds, one.doubt[1]) for one in effects]
    seconds, times = _posterior(made, shared, before, [one.seconds for one in seen])
    return sizes, seconds, doubts, times


def _likeness(one: tuple[str, Move], other: tuple[str, Move]) -> float:
    if one == other:
        return ALIKE
    return OFFLOADS if one[1] == other[1] == "offload" else 0.0


def _posterior(
    made: Floats, shared: Floats, before: Sequence[tuple[float, float]], seen: Sequence[float]
) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each effect."""
    mean = np.array([each for each, _ in before])
    doubt = np.array([each for _, each in before])
    covariance = shared * np.outer(doubt, doubt)
    noise = (NOISE * float(np.linalg.norm(doubt))) ** 2 or 1.0
    between = made @ covariance @ made.T + noise * np.eye(len(seen))
    gain = np.linalg.solve(between, made @ covariance).T
    left = np.diag(covariance - gain @ made @ covariance)
    return mean + gain @ (np.array(seen) - made @ mean), np.sqrt(np.maximum(left, 0.0))


@dataclass(frozen=True)
class Seen:
    """A program that was compiled, beside full checkpointing: its moves, bytes and seconds more."""

    moves: Mapping[str, Move]
    size: float
    seconds: float


def next_moves(search: Search) -> Iterator[NamedMoves]:
    """Programs that have not been compiled and are taken to be quicker than the best that fits, best guess first.

    None where full checkpointing has not been compiled.
    """
    usual = usual_moves(search.problem)
    full, base, kept = usual[FULL], search.known(usual[FULL], {}), search.known(usual[KEPT], {})
    if base is None or base.read is None or base.needed is None:
        return
    effects = modelled_effects(search.problem)
    if kept is not None and kept.needed is not None:
        modelled = sum(each.size for each in effects if each.move == "keep")
        share = (kept.needed - base.needed) / max(1.0, modelled)
        effects = modelled_effects(search.problem, min(1.0, max(LEAST_SHARE, share)))
    names = list(dict.fromkeys(each.name for each in effects))
    seen = [
        Seen(one.moves.moves, one.read.device_bytes - base.needed, one.seconds - base.seconds)
        for one in search.candidates
        if one.moves.moves is not None and one.read is not None and not one.options
    ]
    sizes, seconds, doubts, times = corrected(search.problem, effects, seen)
    best = search.best
    most = float("inf") if best is None else best.seconds - base.seconds
    bytes_of_full = base.needed
    slack = search.budget - bytes_of_full

    def by_effects(less: float, quicker: float) -> Iterator[NamedMoves]:
        front = _front(effects, names, sizes - less * doubts, seconds - quicker * times)
        for margin in (1.0,) if less or quicker else MARGINS:
            allowed = slack * margin if slack > 0 else slack
            fitting = (point for point in front if point.size <= allowed)
            chosen = min(fitting, key=lambda point: point.seconds, default=None)
            if chosen is not None and chosen.seconds < most:
                yield NamedMoves({**(full.moves or {}), **dict(chosen.made)})

    def from_the_best() -> Iterator[NamedMoves]:
        if best is not None and best.needed is not None and best.moves.moves is not None and not best.options:
            made, without = best.moves.moves, full.moves or {}
            kept = {name: move for name, move in without.items() if move != made.get(name) == "recompute"}
            yield NamedMoves({**made, **kept})  # what cannot be made again is kept all the same, but by another program
            here = Seen(made, best.needed - bytes_of_full, most)
            learned = sizes, seconds, doubts, times
            yield from _one_other(here, without, effects, learned, slack, TOGETHER * best.seconds)

    guesses = [by_effects(*HOPES[0]), chain.from_iterable(by_effects(*hope) for hope in HOPES[1:]), from_the_best()]
    if len(search.candidates) % 2:  # far and near in turn
        guesses[1:] = reversed(guesses[1:])
    given: list[NamedMoves] = []
    for moves in chain.from_iterable(guesses):
        if moves not in given and search.known(moves, {}) is None:
            given.append(moves)
            yield moves


def _one_other(
    best: Seen,
    full: Mapping[str, Move],
    effects: Sequence[Effect],
    learned: tuple[Floats, Floats, Floats, Floats],
    slack: float,
    together: float,
) -> list[NamedMoves]:
    """Programs with one name's move other than the best's that may fit and not be slower, the quickest first.

    Args:
        best: the quickest that fits.
        full: moves of full checkpointing.
        effects: by the model.
        learned: as ``corrected`` gives them.
        slack: bytes more than under full checkpointing that fit.
        together: seconds that a move may save beyond its effect.
    """
    sizes, seconds, doubts, times = learned
    places = {(each.name, each.move): number for number, each in enumerate(effects)}
    found: list[tuple[float, NamedMoves]] = []
    for name, without in full.items():
        old = best.moves.get(name, without)
        for move in dict.fromkeys((without, *(each.move for each in effects if each.name == name))):
            changed = [(sign, places[name, one]) for sign, one in ((-1, old), (1, move)) if (name, one) in places]
            size = best.size + sum(sign * (sizes[at] - sign * SURE * doubts[at]) for sign, at in changed)
            time = sum(sign * seconds[at] for sign, at in changed)
            sure = SURE * sum(times[at] for _, at in changed)
            if move != old and size <= slack and time - sure <= together:
                found.append((time, NamedMoves({**best.moves, name: move})))
    found.sort(key=lambda one: one[0])
    return [moves for _, moves in found]


@dataclass(frozen=True, slots=True)
class _Point:
    size: float
    seconds: float
    made: tuple[tuple[str, Move], ...]


def _front(effects: Sequence[Effect], names: Sequence[str], sizes: Floats, seconds: Floats) -> list[_Point]:
    """Sums of effects, one move a name or none, of which none is better in both bytes and seconds; sorted by bytes."""
    ways: dict[str, list[_Point]] = {name: [] for name in names}
    for number, each in enumerate(effects):
        ways[each.name].append(_Point(float(sizes[number]), float(seconds[number]), ((each.name, each.move),)))
    front = [_Point(0.0, 0.0, ())]
    for name in names:
        sums = front + [
            _Point(point.size + way.size, point.seconds + way.seconds, point.made + way.made)
            for point in front
            for way in ways[name]
        ]
        sums.sort(key=lambda point: (point.size, point.seconds))
        front = []
        for point in sums:
            if not front or point.seconds < front[-1].seconds:
                front.append(point)
        if len(front) > POINTS:
            front = [front[round(at * (len(front) - 1) / (POINTS - 1))] for at in range(POINTS)]
    return front
