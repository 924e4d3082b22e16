"""Replays of plans, against seconds computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.models.replay import Flight, relaxed_bound, replay_plan
from mallocgame.models.replay.bound import crossing_bytes
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Group, Problem
from mallocgame.system.errors import BadInputError
from tests.models.replay.problems import Builder, straight


def chain() -> Problem:
    """w (20 bytes) and v (10 bytes) are parameters; a, b, c compute 10 s, 15 s and 1 s."""
    builder = straight()
    builder.parameter("w", 20)
    builder.parameter("v", 10)
    builder.add("a", compute=10.0, reads={"v": 4.0}, writes=2.0)
    builder.add("b", compute=15.0, reads={"a": 2.0}, writes=3.0)
    builder.add("c", compute=1.0, reads={"b": 3.0, "w": 20.0, "v": 10.0}, writes=5.0, cycles=6)
    return builder.build()


def test_everything_in_hbm() -> None:
    result = replay_plan(chain(), Plan("f"), "M")
    assert [row.seconds for row in result.rows] == [0.0, 0.0, 10.0, 15.0, 38.0]
    assert [row.hbm_seconds for row in result.rows] == [0.0, 0.0, 6.0, 5.0, 38.0]
    assert (result.total, result.stall, result.peak_fast) == (63.0, 0.0, 0)
    assert [row.time for row in result.rows] == [0, 1, 2, 3, 4]


def test_fast_memory_costs_a_tenth() -> None:
    plan = Plan("f", frozenset({3}), frozenset({(3, 0)}), (Stay(3, 3, 4, 0),))
    result = replay_plan(chain(), plan, "M")
    # c: 3 bytes from fast memory take 0.3 s, 35 bytes over HBM 35 s; b is bound by its compute time
    assert [row.seconds for row in result.rows[2:]] == [10.0, 15.0, pytest.approx(35.3)]
    assert result.peak_fast == 3


def test_prefetch_hides_in_idle_time_and_stalls_for_the_rest() -> None:
    # a leaves 10 - 6 = 4 s idle, b 15 - 5 = 10 s; w needs 20 s: after w -> 14 s hidden, 6 s stall.
    plan = Plan("f", frozenset(), frozenset({(0, 0)}), (Stay(0, 1, 4, 0),), (Copy(0, "prefetch", 0, 4),))
    result = replay_plan(chain(), plan, "M")
    assert result.rows[4].stall == 6.0
    assert result.rows[4].seconds == 20.0  # 20 bytes in 2 s from fast memory, 18 bytes over HBM
    assert result.stall == 6.0
    assert result.total == 10.0 + 15.0 + 6.0 + 20.0
    assert result.peak_fast == 20


def test_a_flight_says_when_a_copy_moves() -> None:
    # as above: a lasts until 10 s and leaves 4 s for copies, b until 25 s and leaves 10 s, the wait is 6 s.
    copy = Copy(0, "prefetch", 0, 4)
    plan = Plan("f", frozenset(), frozenset({(0, 0)}), (Stay(0, 1, 4, 0),), (copy,))
    result = replay_plan(chain(), plan, "M")
    assert result.flights == (Flight(copy, "prefetch", "main", 0.0, 0.0, 31.0, 25.0),)
    assert [row.copy_seconds for row in result.rows] == [0.0, 0.0, 4.0, 10.0, 0.0]


def test_flights_of_one_queue_follow_each_other() -> None:
    # w takes the 4 s of a and the 10 s of b, which end at 10 s and 25 s, then 6 s of waiting; v, behind it, 10 s more.
    first, second = Copy(0, "prefetch", 0, 4), Copy(1, "prefetch", 2, 4)
    plan = Plan("f", frozenset(), frozenset({(0, 0), (1, 1)}), (Stay(0, 1, 4, 0), Stay(1, 3, 4, 20)), (first, second))
    result = replay_plan(chain(), plan, "M")
    assert result.flights == (
        Flight(first, "prefetch", "main", 0.0, 0.0, 31.0, 25.0),
        Flight(second, "prefetch", "main", 10.0, 31.0, 41.0, 31.0),
    )


def test_bandwidth_is_spread_over_the_instruction_that_leaves_it() -> None:
    # v (10 bytes) starts at once: a lasts 10 s and leaves 4 s, so 4 bytes; 6 of b's 10 s, so 9 of its 15 s.
    copy = Copy(1, "prefetch", 1, 4)
    plan = Plan("f", frozenset(), frozenset({(1, 1)}), (Stay(1, 2, 4, 0),), (copy,))
    (flight,) = replay_plan(chain(), plan, "M").flights
    assert (flight.begun, flight.arrived, flight.waited) == (0.0, pytest.approx(19.0), 25.0)


def test_a_copy_waits_for_all_ahead_of_it_but_not_for_those_behind() -> None:
    problem = chain()
    ahead = Plan(
        "f",
        frozenset(),
        frozenset({(0, 0), (1, 0)}),
        (Stay(0, 1, 4, 0), Stay(1, 2, 2, 20)),
        (Copy(0, "prefetch", 0, 4), Copy(1, "prefetch", 1, 2)),
    )
    result = replay_plan(problem, ahead, "M")
    assert result.rows[2].stall == 30.0  # v arrives behind w
    assert result.rows[4].stall == 0.0
    assert result.peak_fast == 30
    behind = replace(ahead, copies=(Copy(0, "prefetch", 1, 4), Copy(1, "prefetch", 1, 2)))
    turned = replace(behind, copies=behind.copies[::-1])
    assert replay_plan(problem, behind, "M").rows[2].stall == 30.0
    result = replay_plan(problem, turned, "M")
    assert result.rows[2].stall == 10.0
    # a now leaves 10 - 2 = 8 s idle (4 of its bytes are fast), b 10 s: 2 of w's 20 s are left.
    assert result.rows[4].stall == 2.0


def test_an_eviction_shares_the_bandwidth() -> None:
    # a (2 bytes) is evicted and v (10 bytes) fetched during b: b leaves 15 - 3 = 12 s idle: 2 each, then v alone.
    plan = Plan(
        "f",
        frozenset({2}),
        frozenset({(2, 0), (1, 1)}),
        (Stay(1, 3, 4, 10), Stay(2, 2, 3, 0)),
        (Copy(1, "prefetch", 2, 4), Copy(2, "eviction", 2, 4)),
    )
    result = replay_plan(chain(), plan, "M")
    assert result.stall == 0.0
    problem = chain()
    quicker = replace(problem.instructions[3], compute_seconds=6.0)
    shorter = replace(problem, instructions=(*problem.instructions[:3], quicker, problem.instructions[4]))
    # now b leaves 3 s idle, 1.5 each; the wait for v shares 0.5 each, then 8 s alone: 0.5 + 0.5 + 8 = 9 s.
    assert replay_plan(shorter, plan, "M").rows[4].stall == 9.0


def test_model_e_takes_cycles_or_own_hbm_time() -> None:
    problem = chain()
    result = replay_plan(problem, Plan("f"), "E")
    assert [row.seconds for row in result.rows[2:]] == [10.0, 15.0, 38.0]  # c: 6 cycles are 3 s, 38 bytes 38 s
    fast = Plan("f", frozenset({3}), frozenset({(0, 0), (1, 1), (3, 0)}))
    assert replay_plan(problem, fast, "E").rows[4].seconds == 5.0
    cycles = replace(problem.instructions[4], cycles=100)
    slow = replace(problem, instructions=(*problem.instructions[:4], cycles))
    assert replay_plan(slow, Plan("f"), "E").rows[4].seconds == 50.0


def loop() -> Problem:
    """w is fetched across a loop of 3 trips; its body has a copy of its own."""
    builder = Builder([("main", "entry", 1), ("cond", "condition", 3), ("body", "body", 3)],
                      {"cond": "while", "body": "while"})  # fmt: skip
    builder.parameter("w", 20)
    builder.add("lt", 1, compute=1.0)
    builder.add("p", 2, writes=0.0, size=4, free=True)
    builder.add("x", 2, compute=5.0, other=3.0)
    builder.add("y", 2, compute=4.0, reads={"p": 4.0})
    builder.add("while", free=True)
    builder.add("z", compute=1.0, reads={"w": 20.0})
    return builder.build()


def test_a_loop_counts_its_trips() -> None:
    result = replay_plan(loop(), Plan("f"), "M")
    assert [row.runs for row in result.rows] == [3, 3, 3, 3, 1, 1, 1]
    assert [row.name for row in result.rows] == ["lt", "p", "x", "y", "w", "while", "z"]
    assert result.total == 3 * (1.0 + 5.0 + 4.0) + 20.0


def test_a_copy_across_a_loop_takes_what_its_runs_leave_idle() -> None:
    # one trip leaves 1 (lt) + 2 (x) + 0 (y: 4 bytes) = 3 s; 3 trips 9 s; w needs 20 s: 11 s stall.
    plan = Plan("f", frozenset(), frozenset({(0, 0)}), (Stay(0, 1, 6, 0),), (Copy(0, "prefetch", 0, 6),))
    result = replay_plan(loop(), plan, "M")
    assert result.stall == 11.0
    assert result.total == 30.0 + 11.0 + 2.0


def test_a_copy_inside_a_loop_runs_every_trip_and_leaves_less_to_the_outer_one() -> None:
    # inside: p needs 4 s, x leaves 2 s: 2 s stall in each of 3 trips; y then leaves 4 - 0.4 ... all of its 4 s
    inner = Plan("f", frozenset(), frozenset({(1, 0)}), (Stay(1, 3, 4, 0),), (Copy(1, "prefetch", 2, 4),))
    result = replay_plan(loop(), inner, "M")
    assert result.stall == 6.0
    assert result.total == 3 * (1.0 + 5.0 + 2.0 + 4.0) + 20.0
    both = replace(
        inner,
        fast_uses=frozenset({(0, 0), (1, 0)}),
        stays=(Stay(0, 1, 6, 10), *inner.stays),
        copies=(Copy(0, "prefetch", 0, 6), *inner.copies),
    )
    # left over of one trip: 1 (lt) + 0 (x, taken by p) + 4 (y, whose bytes are now fast) = 5 s; 20 - 15 = 5 s stall.
    result = replay_plan(loop(), both, "M")
    assert result.stall == 6.0 + 5.0
    assert result.peak_fast == 24


def test_a_copy_still_in_flight_at_the_end_is_waited_for() -> None:
    plan = Plan("f", copies=(Copy(1, "prefetch", 4, 3),))  # its wait stands before its start: never waited for
    result = replay_plan(loop(), plan, "M")
    assert result.rows[3].stall == 4.0
    assert result.total == 3 * (10.0 + 4.0) + 20.0


def branches() -> Problem:
    """The second branch is the slower one, unless the first has to stall."""
    builder = Builder([("main", "entry", 1), ("one", "branch", 1), ("two", "branch", 1)],
                      {"one": "cond", "two": "cond"})  # fmt: skip
    builder.parameter("w", 6)
    builder.add("p", 1, writes=0.0, size=8, free=True)
    builder.add("x", 1, compute=4.0, reads={"p": 2.0})
    builder.add("y", 2, compute=6.0, other=1.0)
    builder.add("cond", free=True)
    builder.add("z", compute=1.0, reads={"w": 6.0})
    return builder.build()


def test_a_conditional_takes_its_slowest_branch() -> None:
    result = replay_plan(branches(), Plan("f"), "M")
    assert {row.name: row.runs for row in result.rows} == {"w": 1, "p": 0, "x": 0, "y": 1, "cond": 1, "z": 1}
    assert result.total == 12.0
    stalled = Plan("f", frozenset(), frozenset({(1, 0)}), (Stay(1, 2, 2, 0),), (Copy(1, "prefetch", 1, 2),))
    result = replay_plan(branches(), stalled, "M")
    assert {row.name: row.runs for row in result.rows if row.name in "xy"} == {"x": 1, "y": 0}
    assert (result.total, result.stall) == (4.0 + 8.0 + 6.0, 8.0)


def test_a_copy_across_a_conditional_takes_what_the_slowest_branch_leaves() -> None:
    plan = Plan("f", frozenset(), frozenset({(0, 0)}), (Stay(0, 1, 5, 0),), (Copy(0, "prefetch", 0, 5),))
    assert replay_plan(branches(), plan, "M").stall == 1.0  # 6 s needed, y leaves 5


def test_equally_slow_branches_count_once() -> None:
    problem = branches()
    slow = replace(problem.instructions[3], compute_seconds=4.0)
    even = replace(problem, instructions=(*problem.instructions[:3], slow, *problem.instructions[4:]))
    result = replay_plan(even, Plan("f"), "M")
    assert {row.name: row.runs for row in result.rows if row.name in "xy"} == {"x": 1, "y": 0}
    assert result.total == 10.0


def test_tensors_of_one_group_count_once_in_the_peak() -> None:
    problem = chain()
    tensors = tuple(replace(tensor, group=2) if tensor.id == 3 else tensor for tensor in problem.tensors)
    aliased = replace(problem, tensors=tensors, groups=(*problem.groups[:2], Group((2, 3), 3), problem.groups[4]))
    stays = (Stay(2, 2, 3, 0), Stay(3, 3, 4, 0))
    plan = Plan("f", frozenset({2, 3}), frozenset({(2, 0), (3, 0)}), stays)
    assert replay_plan(aliased, plan, "M").peak_fast == 3
    assert replay_plan(problem, plan, "M").peak_fast == 5


def test_what_cannot_be_replayed() -> None:
    with pytest.raises(BadInputError, match="another program"):
        replay_plan(chain(), Plan("g"), "M")
    with pytest.raises(BadInputError, match="copy of w after 3, before 6 crosses"):
        replay_plan(loop(), Plan("f", copies=(Copy(0, "prefetch", 3, 6),)), "M")


def test_relaxed_bound() -> None:
    # a: 10, b: 15, c: max(1, 38 bytes in 3.8 s), 28.8 together; but w's 20 and v's min(10, 4 + 10) bytes cross
    problem = chain()
    assert crossing_bytes(problem) == 30.0
    assert relaxed_bound(problem, "M") == 30.0
    slower = replace(problem.instructions[2], compute_seconds=20.0)
    longer = replace(problem, instructions=(*problem.instructions[:2], slower, *problem.instructions[3:]))
    assert relaxed_bound(longer, "M") == pytest.approx(38.8)
    assert relaxed_bound(longer, "E") == 38.0  # c: 6 cycles at 0.5 s
    builder = straight()
    builder.parameter("w", 20)
    builder.add("z", compute=1.0, reads={"w": 50.0})
    assert relaxed_bound(builder.build(), "M") == 20.0  # w crosses once, at least
    builder.parameter("table", 1000)
    builder.add("elsewhere", reads={"table": 1000.0}, free=True, opcode="async-update")
    assert relaxed_bound(builder.build(), "M") == 20.0  # what takes no time is not waited for


def test_relaxed_bound_of_loops_and_branches() -> None:
    # per trip 1 + 5 + 4; z 2 s; w crosses
    assert relaxed_bound(loop(), "M") == 32.0
    assert crossing_bytes(loop()) == 20.0
    assert relaxed_bound(branches(), "M") == 7.0
    assert crossing_bytes(branches()) == 6.0
