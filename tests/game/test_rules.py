"""The rules on problems small enough to work out by hand. Times in microseconds; see ``hand_made``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.game import Game, IllegalMoveError, Move, State
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Computation, Problem
from tests.game.hand_made import US, Step, problem

DROP, COPY, NO_COPY = Move.DROP, Move.COPY, Move.NO_COPY


def play(game: Game, *moves: Move) -> tuple[State, list[float]]:
    state = game.start()
    rewards = []
    for move in moves:
        state, reward = game.step(state, move)
        rewards.append(reward / US)
    return state, rewards


def weights(copy_after: int = 0) -> Problem:
    """A 1000 byte parameter, three instructions of 1 us that leave 0.6 us idle each, and its use: 1 us from HBM."""
    busy = [Step(1.0, other_bytes=400.0) for _ in range(3)]
    steps = [Step(opcode="parameter", makes="w"), *busy, Step(reads=("w",))]
    return problem(steps, {"w": 1000}, copy_after={("w", 4): copy_after})


def test_copy_starts_as_late_as_idle_time_allows() -> None:
    game = Game(weights())
    assert game.total(game.start()) == pytest.approx(4.0 * US)
    state, rewards = play(game, COPY)
    assert rewards == pytest.approx([0.9])
    assert game.plan(state) == Plan(
        "hand made",
        fast_uses=frozenset({(0, 0)}),
        stays=(Stay(0, 2, 4, 0),),
        copies=(Copy(0, "prefetch", 1, 4),),
    )


def test_copy_with_too_little_idle_time_stalls_the_rest() -> None:
    game = Game(weights(copy_after=2))
    state, rewards = play(game, COPY)
    assert rewards == pytest.approx([0.9 - 0.4])
    assert game.plan(state).copies == (Copy(0, "prefetch", 2, 4),)


def test_copy_does_not_start_before_it_is_of_use() -> None:
    steps = [Step(opcode="parameter", makes="w"), Step(other_bytes=400.0), Step(0.5, other_bytes=400.0)]
    game = Game(problem([*steps, Step(other_bytes=300.0), Step(reads=("w",))], {"w": 1000}))
    state, rewards = play(game, COPY)
    assert game.plan(state).copies == (Copy(0, "prefetch", 1, 4),), "only the instruction at 2 leaves HBM idle"
    assert rewards == pytest.approx([0.9 - 0.9])


def test_copy_starts_later_where_space_is_taken() -> None:
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(1.0, makes="x", other_bytes=0.0),
        Step(1.0, reads=("x",)),
        Step(1.0),
        Step(reads=("w",)),
    ]
    game = Game(problem(steps, {"w": 1000, "x": 256}, copy_after={("w", 4): 0}))
    state, _ = play(game, NO_COPY, NO_COPY, COPY)
    assert game.plan(state).copies == (Copy(0, "prefetch", 2, 4),)
    state, _ = play(game, DROP, DROP, COPY)
    assert game.plan(state).copies == (Copy(0, "prefetch", 2, 4),), "idle time of 3 suffices"


def test_second_use_keeps_the_copy_and_moves_the_end_of_the_stay() -> None:
    steps = [Step(opcode="parameter", makes="w"), Step(2.0), Step(reads=("w",)), Step(reads=("w",))]
    game = Game(problem(steps, {"w": 1000}))
    state, rewards = play(game, COPY, NO_COPY)
    assert rewards == pytest.approx([0.9, 0.9])
    assert game.plan(state).stays == (Stay(0, 1, 3, 0),)
    after_drop, _ = play(game, DROP)
    assert game.legal(after_drop) == {DROP, COPY}
    after_copy, _ = play(game, COPY)
    assert game.legal(after_copy) == {DROP, NO_COPY}, "no second copy between two fast uses"


def test_first_use_of_a_produced_tensor_is_not_copied() -> None:
    steps = [Step(makes="x"), Step(2.0, reads=("x",)), Step(2.0), Step(reads=("x",))]
    game = Game(problem(steps, {"x": 1000}))
    state, _ = play(game, DROP)
    assert game.legal(state) == {DROP}
    state, _ = game.step(state, DROP)
    assert game.legal(state) == {DROP, COPY}


def test_queue_is_first_in_first_out() -> None:
    """b, needed first, starts second: it waits for the whole of a."""
    parameters = [Step(opcode="parameter", makes="a"), Step(opcode="parameter", makes="b")]
    steps = [*parameters, Step(1.0), Step(reads=("b",)), Step(1.0), Step(reads=("a",))]
    game = Game(problem(steps, {"a": 1000, "b": 500}, fast_bytes=4096))
    state, rewards = play(game, COPY, COPY)
    assert [(copy.tensor, copy.after) for copy in game.plan(state).copies] == [(1, 1), (0, 3)]
    assert rewards == pytest.approx([0.45, 0.9])
    timeline = state.board.timeline
    timeline.remove_copy((3, 0, 5, 1.0 * US))
    timeline.add_copy((0, 0, 5, 1.0 * US))
    timeline.refresh()
    assert timeline.stall[3] == pytest.approx(0.5 * US), "1 us idle takes a, 0.5 us of b are left"


def test_pin_reserves_the_whole_life() -> None:
    steps = [Step(makes="x"), Step(reads=("x",)), Step(reads=("x",))]
    game = Game(problem(steps, {"x": 1000}))
    state, rewards = play(game, NO_COPY, NO_COPY, NO_COPY)
    assert rewards == pytest.approx([0.9, 0.9, 0.9])
    assert game.done(state)
    assert game.legal(state) == frozenset()
    assert game.plan(state).stays == (Stay(0, 0, 2, 0),)


def test_pin_that_cannot_fit_is_illegal() -> None:
    steps = [Step(makes="x"), Step(makes="y", reads=("x",)), Step(reads=("x", "y"))]
    game = Game(problem(steps, {"x": 1000, "y": 256}))
    state, _ = play(game, NO_COPY, NO_COPY)
    assert game.legal(state) == {DROP}
    with pytest.raises(IllegalMoveError, match="NO_COPY is not legal at Site"):
        game.step(state, NO_COPY)


def test_best_fit_takes_the_smallest_gap_then_the_lowest() -> None:
    steps = [
        Step(makes="a"),
        Step(makes="b"),
        Step(makes="c"),
        Step(makes="d", reads=("b",)),
        Step(makes="e", reads=("a", "c")),
        Step(reads=("d", "e")),
    ]
    sizes = {"a": 256, "b": 512, "c": 256, "d": 256, "e": 300}
    game = Game(problem(steps, sizes, fast_bytes=2048))
    state = game.start()
    while not game.done(state):
        state, _ = game.step(state, NO_COPY)
    offsets = {stay.tensor: stay.offset for stay in game.plan(state).stays}
    assert offsets == {0: 0, 1: 256, 2: 768, 3: 1024, 4: 256}


def test_a_known_plans_places_come_before_the_best_fit() -> None:
    """The known plan pins x at 512, not at 0, and starts w's copy after 1, not after 2."""
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(makes="x"),
        Step(1.0, reads=("x",)),
        Step(1.0, reads=("x",)),
        Step(reads=("w",)),
    ]
    task = problem(steps, {"w": 256, "x": 256})
    known = Plan(
        task.fingerprint,
        frozenset({1}),
        frozenset({(1, 0), (1, 1), (0, 0)}),
        (Stay(0, 2, 4, 256), Stay(1, 1, 3, 512)),
        (Copy(0, "prefetch", 1, 4),),
    )
    moves = (NO_COPY, NO_COPY, NO_COPY, COPY)
    state, _ = play(Game(task, known), *moves)
    assert Game(task).plan(state) == known
    state, _ = play(Game(task), *moves)
    assert {(stay.tensor, stay.start, stay.offset) for stay in state.board.plan().stays} == {(0, 3, 256), (1, 1, 0)}


