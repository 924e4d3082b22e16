"""Buffers as CSV: what is in it by hand, and that the packer reads it back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame import api
from mallocgame.cli import main
from mallocgame.compiler.export.buffers import buffers_of_plan, buffers_of_problem
from mallocgame.packing import Buffer, format_buffers, pack, parse_csv, validate
from mallocgame.plan.named_plan import name_plan
from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.schema import Problem, Reservation
from mallocgame.system.errors import BadInputError
from tests.game.hand_made import Step, problem

KEPT = Path(__file__).parents[1] / "kept" / "data"
HEADER = "id,lower,upper,size"


def chain() -> Problem:
    """p is made at time 0 and read at 1 and 3; x and y are a group, made at 1 and 2; z is made at 3 and read at 4."""
    steps = [
        Step(makes="p", opcode="parameter"),
        Step(makes="x", reads=("p",)),
        Step(makes="y", reads=("x",)),
        Step(makes="z", reads=("p", "y")),
        Step(reads=("z",), opcode="tuple"),
    ]
    return problem(steps, {"p": 512, "x": 256, "y": 768, "z": 256}, groups=(("x", "y"),))


def test_a_plan_by_hand() -> None:
    """z is there twice; the group is larger from time 2 on, at one offset; offsets of v5e are multiples of 4096."""
    made = chain()
    ids = {tensor.instruction: tensor.id for tensor in made.tensors}
    stays = (Stay(ids["x"], 1, 1, 0), Stay(ids["y"], 2, 3, 0), Stay(ids["z"], 3, 3, 4096), Stay(ids["z"], 4, 4, 0))
    plan = name_plan(made, Plan(made.fingerprint, stays=tuple(sorted(stays))), solver="hand")
    rows = buffers_of_plan(replace(plan, target="v5e")).splitlines()
    assert rows[0] == f"{HEADER},alignment,hint,colocation"
    assert sorted(rows[1:]) == [
        "x,1,2,256,4096,0,x",
        "x@2,2,4,768,4096,0,x",
        "z,3,4,256,4096,4096,",
        "z@4,4,5,256,4096,0,",
    ]


def test_a_problem_by_hand() -> None:
    """Whole live ranges; what may never be in fast memory is left out, what a kernel reserves is at its offset."""
    made = replace(chain(), reserved=(Reservation(2, 3, 0, 512),))
    assert buffers_of_problem(made).splitlines() == [
        f"{HEADER},alignment,offset,colocation",
        "x,1,2,256,256,,x",
        "x@2,2,4,768,256,,x",
        "p,0,4,512,256,,",
        "z,3,5,256,256,,",
        "reserved 2,2,4,512,,0,",
    ]
    tensors = [replace(tensor, fixed="constant" if tensor.instruction == "y" else None) for tensor in made.tensors]
    left = parse_csv(buffers_of_problem(replace(made, tensors=tuple(tensors))), "f").buffers
    assert [buffer.id for buffer in left] == ["p", "z", "reserved 2"]


def test_gaps_of_a_group() -> None:
    """x and y have one size, and nothing is there at time 3."""
    made = chain()
    sizes = {"x": (0, 2), "y": (4, 4)}
    tensors = [replace(t, size=256, live=sizes.get(t.instruction, t.live)) for t in made.tensors]
    rows = buffers_of_problem(replace(made, tensors=tuple(tensors))).splitlines()
    assert rows[:2] == [f"{HEADER},alignment,gaps", "x,0,5,256,256,3-4"]


@pytest.mark.parametrize("name", ["plan-local.json", "plan-auto.json", "plan-local-scan.json", "plan-reach.json"])
def test_the_packer_reads_plans_back(name: str) -> None:
    """The plan's own offsets are a packing of its buffers."""
    buffers = parse_csv(api.export(KEPT / name, "minimalloc-csv"), name).buffers
    hints = [buffer.hint if buffer.offset is None else buffer.offset for buffer in buffers]
    assert buffers
    offsets = [hint for hint in hints if hint is not None]
    assert validate(buffers, offsets, 2**40) == []
    found = pack(buffers, max(at + buffer.size for at, buffer in zip(offsets, buffers, strict=True)))
    assert found.offsets == tuple(offsets)


@pytest.mark.parametrize("name", ["tiny.mgz", "tiny.mgp", "tiny-scan.mgp"])
def test_programs_of_which_nothing_is_placed(name: str) -> None:
    told: list[str] = []
    buffers = parse_csv(api.export(KEPT / name, "minimalloc-csv", progress=told.append), name).buffers
    assert pack(buffers, 128 * 2**20).status == "feasible"
    assert told[-1] == "v4 lite has 134217728 bytes of fast memory for them"


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is the file: no line more."""
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(KEPT / "plan-local.json"), "--format", "minimalloc-csv"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == api.export(KEPT / "plan-local.json", "minimalloc-csv")


def test_what_has_no_buffers() -> None:
    with pytest.raises(BadInputError, match="no plan"):
        api.export(KEPT / "options-auto.json", "minimalloc-csv")
    with pytest.raises(BadInputError, match="--max-bytes is for flags"):
        api.export(KEPT / "plan-local.json", "minimalloc-csv", 1000)


names = st.text("ab ,\"'{}\n", min_size=1, max_size=4).map(str.strip).filter(bool)
buffers = st.builds(
    Buffer,
    id=names,
    lower=st.integers(-9, 3),
    upper=st.integers(8, 9),
    size=st.integers(0, 9),
    alignment=st.sampled_from([1, 4]),
    gaps=st.sampled_from([(), ((4, 5), (6, 7))]),
    hint=st.sampled_from([None, 0, 3]),
    separations=st.sampled_from([(), ("p",), ("q", "p")]),
    cost=st.sampled_from([None, 0, 7]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(buffers, max_size=5, unique_by=lambda buffer: buffer.id))
def test_what_is_written_is_read(made: list[Buffer]) -> None:
    assert parse_csv(format_buffers(made), "f").buffers == tuple(made)
