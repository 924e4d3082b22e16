"""What instructions reserve of fast memory, on problems small enough to work out by hand; see ``hand_made``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.game import Game, Move
from mallocgame.game.program import Program
from mallocgame.models.replay import replay_plan
from mallocgame.packing import pack
from mallocgame.plan.plan import Plan, Stay
from mallocgame.plan.validate import validate
from mallocgame.problem.reserved import fixed_reservations, reserved_bytes
from mallocgame.problem.schema import Problem, Reservation
from mallocgame.solvers import solve
from mallocgame.solvers.addresses import reserved_buffers
from mallocgame.solvers.annealing.search import Search
from mallocgame.solvers.exact import proven_bound, solve_exactly
from tests.game.hand_made import US, Step, problem

SOLVERS = ["greedy", "local", "exact"]


def across(reserved: int, offset: int = 0) -> Problem:
    """A value of 512 bytes that is made, lives across a kernel that reserves so many of the 1024 bytes, and is read."""
    steps = [Step(makes="a"), Step(2.0, other_bytes=500.0, opcode="custom-call"), Step(reads=("a",))]
    found = problem(steps, {"a": 512})
    return replace(found, reserved=(Reservation(1, 1, offset, reserved),)) if reserved else found


@pytest.mark.parametrize(
    ("reserved", "offset", "expected"),
    [
        (0, 0, 0),
        (512, 0, 512),
        (300, 0, 512),  # the next multiple of the alignment, 256
        (513, 0, None),
        (1024, 0, None),
        (512, 512, 0),
        (256, 768, 0),
        (300, 250, None),  # 250 bytes below it, 474 above
    ],
)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_value_is_beside_what_the_kernel_reserves(
    solver: str, reserved: int, offset: int, expected: int | None
) -> None:
    task = across(reserved, offset)
    solution = solve(task, solver, time_limit=5, max_steps=2000)
    stays = () if expected is None else (Stay(0, 0, 2, expected),)
    assert solution.plan.stays == stays
    assert not validate(task, solution.plan)


def test_the_game_offers_no_place_that_is_reserved() -> None:
    for reserved, moves in ((512, {Move.DROP, Move.NO_COPY}), (768, {Move.DROP})):
        game = Game(across(reserved))
        assert game.legal(game.start()) == moves


def test_a_value_that_is_gone_before_the_kernel_may_have_its_bytes() -> None:
    steps = [Step(makes="a"), Step(reads=("a",), makes="b"), Step(other_bytes=9.0), Step(reads=("b",))]
    task = replace(problem(steps, {"a": 1024, "b": 256}), reserved=(Reservation(2, 2, 0, 1000),))
    for solver in SOLVERS:
        plan = solve(task, solver, time_limit=5, max_steps=2000).plan
        assert plan.stays == (Stay(0, 0, 1, 0),), "b would have to lie across the kernel, where 24 bytes are free"


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_the_kernel_itself_reads_and_writes_lies_beside(solver: str) -> None:
    """As the compiler has it: operands of a kernel that are in fast memory count beside its reservation."""
    kernel = Step(reads=("a",), makes="b", opcode="custom-call")
    task = problem([Step(makes="a"), kernel, Step(reads=("b",))], {"a": 256, "b": 256})
    for reserved, most in ((512, 2), (768, 1), (1024, 0)):
        plan = solve(replace(task, reserved=(Reservation(1, 1, 0, reserved),)), solver, time_limit=5).plan
        assert len(plan.stays) == most
        assert {stay.offset >= reserved for stay in plan.stays} <= {True}


def test_a_prefetch_goes_where_no_kernel_is_in_its_way() -> None:
    """It may start at 0, and of use are starts up to 2, but the kernel at 2 leaves it no room."""
    steps = [Step(opcode="parameter", makes="w"), Step(1.5), Step(1.5), Step(0.2), Step(reads=("w",))]
    free = problem(steps, {"w": 1000}, fast_bytes=1024)
    task = replace(free, reserved=(Reservation(2, 2, 0, 256),))
    for solver in SOLVERS:
        assert solve(free, solver, time_limit=5).plan.stays[0].start == 2
        solution = solve(task, solver, time_limit=5)
        assert solution.plan.stays == (Stay(0, 3, 4, 0),)
        assert solution.seconds_under_m == pytest.approx((1.5 + 1.5 + 0.2 + 0.8 + 0.1) * US), "it waits for 0.8 us"


@pytest.mark.parametrize("solver", SOLVERS)
def test_with_less_memory_what_is_reserved_above_it_is_no_room(solver: str) -> None:
    task = across(256, offset=768)
    less = replace(task, target=replace(task.target, fast_bytes=256))
    assert solve(less, solver, time_limit=5).plan.stays == ()


@pytest.mark.parametrize("backend", ["cp-sat", "highs"])
def test_the_bound_knows_what_is_reserved(backend: str) -> None:
    free, task = across(0), across(1024)
    assert proven_bound(free, time_limit=5).seconds < 2.8 * US
    whole = replace(task, reserved=(Reservation(0, 2, 0, 1024),))
    all_hbm = replay_plan(whole, Plan(whole.fingerprint), "M").total
    assert proven_bound(whole, time_limit=5).seconds == pytest.approx(all_hbm, rel=1e-6)
    assert solve_exactly(task, backend=backend, time_limit=5).seconds == pytest.approx(all_hbm)  # type: ignore[arg-type]


def test_reservations_count_as_occupied() -> None:
    task = across(512)
    assert replay_plan(task, Plan(task.fingerprint), "M").peak_fast == 512
    assert replay_plan(task, solve(task, "greedy").plan, "M").peak_fast == 1024


def test_bytes_that_no_tensor_can_have() -> None:
    reserved = (Reservation(0, 0, 0, 300), Reservation(1, 1, 250, 300), Reservation(2, 2, 256, 768))
    task = replace(across(0), reserved=reserved)
    assert reserved_bytes(task) == [512, 768 - 256, 768]
    less = replace(task, target=replace(task.target, fast_bytes=256))
    assert fixed_reservations(less) == (Reservation(0, 0, 0, 256), Reservation(1, 1, 250, 6))
    assert reserved_bytes(less) == [256, 0, 0]
    assert pack(reserved_buffers(less), 256).status == "feasible"


def test_local_search_with_less_memory_than_is_reserved() -> None:
    task = across(768)
    search = Search(task)
    search.shrink(512, search.best.copy())
    assert not search.best.kind.any()
    assert search.world.used[Program(task).times[0][1]] == 768
