"""What is learned from compiles, against formulas by hand and all programs there are."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest

from mallocgame.offload.candidates import CompileMoves, Search
from mallocgame.offload.compiled import ReadBack
from mallocgame.offload.confirm import confirm
from mallocgame.offload.learned import ALIKE, Seen, corrected, modelled_effects, next_moves
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.problem import Move, Near, OffloadProblem, Recipe, Step, Tensor
from tests.offload.made_problems import link

# Forward makes a to d of 10 bytes; backward uses them in the other order.
PROBLEM = OffloadProblem(
    "p",
    "made up",
    link(to_host=10.0, from_host=10.0, both=20.0),
    tuple(Step(str(time), 2.0, 0) for time in range(9)),
    tuple(
        Tensor(name, 10, at, 8 - at, ((at, 8 - at),), Recipe(1.0, ()), decided_as=name)
        for at, name in enumerate("abcd")
    ),
    (Near("e", 10, 0.5),),
    {"a": "a", "b": "a", "c": "c", "d": "d", "e": "e"},
)


def test_effects_by_the_model() -> None:
    effects = {(one.name, one.move): (one.size, one.seconds) for one in modelled_effects(PROBLEM)}
    assert effects["a", "keep"] == (10.0, -1.0)
    # There and back 2 s, half of them waited for; nothing is made again.
    assert effects["a", "offload"] == (10.0, 0.0)
    assert effects["e", "keep"] == (0.0, -0.5)
    assert ("e", "offload") not in effects
    # On four devices each has a quarter of every array.
    quarter = {(one.name, one.move): (one.size, one.seconds) for one in modelled_effects(PROBLEM, 0.25)}
    assert (quarter["a", "keep"], quarter["a", "offload"]) == ((2.5, -1.0), (2.5, -0.75))


def test_an_observation_corrects_its_own_effect_and_those_alike() -> None:
    effects = modelled_effects(PROBLEM)
    place = {(one.name, one.move): number for number, one in enumerate(effects)}
    sizes, seconds, doubts, times = corrected(PROBLEM, effects, [Seen({"a": "keep"}, 30.0, 2.0)])
    # 20 bytes and 3 s more than the model says: nearly all of that is its own, most of it that of its like.
    assert sizes[place["a", "keep"]] == pytest.approx(30.0, rel=0.01)
    assert sizes[place["b", "keep"]] == pytest.approx(10.0 + ALIKE * 20.0, rel=0.01)
    assert sizes[place["c", "keep"]] == pytest.approx(10.0)
    assert doubts[place["a", "keep"]] < 0.5
    assert doubts[place["b", "keep"]] == pytest.approx(10.0 * (1 - ALIKE**2) ** 0.5, rel=0.01)
    assert doubts[place["c", "keep"]] == pytest.approx(10.0)
    assert seconds[place["a", "keep"]] == pytest.approx(2.0, rel=0.01)
    assert seconds[place["b", "keep"]] == pytest.approx(-1.0 + ALIKE * 3.0, rel=0.02)
    assert seconds[place["a", "offload"]] == pytest.approx(0.0)
    assert times[place["a", "keep"]] < 0.05
    assert times[place["b", "keep"]] == pytest.approx((1 - ALIKE**2) ** 0.5, rel=0.01)
    assert times[place["c", "keep"]] == pytest.approx(1.0)


BYTES = {"a": 25, "b": 25, "c": 4, "d": 12, "e": 3}
"""What keeping each takes in the made-up compiler."""
SECONDS = {"a": 1.0, "b": 0.9, "c": -0.5, "d": 1.5, "e": 0.2}
"""What it saves there; to keep c takes longer."""


def read(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
    kept = list(BYTES) if moves.moves is None else moves.names("keep")
    offloaded = moves.names("offload")
    seconds = 30.0 - sum(SECONDS[name] for name in kept) + 3.0 * len(offloaded)
    needed = 100 + sum(BYTES[name] for name in kept) + 8 * len(offloaded)
    # Jumps: a and b together share a buffer.
    needed -= 20 if {"a", "b"} <= set(kept) else 0
    both = {"E": seconds, "M": seconds}
    return ReadBack(needed, 0, 0, 0, 0, both, {"E": 0.0, "M": 0.0})  # type: ignore[arg-type]


def check_the_best_is_found(budget: int, compile: CompileMoves, compiles: int) -> None:
    """Against all programs, enumerated."""
    choices: tuple[Move, ...] = ("keep", "recompute")
    every = (NamedMoves(dict(zip("abcde", made, strict=True))) for made in itertools.product(choices, repeat=5))
    best = min(found.seconds["M"] for moves in every if (found := compile(moves, {})).device_bytes <= budget)
    found = confirm(
        PROBLEM, lambda default: budget, compile,
        solver="local", time_limit=0.5, seed=0, compiles=compiles, progress=lambda line: None,
    )  # fmt: skip
    assert found.answer is not None
    assert found.answer.seconds == pytest.approx(best)


@pytest.mark.parametrize("budget", [103, 107, 115, 118, 140, 148])
def test_the_best_of_all_programs_is_found_by_compiling(budget: int) -> None:
    check_the_best_is_found(budget, read, 20)


@pytest.mark.parametrize("budget", [110, 130, 150])
def test_what_names_do_together_is_found_from_the_best_program(budget: int) -> None:
    """To keep one of a, b and d pays, to keep two of them does not: no sum of effects says both."""

    def together(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
        found = read(moves, options)
        several = sum(moves.moves is None or moves.moves[name] == "keep" for name in "abd")
        seconds = found.seconds["M"] + (0.0, 0.0, 3.0, 6.0)[several]
        return replace(found, seconds={"E": seconds, "M": seconds})

    check_the_best_is_found(budget, together, 24)


def test_nothing_is_said_before_full_checkpointing_was_compiled() -> None:
    assert list(next_moves(Search(PROBLEM, 100, read, 5, lambda line: None))) == []


def test_what_was_compiled_is_not_said_again() -> None:
    search = Search(replace(PROBLEM, near=()), 110, read, 9, lambda line: None)
    search.look("full checkpointing", NamedMoves(dict.fromkeys("abcd", "recompute")), {}, None)
    first = list(next_moves(search))
    assert first
    search.look("plan", first[0], {}, None)
    assert first[0] not in list(next_moves(search))


@pytest.mark.parametrize("again", [True, False])
def test_a_ready_policy_of_maxtext_is_where_the_search_goes_on(again: bool) -> None:
    """The names of MaxText's ``save_dot_except_mlp`` pay together alone, and with one more that no policy adds."""
    names = dict(zip("abcd", ("decoder_layer_input", "query_proj", "out_proj", "mlpwi_0"), strict=True))
    problem = replace(
        PROBLEM,
        tensors=tuple(replace(each, decided_as=names[each.name]) for each in PROBLEM.tensors),
        near=(),
        alike={},
    )
    if not again:  # as a block's input, which is kept whatever a policy says, and yet another program
        problem = replace(problem, tensors=(replace(problem.tensors[0], recipe=None), *problem.tensors[1:]))

    def together(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
        kept = set(names.values()) if moves.moves is None else set(moves.names("keep"))
        seconds = 30.0 + 0.2 * len(kept) + 3.0 * len(moves.names("offload"))
        if {"query_proj", "out_proj"} <= kept and "mlpwi_0" not in kept:
            seconds = 28.0 - 0.5 * ("decoder_layer_input" in kept)
        return ReadBack(100 + 10 * len(kept), 0, 0, 0, 0, {"E": seconds, "M": seconds}, {"E": 0.0, "M": 0.0})

    found = confirm(
        problem, lambda default: 1000, together,
        solver="local", time_limit=0.2, seed=0, compiles=24, progress=lambda line: None,
    )  # fmt: skip
    labels = [one.label for one in found.candidates]
    assert any("save_dot_except_mlp" in label for label in labels)
    assert found.answer is not None
    assert found.answer.seconds == pytest.approx(27.5)
    assert found.answer.label == "learned plan"
