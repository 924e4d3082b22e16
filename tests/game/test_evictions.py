"""Entry results in fast memory, by hand. Times in microseconds; see ``hand_made``.

MSA waits for an eviction after what takes as long as copying nearly 16 MiB: 16773 us here.
"""

from __future__ import annotations

import pytest

from mallocgame.game import Game, Move
from mallocgame.game.program import Program
from mallocgame.game.timeline import EVICTION, PREFETCH, Timeline
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem.evictions import Eviction, eviction_of, product_eviction, product_wait
from mallocgame.problem.schema import Computation, Problem
from tests.game.hand_made import US, Step, problem
from tests.game.test_rules import play

DROP, COPY, NO_COPY = Move.DROP, Move.COPY, Move.NO_COPY
LONG = 20000.0


def returned(*between: Step, fast_bytes: int = 1024) -> Problem:
    """x, 1000 bytes, is made at 0 and returned by a tuple at the end."""
    steps = [Step(makes="x"), *between, Step(opcode="tuple", reads=("x",))]
    return problem(steps, {"x": 1000, "y": 256}, fast_bytes)


def donated(fast_bytes: int = 1024) -> Problem:
    """w is read at 2 and updated in place at 3, which makes r; r is returned."""
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(2.0),
        Step(reads=("w",)),
        Step(makes="r", reads=("w",)),
        Step(LONG, makes="y"),
        Step(reads=("y",)),
        Step(opcode="tuple", reads=("r",)),
    ]
    return problem(steps, {"w": 1000, "r": 1000, "y": 256}, fast_bytes, groups=(("w", "r"),))


def check(of: Problem, plan: Plan, saved_us: float) -> None:
    assert validate(of, plan) == ()
    assert inexpressible(of, plan) == ()
    saved = replay_plan(of, Plan(of.fingerprint), "M").total - replay_plan(of, plan, "M").total
    assert saved == pytest.approx(saved_us * US)


def test_a_result_is_pinned_until_its_eviction() -> None:
    of = returned(Step(LONG, reads=("x",)), Step(1.0))
    game = Game(of)
    state, rewards = play(game, NO_COPY, NO_COPY)
    assert game.done(state), "the root's use is no site"
    assert rewards == pytest.approx([0.9, 0.0])
    plan = Plan("hand made", frozenset({0}), frozenset({(0, 0)}), (Stay(0, 0, 2, 0),), (Copy(0, "eviction", 0, 2),))
    assert game.plan(state) == plan
    check(of, plan, 0.9)


def test_a_bitcast_after_the_eviction_reads_hbm() -> None:
    of = returned(Step(LONG, reads=("x",)), Step(1.0), Step(1.0), Step(opcode="bitcast", reads=("x",)))
    game = Game(of)
    state, _ = play(game, NO_COPY, NO_COPY)
    assert game.done(state), "the bitcast's use is no site"
    plan = game.plan(state)
    assert plan.copies == (Copy(0, "eviction", 0, 2),)
    assert plan.fast_uses == {(0, 0)}
    assert validate(of, plan) == ()
    assert inexpressible(of, plan) == ()


def test_an_eviction_that_does_not_find_idle_time_stalls() -> None:
    of = returned(Step(reads=("x",)))
    state, rewards = play(Game(of), NO_COPY, NO_COPY)
    assert rewards == pytest.approx([0.9 - 1.0, 0.9 + 0.1]), "1 us of copy; the use in fast memory leaves 0.1 us idle"
    assert state.board.timeline.stall[2] == pytest.approx(0.9 * US)
    check(of, Game(of).plan(state), 0.9)


def test_a_result_that_nothing_else_reads_is_written_to_hbm() -> None:
    assert Game(returned(Step(1.0))).program.sites == ()


@pytest.mark.parametrize(
    ("between", "before"),
    [
        ([Step(reads=("x",)), Step(LONG), Step(1.0)], 3),
        ([Step(reads=("x",)), Step(16772.0), Step(1.0)], 4),
        ([Step(LONG), Step(1.0), Step(reads=("x",)), Step(1.0)], 3),
    ],
    ids=["long enough", "too short", "not before the last use"],
)
def test_when_an_eviction_is_waited_for(between: list[Step], before: int) -> None:
    of = returned(*between)
    assert eviction_of(of, of.groups[0]) == Eviction(0, 0, before)


