"""Each cause is triggered by one plan made by hand; valid plans have no violation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.validate import CAUSES, INEXPRESSIBLE, inexpressible, validate
from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Reservation, Target, Tensor, Use
from tests.game.hand_made import Step
from tests.game.hand_made import problem as hand_made

KIB4 = 4096
TARGET = Target("v5e", 1, 4 * KIB4, KIB4, 1e9, 1e10, 1e10, 1e-9, 2**34)


def use(time: int, copy_after: int | None, operand: int = 0, accessed: float = 4096.0) -> Use:
    return Use(time, ((operand, ()),), accessed, copy_after)


def problem() -> Problem:
    """A loop between plain code; tensors by id:

    0 w: parameter at 0, used at 4 (body), no: at 9 and 11; 1 a: made at 1, used at 8 (the loop takes it over);
    2 p: body parameter at 2, used at 4; 3 r: body root at 4, used at 5; 4 o: loop result at 8, used at 9;
    5 b: made at 9, used at 10 and 11; 6 c: made at 10, used at 11; 7 out: entry result at 11; 8 f: fixed at 1.
    The loop reserves the last 4 KiB.
    """
    rows = [
        ("w", "parameter", 0), ("a", "fusion", 0), ("p", "parameter", 1), ("x", "fusion", 1), ("r", "fusion", 1),
        ("t", "tuple", 1), ("cp", "parameter", 2), ("lt", "compare", 2), ("o", "while", 0), ("b", "fusion", 0),
        ("c", "fusion", 0), ("out", "fusion", 0),
    ]  # fmt: skip
    free = ("parameter", "tuple", "while")
    instructions = tuple(
        Instruction(name, opcode, number, 1e-6, 12288.0, opcode in free) for name, opcode, number in rows
    )
    loop = 1
    tensors = (
        Tensor(0, "w", (), KIB4, 0, (0, 11), 0.0, (use(9, 0, 1), use(11, 0, 2)), 0, hbm_definition="parameter"),
        Tensor(1, "a", (), KIB4, 1, (1, 8), 4096.0, (use(8, None),), loop),
        Tensor(2, "p", (), KIB4, 2, (2, 4), 0.0, (use(3, 2), use(4, 2)), loop),
        Tensor(3, "r", (), KIB4, 4, (4, 7), 4096.0, (use(5, None),), loop),
        Tensor(4, "o", (), KIB4, 8, (8, 9), 0.0, (use(9, 8),), loop),
        Tensor(5, "b", (), 2 * KIB4, 9, (9, 11), 4096.0, (use(10, 9), use(11, 9, 1)), 2),
        Tensor(6, "c", (), KIB4, 10, (10, 11), 4096.0, (use(11, 10),), 3),
        Tensor(7, "out", (), KIB4, 11, (11, 11), 4096.0, (), 4, hbm_definition="entry result"),
        Tensor(8, "f", (1,), 8, 1, (1, 3), 4.0, (use(3, 1, 1),), 5, fixed="scalar"),
    )
    return Problem(
        fingerprint="f",
        module="m",
        target=TARGET,
        computations=(
            Computation("main", 0, 11, "entry", None, 1),
            Computation("body", 2, 5, "body", 8, 3),
            Computation("condition", 6, 7, "condition", 8, 3),
        ),
        instructions=instructions,
        tensors=tensors,
        groups=(Group((0,), KIB4), Group((1, 2, 3, 4), KIB4), Group((5,), 2 * KIB4), Group((6,), KIB4),
                Group((7,), KIB4), Group((8,), 8)),
        costs="analytic",
        reserved=(Reservation(8, 8, 3 * KIB4, KIB4),),
    )  # fmt: skip


PROBLEM = problem()
LOOP_USES = frozenset({(1, 0), (2, 0), (2, 1), (3, 0), (4, 0)})
LOOP_STAYS = (Stay(1, 1, 8, 0), Stay(2, 2, 4, 0), Stay(3, 4, 7, 0), Stay(4, 8, 9, 0))
LOOP = Plan("f", frozenset({1, 2, 3, 4}), LOOP_USES, LOOP_STAYS)
PREFETCH = Plan("f", frozenset(), frozenset({(0, 0), (0, 1)}), (Stay(0, 1, 11, KIB4),), (Copy(0, "prefetch", 0, 9),))
EVICTED = Plan("f", frozenset({5}), frozenset({(5, 0)}), (Stay(5, 9, 10, 0),), (Copy(5, "eviction", 9, 11),))


def causes(plan: Plan) -> set[str]:
    violations = validate(PROBLEM, plan)
    for violation in violations:
        assert violation.message.startswith(violation.cause)
        assert "\n" not in violation.message
    return {violation.cause for violation in violations}


def unsayable(plan: Plan) -> set[str]:
    return {violation.cause for violation in inexpressible(PROBLEM, plan)}


def test_valid_plans_are_accepted() -> None:
    everything = Plan(
        "f",
        frozenset({1, 2, 3, 4, 5}),
        LOOP_USES | {(0, 0), (0, 1), (5, 0), (5, 1)},
        (*PREFETCH.stays, *LOOP_STAYS, Stay(5, 9, 11, 2 * KIB4)),
        PREFETCH.copies,
    )
    for plan in (Plan("f"), LOOP, PREFETCH, everything):
        assert validate(PROBLEM, plan) == ()
        assert inexpressible(PROBLEM, plan) == ()
    assert causes(EVICTED) == set()
    assert unsayable(EVICTED) == {"eviction", "pinned in part"}


def test_stays_of_one_group_share_bytes_at_their_joint() -> None:
    # a is needed until the loop has taken it over at 8, so it shares all times of p and r; all are at offset 0
    assert validate(PROBLEM, LOOP) == ()


def test_a_stay_may_be_beside_a_reservation_and_in_its_bytes_before_and_after() -> None:
    beside = prefetch(stays=(Stay(0, 1, 11, 2 * KIB4),))
    after = prefetch(stays=(Stay(0, 9, 11, 3 * KIB4),), copies=(Copy(0, "prefetch", 8, 9),))
    before = Plan("f", frozenset(), frozenset({(2, 0)}), (Stay(2, 3, 7, 3 * KIB4),), (Copy(2, "prefetch", 2, 3),))
    assert causes(beside) == causes(after) == causes(before) == set()


def test_an_evicted_entry_result_may_be_written_to_fast_memory() -> None:
    result = replace(PROBLEM.tensors[6], hbm_definition="entry result")
    changed = replace(PROBLEM, tensors=(*PROBLEM.tensors[:6], result, *PROBLEM.tensors[7:]))
    plan = Plan("f", frozenset({6}), frozenset(), (Stay(6, 10, 10, 0),), (Copy(6, "eviction", 10, 11),))
    assert validate(changed, plan) == ()
    kept = Plan("f", frozenset({6}), frozenset({(6, 0)}), (Stay(6, 10, 11, 0),))
    assert [violation.cause for violation in validate(changed, kept)] == ["definition must be in HBM"]


def prefetch(**changes: object) -> Plan:
    return replace(PREFETCH, **changes)  # type: ignore[arg-type]


BROKEN = {
    "wrong fingerprint": Plan("g"),
    "unknown tensor": Plan("f", frozenset({9})),
    "unknown use": Plan("f", frozenset(), frozenset({(0, 2)})),
    "time out of range": prefetch(stays=(Stay(0, 5, 12, 0),)),
    "listed twice": prefetch(copies=PREFETCH.copies * 2),
    "misaligned": prefetch(stays=(Stay(0, 1, 11, 100),)),
    "beyond capacity": prefetch(stays=(Stay(0, 1, 11, 4 * KIB4),)),
    "reserved": prefetch(stays=(Stay(0, 1, 11, 3 * KIB4),)),
    "overlap": Plan(
        "f",
        frozenset({5}),
        frozenset({(0, 0), (0, 1), (5, 0), (5, 1)}),
        (Stay(0, 1, 11, KIB4), Stay(5, 9, 11, 0)),
        PREFETCH.copies,
    ),
    "twice in fast memory": prefetch(
        stays=(Stay(0, 1, 9, 0), Stay(0, 9, 11, KIB4)),
        copies=(Copy(0, "prefetch", 0, 9), Copy(0, "prefetch", 8, 9)),
        fast_uses=frozenset({(0, 0)}),
    ),
    "fixed in HBM": Plan("f", frozenset({8}), frozenset({(8, 0)}), (Stay(8, 1, 3, 0),)),
    "definition must be in HBM": Plan("f", frozenset({7}), frozenset(), (Stay(7, 11, 11, 0),)),
    "definition without stay": Plan("f", frozenset({6}), frozenset()),
    "stay without reason": prefetch(stays=(Stay(0, 1, 9, 0), Stay(0, 10, 11, 0))),
    "stay ends before live range": Plan("f", frozenset({5}), frozenset({(5, 0), (5, 1)}), (Stay(5, 9, 10, 0),)),
    "use without stay": prefetch(stays=(Stay(0, 1, 10, 0),)),
    "copy after use": prefetch(copies=(Copy(0, "prefetch", 0, 11),)),
    "use in HBM without copy there": Plan("f", frozenset({5}), frozenset({(5, 0)}), (Stay(5, 9, 11, 0),)),
    "copy starts before definition": Plan(
        "f", frozenset(), frozenset({(6, 0)}), (Stay(6, 10, 11, 0),), (Copy(6, "prefetch", 9, 11),)
    ),
    "copy crosses computation": prefetch(stays=(Stay(0, 4, 11, 0),), copies=(Copy(0, "prefetch", 3, 9),)),
    "copy waited for before its start": prefetch(
        stays=(Stay(0, 10, 11, 0),), copies=(Copy(0, "prefetch", 9, 9),), fast_uses=frozenset({(0, 1)})
    ),
    "copy without stay": Plan("f", copies=PREFETCH.copies),
    "prefetch without data in HBM": Plan(
        "f",
        frozenset({5}),
        frozenset({(5, 1)}),
        (Stay(5, 9, 9, 0), Stay(5, 10, 11, 0)),
        (Copy(5, "prefetch", 9, 11),),
    ),
    "eviction without stay": Plan("f", copies=(Copy(5, "eviction", 9, 11),)),
    "alias group disagrees": Plan("f", frozenset({1, 2, 3}), LOOP_USES - {(4, 0)}, LOOP_STAYS[:3]),
    "alias offsets differ": replace(LOOP, stays=(*LOOP_STAYS[:3], Stay(4, 8, 9, KIB4))),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_is_found(cause: str) -> None:
    assert cause in causes(BROKEN[cause])


@pytest.mark.parametrize(
    "cause",
    ["reserved", "overlap", "misaligned", "beyond capacity", "copy after use", "alias offsets differ", "fixed in HBM",
     "definition must be in HBM", "stay ends before live range", "use without stay"],
)  # fmt: skip
def test_no_other_cause_is_named_where_one_thing_is_wrong(cause: str) -> None:
    expected = {cause}
    if cause == "stay ends before live range":
        expected.add("use without stay")
    if cause == "copy after use":
        expected = {"copy after use"}
    assert causes(BROKEN[cause]) == expected


def test_uses_through_which_a_group_shares_its_buffer_agree() -> None:
    # a is copied into fast memory for the loop, but the loop's own tensors are in HBM
    joint = Plan("f", frozenset(), frozenset({(1, 0)}), (Stay(1, 2, 8, 0),), (Copy(1, "prefetch", 1, 8),))
    assert causes(joint) == {"alias group disagrees"}
    # the use of p inside the body alone is nobody else's business
    inner = Plan("f", frozenset(), frozenset({(2, 0)}), (Stay(2, 3, 3, 0),), (Copy(2, "prefetch", 2, 3),))
    assert causes(inner) == set()
    assert unsayable(inner) == {"alias group in part"}


def test_a_wait_before_a_caller_is_a_wait_before_what_it_calls() -> None:
    inside = replace(PROBLEM.tensors[0], uses=(use(3, None, 1), use(8, None, 1), use(9, 0, 1)))
    changed = replace(PROBLEM, tensors=(inside, *PROBLEM.tensors[1:]))
    plan = Plan(
        "f", fast_uses=frozenset({(0, 0), (0, 1)}), stays=(Stay(0, 1, 8, 0),), copies=(Copy(0, "prefetch", 0, 8),)
    )
    assert validate(changed, plan) == ()
    late = replace(plan, fast_uses=frozenset({(0, 0)}), stays=(Stay(0, 1, 9, 0),), copies=(Copy(0, "prefetch", 0, 9),))
    assert [violation.cause for violation in validate(changed, late)] == ["copy after use"]


def test_a_loop_may_prefetch_what_comes_from_outside_but_not_the_other_way_round() -> None:
    inside = replace(PROBLEM.tensors[0], uses=(use(4, None, 1),))
    changed = replace(PROBLEM, tensors=(inside, *PROBLEM.tensors[1:]))
    plan = Plan("f", fast_uses=frozenset({(0, 0)}), stays=(Stay(0, 3, 4, 0),), copies=(Copy(0, "prefetch", 2, 4),))
    assert validate(changed, plan) == ()
    outward = Plan("f", stays=(Stay(3, 9, 10, 0),), copies=(Copy(3, "prefetch", 8, 10),))
    assert [violation.cause for violation in validate(PROBLEM, outward)] == ["copy crosses computation"]


def test_a_pinned_stay_may_begin_with_the_live_range() -> None:
    early = replace(PROBLEM.tensors[6], live=(9, 11))
    changed = replace(PROBLEM, tensors=(*PROBLEM.tensors[:6], early, *PROBLEM.tensors[7:]))
    plan = Plan("f", frozenset({6}), frozenset({(6, 0)}), (Stay(6, 9, 11, 0),))
    assert validate(changed, plan) == ()
    assert {violation.cause for violation in validate(PROBLEM, plan)} == {
        "definition without stay",
        "stay without reason",
    }


def called() -> Problem:
    """Like PROBLEM, but w is also read in the loop and passed to it: uses at 3, 8 (the loop), 9, 11."""
    tensor = replace(PROBLEM.tensors[0], uses=(use(3, None, 1), use(8, 0, 1), use(9, 0, 1), use(11, 0, 2)))
    return replace(PROBLEM, tensors=(tensor, *PROBLEM.tensors[1:]))


def straight() -> Problem:
    """w is read at 2 and, 3 us after that, at 4; copying the whole fast memory takes 1 us."""
    steps = [
        Step(opcode="parameter", makes="w"),
        Step(2.0),
        Step(2.0, reads=("w",)),
        Step(3.0),
        Step(reads=("w",)),
    ]
    return hand_made(steps, {"w": 1000}, fast_bytes=1000)


def copied(id: int, uses: set[int], *copies: tuple[int, int], outputs: frozenset[int] = frozenset()) -> Plan:
    """Tensor ``id`` with these uses fast and prefetches (after, before); outputs pinned; stays are not looked at."""
    fast = {(id, number) for number in uses}
    fast |= {(output, number) for output in outputs for number in range(len(PROBLEM.tensors[output].uses))}
    return Plan("f", outputs, frozenset(fast), (), tuple(Copy(id, "prefetch", *copy) for copy in copies))


SAID = {
    "eviction": (PROBLEM, EVICTED),
    "pinned in part": (PROBLEM, BROKEN["use in HBM without copy there"]),
    "alias group in part": (PROBLEM, copied(2, {0}, (2, 3))),
    "copy for no use": (PROBLEM, copied(0, {1}, (0, 10))),
    "call in part": (called(), copied(0, {1}, (0, 8))),
    "first use of a product": (PROBLEM, copied(5, {0}, (9, 10))),
    "copies without HBM use between": (PROBLEM, copied(0, {0, 1}, (0, 9), (9, 11))),
    "copy kept past an HBM use": (called(), copied(0, {1, 3}, (0, 8))),
    "kept use beside fast output": (PROBLEM, copied(0, {0}, (0, 9), outputs=frozenset({7}))),
    "beyond reach": (straight(), replace(copied(0, {0, 1}, (0, 2)), reach=2.9)),
    "reach": (PROBLEM, Plan("f", reach=1.0)),
}


@pytest.mark.parametrize("cause", SAID)
def test_what_overrides_cannot_say(cause: str) -> None:
    of, plan = SAID[cause]
    assert cause in {violation.cause for violation in inexpressible(of, plan)}


def test_what_overrides_can_say() -> None:
    for plan in (
        copied(0, {1}, (0, 11)),  # the first use of a parameter needs no override
        copied(5, {1}, (9, 11)),  # of a product it does
        copied(0, {0}, (0, 9), outputs=frozenset({5})),  # an output at the fast use
        copied(5, {1}, (9, 11), outputs=frozenset({6})),  # c, made where b is kept, is smaller than b
    ):
        assert unsayable(plan) == set()
    near, far = (replace(copied(0, {0, 1}, (0, 2)), reach=reach) for reach in (3.1, None))
    assert inexpressible(straight(), near) == inexpressible(straight(), far) == ()
    beyond = replace(copied(0, {0, 1}, (0, 2), (2, 4)), reach=2.9)
    assert inexpressible(straight(), beyond) == ()
    assert {violation.cause for violation in inexpressible(straight(), replace(beyond, reach=3.1))} == {
        "copies without HBM use between"
    }
    into_the_call = copied(0, {0, 1, 2, 3}, (0, 8))
    again = copied(0, {0, 1, 3}, (0, 8), (9, 11))
    for plan in (into_the_call, again):
        assert inexpressible(called(), plan) == ()


def test_where_a_prefetch_may_start() -> None:
    tensor = replace(PROBLEM.tensors[0], uses=(use(9, 3, 1), use(11, None, 2)))
    changed = replace(PROBLEM, tensors=(tensor, *PROBLEM.tensors[1:]))
    for plan in (copied(0, {0}, (0, 9)), copied(0, {1}, (8, 11))):
        assert [violation.cause for violation in inexpressible(changed, plan)] == ["copy start not expressible"]
    assert inexpressible(changed, copied(0, {0}, (8, 9))) == ()


def test_every_cause_has_a_test() -> None:
    assert BROKEN.keys() == CAUSES.keys()
    assert SAID.keys() | {"copy start not expressible"} == INEXPRESSIBLE.keys()


@settings(max_examples=200, deadline=None)
@given(
    stays=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 11), st.integers(0, 11), st.integers(0, 3)), min_size=1, max_size=5
    )
)
def test_space_agrees_with_a_board_of_bytes(stays: list[tuple[int, int, int, int]]) -> None:
    """Oracle: paint every (time, 4 KiB page) with its group and look for a second colour."""
    made = {Stay(id, min(s, e), max(s, e), page * KIB4) for id, s, e, page in stays}
    plan = Plan("f", stays=tuple(sorted(made)))
    board: dict[tuple[int, int], set[int]] = {}
    outside = False
    for stay in made:
        tensor = PROBLEM.tensors[stay.tensor]
        outside |= stay.offset + tensor.size > TARGET.fast_bytes
        for time in range(stay.start, stay.end + 1):
            for page in range(stay.offset // KIB4, (stay.offset + tensor.size) // KIB4):
                board.setdefault((time, page), set()).add(tensor.group)
    found = causes(plan)
    assert ("overlap" in found) == any(len(groups) > 1 for groups in board.values())
    assert ("beyond capacity" in found) == outside


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_plan_gets_an_answer(data: st.DataObject) -> None:
    number = st.integers(-2, 13)
    plan = Plan(
        "f",
        data.draw(st.frozensets(number, max_size=4)),
        data.draw(st.frozensets(st.tuples(number, number), max_size=4)),
        tuple(data.draw(st.lists(st.builds(Stay, number, number, number, st.integers(-KIB4, 2**70)), max_size=4))),
        tuple(
            data.draw(
                st.lists(st.builds(Copy, number, st.sampled_from(("prefetch", "eviction")), number, number), max_size=4)
            )
        ),
    )
    for violation in validate(PROBLEM, plan):
        assert violation.cause in CAUSES


def test_an_output_kept_with_a_use_is_not_copied_later() -> None:
    tensor = replace(PROBLEM.tensors[0], uses=(use(9, 0, 1), use(10, 0, 1)))
    changed = replace(PROBLEM, tensors=(tensor, *PROBLEM.tensors[1:]))
    plan = copied(0, {0}, (0, 9))
    later = replace(plan, fast_uses=plan.fast_uses | {(6, 0)}, copies=(*plan.copies, Copy(6, "prefetch", 10, 11)))
    assert inexpressible(changed, plan) == ()
    assert "kept use beside fast output" in {violation.cause for violation in inexpressible(changed, later)}


def test_a_copy_for_a_call_starts_before_what_hands_the_operands_over() -> None:
    assert inexpressible(called(), copied(0, {0, 1}, (0, 8))) == ()
    causes = [violation.cause for violation in inexpressible(called(), copied(0, {0, 1}, (1, 8)))]
    assert causes == ["copy start not expressible"]


def test_what_two_cores_write_is_copied_for_its_first_use_too() -> None:
    plan = copied(5, {0}, (9, 11))
    causes = {}
    for definition in (None, "written by two cores"):
        tensors = list(PROBLEM.tensors)
        tensors[5] = replace(tensors[5], uses=(use(11, 9, 1),), hbm_definition=definition)
        changed = replace(PROBLEM, tensors=tuple(tensors))
        causes[definition] = {violation.cause for violation in inexpressible(changed, plan)}
    assert causes == {None: {"first use of a product"}, "written by two cores": set()}


def test_a_bitcast_is_no_first_use() -> None:
    steps = list(PROBLEM.instructions)
    steps[10] = replace(steps[10], opcode="bitcast")
    changed = replace(PROBLEM, instructions=tuple(steps))
    causes = {violation.cause for violation in inexpressible(changed, copied(5, {1}, (9, 11)))}
    assert causes == {"first use of a product"}
