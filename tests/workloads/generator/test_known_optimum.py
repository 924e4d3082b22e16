"""Problems with known optimum: the plans are accepted, bounds and enumeration agree, nothing gets below."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest

from benchmarks.agreement.known_optimum import check, enumerated
from mallocgame.models.replay import relaxed_bound, replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import inexpressible, validate
from workloads.generator import KINDS, Known, KnownRecipe, known_optimum, varied_known_recipe
from workloads.generator.cliques import best_subset
from workloads.generator.known_recipe import Kind
from workloads.generator.tiling import Piece, tile
from workloads.generator.windows import best_copies

SEEDS = {kind: range(number, 300, len(KINDS)) for number, kind in enumerate(KINDS)}


def made(kind: Kind) -> list[Known]:
    return [known_optimum(seed, varied_known_recipe(seed)) for seed in SEEDS[kind]]


@pytest.mark.parametrize("kind", KINDS)
def test_plans_are_accepted_and_worth_something(kind: Kind) -> None:
    gains = 0
    for problem, plan, seconds in made(kind):
        assert not validate(problem, plan)
        assert not inexpressible(problem, plan)
        assert replay_plan(problem, plan, "M").total == seconds
        assert relaxed_bound(problem, "M") <= seconds * (1 + 1e-12)
        gains += seconds < replay_plan(problem, Plan(problem.fingerprint), "M").total
    assert gains >= 0.9 * len(SEEDS[kind])


@pytest.mark.parametrize("kind", ["tiling", "copies", "loops"])
def test_a_tiling_reaches_the_relaxed_bound_without_a_stall(kind: Kind) -> None:
    """Exactly: all bytes and times are multiples of powers of two."""
    for problem, plan, seconds in made(kind):
        assert replay_plan(problem, plan, "M").stall == 0.0
        assert relaxed_bound(problem, "M") == seconds


def test_a_tiling_fills_fast_memory() -> None:
    """Outside of loops every byte is taken at every step."""
    for problem, plan, _ in made("tiling"):
        first, last = 1, len(problem.instructions) - 2  # between the parameter and the root
        taken: Counter[int] = Counter()
        for group in problem.groups:
            spans = [stay for stay in plan.stays if stay.tensor in group.tensors]
            taken.update({t: group.size for stay in spans for t in range(stay.start, stay.end + 1)})
        assert [taken[t] for t in range(first, last + 1)] == [problem.target.fast_bytes] * (last - first + 1)


def test_kinds_have_what_they_are_for() -> None:
    plans = {kind: made(kind) for kind in KINDS}
    assert all(not known.plan.copies for kind in ("tiling", "cliques") for known in plans[kind])
    assert sum(len(known.plan.copies) > 2 for known in plans["copies"]) > 20
    loops = plans["loops"]
    assert any(copy.before in known.problem.children for known in loops for copy in known.plan.copies)
    homes = {
        known.problem.computations[known.problem.instructions[copy.after].computation].kind
        for known in loops
        for copy in known.plan.copies
    }
    assert homes == {"entry", "body"}
    assert any(len(group.tensors) >= 5 for known in loops for group in known.problem.groups), "carried round a loop"
    assert any(replay_plan(known.problem, known.plan, "M").stall > 0 for known in plans["windows"]), "worth a stall"


def test_same_seed_same_problem_and_other_seed_another() -> None:
    for kind in KINDS:
        recipe = KnownRecipe(kind)
        assert known_optimum(5, recipe) == known_optimum(5, recipe)
        assert known_optimum(5, recipe).problem != known_optimum(6, recipe).problem


def test_enumeration_agrees_and_no_solver_gets_below() -> None:
    tally: Counter[tuple[str, str]] = Counter()
    for seed in range(40):
        assert check(seed, 300, 300, tally) is None
    assert sum(count for (what, _), count in tally.items() if what == "agreed") >= 8


def test_a_wrong_optimum_is_found_out() -> None:
    """The benchmark's enumeration is no rubber stamp: all in HBM is not the optimum."""
    known = known_optimum(0, KnownRecipe("cliques", 4, 3))
    empty = Plan(known.problem.fingerprint)
    found = enumerated(known, 2000)
    assert found is not None
    assert found < replay_plan(known.problem, empty, "M").total


def test_best_subset_by_hand() -> None:
    """Densest first takes size 3 (value 9, 3 a unit) and then nothing fits; 2 + 2 with 5 each is better."""
    assert best_subset([3, 2, 2], [9, 5, 5], 4) == [1, 2]
    assert best_subset([3, 2, 2], [9, 4, 4], 4) == [0]
    assert best_subset([5], [1], 4) == []


def test_best_subset_against_all_subsets() -> None:
    rng = random.Random(0)
    for _ in range(200):
        count, capacity = rng.randint(1, 8), rng.randint(1, 20)
        sizes, values = ([rng.randint(1, 9) for _ in range(count)] for _ in range(2))
        sums = (
            sum(value for value, taken in zip(values, chosen, strict=True) if taken)
            for chosen in product((0, 1), repeat=count)
            if sum(size for size, taken in zip(sizes, chosen, strict=True) if taken) <= capacity
        )
        found = best_subset(sizes, values, capacity)
        assert sum(sizes[number] for number in found) <= capacity
        assert sum(values[number] for number in found) == max(sums)


def test_best_copies_by_hand() -> None:
    """A copy of 1024 that hides saves 31/32 of what is read; one that stalls costs its size."""
    assert best_copies([1024, 1024], [1024, 2048], 1024, 4096) == [1]
    assert best_copies([1024, 1024], [1024, 2048], 2048, 4096) == [0, 1]
    assert best_copies([1024, 1024], [1024, 2048], 2048, 1024) == [1], "fast memory has room for one"
    assert best_copies([1024], [1024], 0, 4096) == [], "read once: a stall costs more than it saves"
    assert best_copies([1024], [2048], 0, 4096) == [0], "read twice: worth the stall"


def test_pieces_cover_everything_once_and_respect_loops() -> None:
    for seed in range(100):
        rng = random.Random(seed)
        loops = ((3, 5), (8, 12))
        pieces = tile(rng, 18, 6, loops, rng.randint(1, 20))
        cells = Counter(
            (step, unit)
            for piece in pieces
            for step in range(piece.first, piece.last + 1)
            for unit in range(piece.low, piece.high)
        )
        assert set(cells.values()) == {1}
        assert len(cells) == 18 * 6
        assert sum(piece.area for piece in pieces) == 18 * 6
        assert all(piece.last > piece.first for piece in pieces)
        for first, last in loops:
            for piece in pieces:
                apart = piece.last < first or last < piece.first
                inside = first <= piece.first and piece.last <= last
                around = piece.first < first and last < piece.last
                assert apart or inside or around


def test_piece_area() -> None:
    assert Piece(2, 4, 1, 3).area == 6
