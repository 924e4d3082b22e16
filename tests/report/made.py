"""Comparisons to show: a small one by hand, random ones, and one of a real capture."""

from __future__ import annotations

import random

from mallocgame.game import Game, Move
from mallocgame.plan.named_plan import NamedPlan, name_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.problem_file import Default
from mallocgame.problem.schema import Problem
from mallocgame.programs.loaded import Loaded
from mallocgame.programs.readers.capture import of_capture
from mallocgame.report.comparison import Comparison, compare
from mallocgame.solvers import solve
from tests.bench.fake import STORED, FakeCompiler, stored
from tests.models.replay.problems import straight
from workloads.generator import random_problem, varied_recipe, with_reservations


def small_problem() -> Problem:
    """w (20 bytes) and v (10 bytes) are parameters; a and b compute 10 s and 15 s, c reads b, w and v.

    A byte takes 1 s over HBM and 0.1 s from or to fast memory.
    """
    builder = straight()
    builder.parameter("w", 20)
    builder.parameter("v", 10)
    builder.add("a", compute=10.0, reads={"v": 4.0}, writes=2.0)
    builder.add("b", compute=15.0, reads={"a": 2.0}, writes=3.0)
    builder.add("c", compute=1.0, reads={"b": 3.0, "w": 20.0, "v": 10.0}, writes=5.0)
    return builder.build()


SMALL_PLAN = Plan(
    "f",
    frozenset({3}),
    frozenset({(0, 0), (3, 0)}),
    (Stay(0, 1, 4, 0), Stay(3, 3, 4, 20)),
    (Copy(0, "prefetch", 0, 4),),
)
"""w is prefetched at once, for c; b is written to fast memory."""


def small() -> Comparison:
    """``SMALL_PLAN`` beside everything in HBM."""
    problem = small_problem()
    return compare(named(problem, SMALL_PLAN), Loaded(problem, "small.txt"))


def named(problem: Problem, plan: Plan) -> NamedPlan:
    """A plan with its names."""
    return name_plan(problem, plan, solver="hand", options={"time_limit": 1.0})


def random_comparison(seed: int) -> Comparison:
    """Two plans of a random problem, the first as XLA's default; in every second one instructions reserve memory."""
    problem = random_problem(seed, varied_recipe(seed))
    if seed % 2:
        problem = with_reservations(problem, seed)
    default = Default(1.0, 0.0, 1.0, 0.0, 0, _played(problem, seed, 0.5), "compiler")
    return compare(named(problem, _played(problem, seed + 1, 0.9)), Loaded(problem, "random", default=default))


def _played(problem: Problem, seed: int, eager: float) -> Plan:
    """The plan of one playout, which drops what it need not with chance 1 - ``eager``."""
    rng = random.Random(seed)
    game = Game(problem)
    state = game.start()
    while not game.done(state):
        legal = sorted(game.legal(state), key=lambda move: move.value)
        better = [move for move in legal if move is not Move.DROP]
        state, _ = game.step(state, rng.choice(better if better and rng.random() < eager else legal))
    return game.plan(state)


def predicted() -> Comparison:
    """A plan of a real capture, not compiled."""
    loaded = of_capture(stored(), STORED)
    return compare(_solved(loaded), loaded)


def confirmed() -> Comparison:
    """The same after a compile by a compiler that gives XLA's default whatever it is asked for."""
    from mallocgame.compiler.verify import verify

    capture = stored()
    loaded = of_capture(capture, STORED)
    plan = _solved(loaded)
    return compare(plan, loaded, verify(plan, capture, compile=FakeCompiler(capture), msa_off=False))


def _solved(loaded: Loaded) -> NamedPlan:
    found = solve(loaded.problem, "greedy", 10.0, 0)
    return name_plan(loaded.problem, found.plan, solver="greedy", versions=loaded.versions)