def test_an_eviction_during_a_loop_is_waited_for_before_it() -> None:
    loop = (Computation("entry", 0, 5, "entry", None, 1), Computation("body", 2, 3, "body", 4, 7))
    steps = [
        Step(makes="x"),
        Step(1000.0, reads=("x",)),
        Step(4000.0, computation=1),
        Step(1.0, computation=1),
        Step(opcode="while"),
        Step(opcode="tuple", reads=("x",)),
    ]
    of = problem(steps, {"x": 1000}, computations=loop)
    assert eviction_of(of, of.groups[0]) == Eviction(0, 0, 4), "MSA takes every loop for 5 iterations: 5 x 4000 us at 2"


def test_queues_share_the_bandwidth() -> None:
    program = Program(returned(Step(1.0, reads=("x",)), Step(1.0)))
    timeline = Timeline(program)
    timeline.read_fast(1, 1000.0)
    timeline.add_copy((0, 0, 3, 0.75 * US), PREFETCH)
    timeline.add_copy((0, 0, 3, 0.25 * US), EVICTION)
    timeline.refresh()
    assert timeline.backlog[1] == pytest.approx((0.0, 0.0))
    timeline.add_copy((0, 1, 2, 0.5 * US), EVICTION)
    timeline.refresh()
    assert timeline.stall[2] == pytest.approx(0.5 * US), "after 1 us idle, 0.25 us are left in each queue"
    assert timeline.backlog[2] == pytest.approx((0.0, 0.0))


def test_a_donated_weight_is_updated_in_fast_memory() -> None:
    of = donated()
    game = Game(of)
    assert [(site.tensor, site.use) for site in game.program.sites] == [(0, 0), (0, 1), (2, -1), (2, 0)]
    state, rewards = play(game, COPY, NO_COPY, DROP, DROP)
    assert rewards[:2] == pytest.approx([0.9, 1.8])
    plan = Plan(
        "hand made",
        frozenset({1}),
        frozenset({(0, 0), (0, 1)}),
        (Stay(0, 1, 3, 0), Stay(1, 3, 5, 0)),
        (Copy(0, "prefetch", 0, 2), Copy(1, "eviction", 3, 5)),
    )
    assert game.plan(state) == plan
    check(of, plan, 2.7)


def test_a_donated_weight_may_be_updated_in_hbm_after_fast_uses() -> None:
    of = donated()
    state, _ = play(Game(of), COPY, DROP, DROP, DROP)
    plan = Game(of).plan(state)
    assert plan.fast_definitions == frozenset()
    check(of, plan, 0.9)


def test_a_donated_weight_may_be_copied_for_its_update_alone() -> None:
    of = donated()
    state, rewards = play(Game(of), DROP, COPY, DROP, DROP)
    assert rewards[1] == pytest.approx(1.8)
    assert Game(of).plan(state).stays == (Stay(0, 1, 3, 0), Stay(1, 3, 5, 0))
    check(of, Game(of).plan(state), 1.8)


def test_the_carried_result_keeps_its_bytes_until_the_eviction() -> None:
    game = Game(donated(fast_bytes=1024))
    state, _ = play(game, COPY, NO_COPY)
    assert game.legal(state) == {DROP}, "y is made at 4, r is evicted before 5"
    state, _ = play(game, COPY, DROP)
    assert game.legal(state) == {DROP, NO_COPY}


def test_what_is_read_elsewhere_cannot_be_pinned_with_the_result() -> None:
    of = returned(Step(reads=("x",)), Step(1.0))
    early = Plan("hand made", frozenset({0}), frozenset({(0, 0)}), (Stay(0, 0, 2, 0),), (Copy(0, "eviction", 0, 2),))
    assert validate(of, early) == ()
    assert [violation.cause for violation in inexpressible(of, early)] == ["eviction"], "MSA waits for it at 3"
    slow = Plan("hand made", frozenset({0}), frozenset(), (Stay(0, 0, 3, 0),), (Copy(0, "eviction", 0, 1),))
    assert {violation.cause for violation in inexpressible(of, slow)} == {"eviction", "pinned in part"}


def test_the_rest_of_a_donated_group_goes_with_its_update() -> None:
    of = donated()
    fast = Plan("hand made", frozenset(), frozenset({(0, 1)}), (Stay(0, 1, 3, 0),), (Copy(0, "prefetch", 0, 3),))
    assert [violation.cause for violation in validate(of, fast)] == ["alias group disagrees"]
    apart = Plan(
        "hand made",
        frozenset({1}),
        frozenset({(0, 1)}),
        (Stay(0, 1, 3, 0), Stay(1, 3, 5, 256)),
        (Copy(0, "prefetch", 0, 3), Copy(1, "eviction", 3, 5)),
    )
    assert "alias offsets differ" in {violation.cause for violation in validate(of, apart)}