def test_a_known_place_that_is_taken_is_left_alone() -> None:
    """y is pinned at 0 by the known plan, but x is there now: y goes above it."""
    steps = [Step(makes="x"), Step(makes="y"), Step(reads=("x", "y"))]
    task = problem(steps, {"x": 256, "y": 256})
    known = Plan(task.fingerprint, frozenset({1}), frozenset({(1, 0)}), (Stay(1, 1, 2, 0),))
    state, _ = play(Game(task, known), NO_COPY, NO_COPY, NO_COPY, NO_COPY)
    assert {stay.tensor: stay.offset for stay in state.board.plan().stays} == {0: 0, 1: 256}


@pytest.mark.parametrize(("size", "legal"), [(256, {DROP}), (512, {DROP, COPY})])
def test_keep_rule_forbids_the_copy_beside_a_pinned_output(size: int, legal: set[Move]) -> None:
    """y's first use would be kept in HBM, and with it x, which is pinned, if x has y's size."""
    steps = [
        Step(makes="y"),
        Step(makes="x", reads=("y",)),
        Step(2.0, reads=("x",)),
        Step(reads=("y",)),
    ]
    game = Game(problem(steps, {"y": 256, "x": size}))
    state, _ = play(game, DROP, DROP, NO_COPY, NO_COPY)
    assert game.legal(state) == legal
    state, _ = play(game, DROP, DROP, DROP, DROP)
    assert game.legal(state) == {DROP, COPY}


def test_keep_rule_counts_only_uses_that_have_to_be_kept() -> None:
    """Before its first copy a parameter is in HBM without being told."""
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(1.0),
        Step(makes="x", reads=("w",)),
        Step(2.0, reads=("x",)),
        Step(reads=("w",)),
    ]
    game = Game(problem(steps, {"w": 256, "x": 256}))
    state, _ = play(game, DROP, NO_COPY, NO_COPY)
    assert game.legal(state) == {DROP, COPY}


def test_keep_rule_forbids_the_pin_beside_a_kept_use() -> None:
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(1.0),
        Step(2.0, reads=("w",)),
        Step(makes="x", reads=("w",)),
        Step(reads=("x",)),
    ]
    game = Game(problem(steps, {"w": 256, "x": 256}))
    state, _ = play(game, COPY, DROP)
    assert game.legal(state) == {DROP}
    state, _ = play(game, COPY, NO_COPY)
    assert game.legal(state) == {DROP, NO_COPY}


