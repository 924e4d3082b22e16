"""Random playouts: do the game's return, the validator and the replay agree? And does local search find the optimum?

    python -m benchmarks.agreement.playouts [CAPTURE ...] [--count 10000] [--tiny 200] [--seed 0]

Half of the playouts are over random problems, half over the captures given (all over random ones if none is given);
instructions of every third random problem, and of every second tiny one, reserve fast memory.
A playout disagrees if its plan has a violation, cannot be expressed, or saves under ``replay_plan`` something else than
the return (more than 1e-9 of the all-HBM time apart). Tiny problems have at most 8 uses; local search is compared with
every plan of the plan space (every start, every address) and with every sequence of moves of the game.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from mallocgame.game import Game, Move, State
from mallocgame.game.timeline import EVICTION, PREFETCH
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem.schema import Problem
from mallocgame.solvers import solve
from mallocgame.system.errors import MallocgameError
from tests.game.brute_force import best_plan, best_return
from workloads.generator import random_problem, tiny_recipe, varied_recipe, with_links, with_reservations

TOLERANCE = 1e-9
_COUNTED = ("moves", "prefetches", "evictions", "drop-backups", "with stalls")


@dataclass(frozen=True)
class Subject:
    """A problem to be played, its game, and its all-HBM seconds by the replay."""

    name: str
    game: Game
    all_hbm: float


def subject(name: str, problem: Problem) -> Subject:
    """The subject of a problem."""
    return Subject(name, Game(problem), replay_plan(problem, Plan(problem.fingerprint), "M").total)


def playout(game: Game, rng: random.Random) -> tuple[State, float]:
    """One episode. Each has its own leanings, so that some fill fast memory and some hardly use it."""
    leaning = {move: rng.random() for move in Move}
    state, total = game.start(), 0.0
    while not game.done(state):
        moves = sorted(game.legal(state), key=lambda move: move.value)
        weights = [leaning[move] + 0.05 for move in moves]
        state, reward = game.step(state, rng.choices(moves, weights)[0])
        total += reward
    return state, total


def disagreement(subject: Subject, state: State, returned: float) -> str | None:
    """What is wrong with an episode, or None."""
    problem, plan = subject.game.problem, subject.game.plan(state)
    for violation in (*validate(problem, plan), *inexpressible(problem, plan)):
        return violation.message
    saved = subject.all_hbm - replay_plan(problem, plan, "M").total
    if abs(saved - returned) > TOLERANCE * subject.all_hbm:
        return f"the return is {returned!r} s, the replay saves {saved!r} s"
    return None


def subjects(captures: list[Subject], count: int, seed: int) -> Iterator[Subject]:
    """Alternately a random problem and a capture; a new random problem each time."""
    for number in range(count):
        if captures and number % 2:
            yield captures[(number // 2) % len(captures)]
        else:
            problem = random_problem(seed + number, varied_recipe(seed + number))
            yield subject(f"random {seed + number}", _reserving(problem, seed + number, 3))


def _reserving(problem: Problem, seed: int, every: int) -> Problem:
    """With reservations where the seed is a multiple of ``every``, and bound by links where it is one of 5."""
    problem = problem if seed % every else with_reservations(problem, seed)
    return problem if seed % 5 else with_links(problem, seed)


def play(captures: list[Subject], count: int, seed: int) -> int:
    """Play, print, and return the number of disagreements."""
    tally: Counter[str] = Counter()
    played: Counter[str] = Counter()
    started = monotonic()
    for number, task in enumerate(subjects(captures, count, seed)):
        state, returned = playout(task.game, random.Random(seed + number))
        played["random" if task.name.startswith("random ") else task.name] += 1
        tally["moves"] += len(state.moves)
        tally["prefetches"] += len(state.board.timeline.copies(PREFETCH))
        tally["evictions"] += len(state.board.timeline.copies(EVICTION))
        tally["drop-backups"] += len(state.barred)
        tally["with stalls"] += any(stall > 0 for stall in state.board.timeline.stall)
        wrong = disagreement(task, state, returned)
        if wrong is not None:
            tally["disagreements"] += 1
            print(f"{task.name}, playout {number}: {wrong}")
    print(f"playouts: {count} in {monotonic() - started:.0f} s, {dict(played)}")
    print(", ".join(f"{name}: {tally[name]}" for name in _COUNTED))
    print(f"disagreements between return, validator and replay: {tally['disagreements']}")
    return tally["disagreements"]


def compare(count: int, seed: int) -> int:
    """Solve tiny problems, print, and return on how many of them local search misses the optimum."""
    compared = missed = reached = nontrivial = 0
    while compared < count:
        seed += 1
        problem = _reserving(random_problem(seed, tiny_recipe(seed)), seed, 2)
        if sum(len(tensor.uses) for tensor in problem.tensors) > 8:
            continue
        best, of_game = best_plan(problem, 5000), best_return(problem, 50000)
        if best is None or of_game is None:
            continue
        compared += 1
        solution = solve(problem, seed=seed, max_steps=20000)
        slack = TOLERANCE * solution.seconds_all_hbm
        nontrivial += solve(problem, "greedy").seconds_under_m > best[0] + slack
        reached += solution.seconds_all_hbm - of_game <= best[0] + slack
        if abs(solution.seconds_under_m - best[0]) > slack:
            missed += 1
            print(f"tiny problem {seed}: local search {solution.seconds_under_m!r} s, optimum {best[0]!r} s")
    print(f"tiny problems: {compared}; local search equals the optimum of the plan space on {compared - missed}")
    print(f"the game's own optimum equals it on {reached}; greedy misses it on {nontrivial}")
    return missed


def main() -> int:
    """Command line; 0 if everything agrees, 2 if a capture cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", help="captures, dump folders or HLO texts with --target")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--tiny", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", default=None)
    options = parser.parse_args()
    try:
        captures = [_load(path, options.target) for path in options.captures]
    except MallocgameError as error:
        print(error)
        return error.exit_code
    wrong = play(captures, options.count, options.seed)
    wrong += compare(options.tiny, options.seed)
    return 1 if wrong else 0


def _load(path: str, target: str | None) -> Subject:
    from mallocgame.programs.loading import load

    return subject(path, load(path, target).problem)


if __name__ == "__main__":
    raise SystemExit(main())