def product(*after: Step) -> Problem:
    """p, 1000 bytes, is made at 0 and read at 1, 3, 5 and 6; its eviction takes 1 us, and is waited for after LONG."""
    steps = [Step(makes="p"), Step(LONG, reads=("p",)), Step(9.0), Step(reads=("p",)), Step(9.0), *after]
    return problem([*steps, Step(reads=("p",)), Step(reads=("p",)), Step(opcode="tuple")], {"p": 1000})


def spilled(last: int, before: int, *copies: Copy) -> Plan:
    """p is made in fast memory, read there up to its use number ``last``, evicted, and copied back for number 3."""
    uses = frozenset((0, number) for number in (*range(last + 1), *([3] if copies else [])))
    stays = [Stay(0, 0, max(before, [1, 3, 5, 6][last]), 0), *(Stay(0, copy.after + 1, 6, 0) for copy in copies)]
    return Plan("hand made", frozenset({0}), uses, tuple(stays), (Copy(0, "eviction", 0, before), *copies))


def test_a_product_is_evicted_after_its_first_uses_and_copied_back() -> None:
    of = product()
    (wait,) = {product_wait(of, tensor) for tensor in of.tensors}
    assert wait == 2, "the instruction at 1 takes longer than copying 16 MiB"
    assert product_eviction(of.tensors[0], 0, wait) == Eviction(0, 0, 2)
    assert product_eviction(of.tensors[0], 1, wait) == Eviction(0, 0, 3), "not before the last use in fast memory"
    # written to fast memory 0.9 us sooner; the use at 1 computes all the time anyway; the last use reads the copy
    check(of, spilled(0, 2), 0.9)
    check(of, spilled(0, 2, Copy(0, "prefetch", 3, 6)), 0.9 + 0.9)
    check(of, spilled(1, 3), 0.9 + 0.9)


def test_an_eviction_ends_before_the_next_use() -> None:
    of = problem([Step(makes="p"), Step(reads=("p",)), Step(LONG, reads=("p",)), Step(opcode="tuple")], {"p": 1000})
    wait = product_wait(of, of.tensors[0])
    assert wait == 3, "only with the use at 2 it is longer than copying 16 MiB"
    assert wait is not None
    assert product_eviction(of.tensors[0], 0, wait) == Eviction(0, 0, 2)


def test_no_copy_is_made_between_an_eviction_and_the_next_instruction() -> None:
    """Nothing is long enough for the eviction, so the use at 3 waits for it; the one at 4 can have no copy, 5 can."""
    reads = [Step(reads=("p",)) for _ in range(5)]
    of = problem([Step(makes="p"), *reads, Step(opcode="tuple")], {"p": 1000})
    for first, causes in ((3, {"copy start not expressible"}), (4, set())):
        plan = Plan(
            "hand made",
            frozenset({0}),
            frozenset({(0, 0), (0, 1), *((0, use) for use in range(first, 5))}),
            (Stay(0, 0, 3, 0), Stay(0, 4, 5, 0)),
            (Copy(0, "eviction", 0, 3), Copy(0, "prefetch", 3, first + 1)),
        )
        assert validate(of, plan) == ()
        assert {violation.cause for violation in inexpressible(of, plan)} == causes


@pytest.mark.parametrize(
    ("plan", "causes"),
    [
        (spilled(0, 3), {"eviction"}),
        (
            spilled(1, 3, Copy(0, "prefetch", 3, 5)),
            {"copy for no use", "copies without HBM use between", "copy kept past an HBM use"},
        ),
        (spilled(2, 5, Copy(0, "prefetch", 5, 6)), {"pinned in part"}),
    ],
    ids=["too late", "for a use that reads HBM", "no use in HBM between"],
)
def test_evictions_of_products_that_the_compiler_does_not_do(plan: Plan, causes: set[str]) -> None:
    of = product()
    assert {violation.cause for violation in inexpressible(of, plan)} == causes


def test_a_product_whose_first_use_is_in_hbm_is_not_made_in_fast_memory() -> None:
    of = product()
    plan = Plan("hand made", frozenset({0}), frozenset(), (Stay(0, 0, 1, 0),), (Copy(0, "eviction", 0, 1),))
    assert [violation.cause for violation in inexpressible(of, plan)] == ["pinned in part"]