def test_no_prefetch_between_a_definition_and_the_very_next_time() -> None:
    """The compiler refuses it, however much fast memory is free (libtpu 0.0.52)."""
    steps = [Step(opcode="parameter", makes="w"), Step(2.0, reads=("w",)), Step(2.0, reads=("w",))]
    game = Game(problem(steps, {"w": 256}))
    assert [site.time for site in game.program.sites] == [2]


def test_drop_backup_takes_the_group_back_and_replays() -> None:
    """a and b share a buffer of 512 bytes; x takes the upper half of it while only a's 256 bytes are reserved."""
    steps = [
        Step(makes="a"),
        Step(makes="x", reads=("a",)),
        Step(makes="b", reads=("a",)),
        Step(reads=("b", "x")),
    ]
    game = Game(problem(steps, {"a": 256, "b": 512, "x": 512}, groups=(("a", "b"),)))
    before, rewards = play(game, NO_COPY, NO_COPY, NO_COPY, NO_COPY)
    assert before.board.stays[1] == (Stay(1, 1, 3, 256),)
    assert game.legal(before) == {NO_COPY}
    state, backup = game.step(before, NO_COPY)
    assert state.moves == [DROP, DROP, NO_COPY, DROP, DROP]
    assert state.barred == {0}
    assert backup / US == pytest.approx(-(rewards[0] + rewards[1] + rewards[3]))
    while not game.done(state):
        state, _ = game.step(state, max(game.legal(state), key=lambda move: move.value))
    plan = game.plan(state)
    assert plan.fast_definitions == {1}
    assert plan.stays == (Stay(1, 1, 3, 0),)


def loop(kind: str, trips: int) -> Problem:
    """w is copied while a callee of 1 us runs, which leaves 0.2 us idle; of two branches the first is slower."""
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(1.0, other_bytes=800.0, computation=1),
        Step(0.5, other_bytes=0.0, computation=2),
        Step(opcode="call"),
        Step(reads=("w",)),
    ]
    callees = [Computation("one", 1, 1, kind, 3, trips), Computation("two", 2, 2, kind, 3, trips)]
    entry = Computation("entry", 0, 4, "entry", None, 1)
    return problem(steps, {"w": 1000}, computations=(entry, *callees))


def test_loop_counts_its_trips_and_their_idle_time() -> None:
    game = Game(loop("body", 3))
    assert game.total(game.start()) / US == pytest.approx(3 * 1.0 + 3 * 0.5 + 1.0)
    _, rewards = play(game, COPY)
    assert rewards == pytest.approx([0.9]), "3 x (0.2 + 0.5) us idle"


def test_conditional_counts_its_slowest_branch() -> None:
    game = Game(loop("branch", 1))
    assert game.total(game.start()) / US == pytest.approx(1.0 + 1.0)
    _, rewards = play(game, COPY)
    assert rewards == pytest.approx([0.9 - 0.8]), "the slow branch leaves 0.2 us idle"


def test_copy_before_a_loop_serves_every_use_in_it() -> None:
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(2.0),
        Step(reads=("w",), computation=1),
        Step(opcode="while", reads=("w",)),
        Step(reads=("w",)),
    ]
    computations = (Computation("entry", 0, 4, "entry", None, 1), Computation("body", 2, 2, "body", 3, 5))
    game = Game(problem(steps, {"w": 1000}, computations=computations))
    state, rewards = play(game, COPY, NO_COPY)
    assert rewards == pytest.approx([5 * 0.9, 0.9])
    plan = game.plan(state)
    assert plan.copies == (Copy(0, "prefetch", 0, 3),)
    assert plan.stays == (Stay(0, 1, 4, 0),)
    assert plan.fast_uses == {(0, 0), (0, 1), (0, 2)}


def test_copy_inside_a_loop_is_made_in_every_iteration() -> None:
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(1.0, computation=1, other_bytes=500.0),
        Step(reads=("w",), computation=1),
        Step(opcode="while"),
    ]
    computations = (Computation("entry", 0, 3, "entry", None, 1), Computation("body", 1, 2, "body", 3, 5))
    made = problem(steps, {"w": 1000}, computations=computations)
    use = replace(made.tensors[0].uses[0], copy_after=1)
    game = Game(replace(made, tensors=(replace(made.tensors[0], uses=(use,)),)))
    _, rewards = play(game, COPY)
    assert rewards == pytest.approx([5 * (0.9 - 1.0)]), "nothing is idle between 1 and 2"


def test_bitcasts_are_not_served() -> None:
    steps = [
        Step(makes="x"),
        Step(opcode="bitcast", reads=("x",)),
        Step(1.0, reads=("x",)),
        Step(2.0),
        Step(reads=("x",)),
    ]
    game = Game(problem(steps, {"x": 1000}))
    state, _ = play(game, DROP, DROP, DROP)
    assert game.legal(state) == {DROP, COPY}, "the use at 2 is the first one, the one at 4 may be copied"
    state, _ = game.step(state, COPY)
    assert game.plan(state).fast_uses == {(0, 2)}
