"""The problem against what the compiler itself says of the same schedule."""

from __future__ import annotations

import re

import pytest

from mallocgame.problem.aliasing import alias_groups
from mallocgame.problem.dataflow import analyse
from mallocgame.problem.liveness import live_ranges, normalised
from mallocgame.problem.schedule import flatten
from mallocgame.problem.schema import Tensor
from tests.problem.captured import ALL, WITH_LIVE_RANGES, Captured
from xla_dump_parser import parse_hlo
from xla_dump_parser.msa_tables import parse_shape_index

_NAME = re.compile(r"<\d+ ([^\s{>]+)(\{[\d,]*\})?")
_LIVE = re.compile(r"^    (\S+?)(\{[\d,]*\}):(\d+)-(\d+)$", re.MULTILINE)


def _tensors(captured: Captured) -> dict[tuple[str, tuple[int, ...]], Tensor]:
    return {(tensor.instruction, tensor.index): tensor for tensor in captured.problem.tensors}


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_flattened_sequence(captured: Captured) -> None:
    problem = captured.problem
    ours = [(problem.computations[step.computation].name, step.name) for step in problem.instructions]
    assert ours == list(captured.log.sequence)


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_positions_and_uses_of_every_value(captured: Captured) -> None:
    schedule = flatten(captured.module)
    values = {
        (schedule.steps[value.time].name, value.index, bool(value.inputs)): value
        for value in analyse(schedule, captured.name).values
    }
    compared = 0
    for logged in captured.log.values:
        value = values.get((logged.value.instruction, logged.value.index, logged.value.phi))
        if value is None:
            continue  # a tuple
        compared += 1
        assert {(schedule.steps[time].name, index) for time, index in value.positions} == set(logged.positions)
        assert {(schedule.steps[time].name, operand, index) for time, operand, index in value.reads} == {
            (use.instruction, use.operand, use.index) for use in logged.uses
        }
    assert compared == len(values)


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_groups_sizes_and_uses_of_the_bufferinfo_table(captured: Captured) -> None:
    problem, tensors = captured.problem, _tensors(captured)
    for row in captured.log.buffers:
        found = _NAME.match(row.name)
        assert found
        tensor = tensors[found[1], parse_shape_index(found[2])]
        members = problem.groups[tensor.group].tensors
        uses = {
            (problem.instructions[use.time].name, operand, index)
            for member in members
            for use in problem.tensors[member].uses
            for operand, index in use.operands
        }
        logged = {(use.instruction, use.operand, use.index) for use in row.uses}
        assert uses == logged
        assert logged or tensor.hbm_definition is not None  # the compiler looks for room for uses alone
        assert (tensor.size, tensor.time) == (row.size, row.time)


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_groups_are_the_printed_buffers(captured: Captured) -> None:
    problem, tensors = captured.problem, _tensors(captured)
    for values in captured.log.aliases:
        if any((value.instruction, value.index) not in tensors for value in values):
            continue  # of a copy that MSA added
        members = problem.groups[tensors[values[0].instruction, values[0].index].group].tensors
        ours = {(problem.tensors[member].instruction, problem.tensors[member].index) for member in members}
        assert ours == {(value.instruction, value.index) for value in values}


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_what_the_compiler_never_puts_in_fast_memory(captured: Captured) -> None:
    tensors = _tensors(captured)
    for value, reason in captured.log.skips:
        tensor = tensors.get((value.instruction, value.index))
        if tensor is not None and ("not allowed" in reason or "larger than" in reason):
            assert tensor.fixed is not None
    for row in captured.log.buffers:
        found = _NAME.match(row.name)
        assert found
        assert tensors[found[1], parse_shape_index(found[2])].fixed is None


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_definitions_required_in_hbm(captured: Captured) -> None:
    tensors = _tensors(captured)
    problem = captured.problem
    for required in captured.log.required:
        tensor = tensors.get((required.value.instruction, required.value.index))
        if tensor is None or required.message not in ("Program input.", "Program output.", "Constant instruction."):
            continue
        members = problem.groups[tensor.group].tensors
        assert any(problem.tensors[member].hbm_definition for member in members)
        if required.message == "Constant instruction.":
            assert tensor.hbm_definition == "constant"


@pytest.mark.parametrize("captured", WITH_LIVE_RANGES, ids=str)
def test_live_ranges(captured: Captured) -> None:
    module = parse_hlo(captured.text("after.txt"))
    schedule = flatten(module)
    dataflow = analyse(schedule, captured.name)
    groups = alias_groups(schedule, dataflow, module)
    ours = normalised(live_ranges(schedule, dataflow, module), groups)
    xla = {
        (name, parse_shape_index(index)): (int(start), int(end))
        for name, index, start, end in _LIVE.findall(captured.text("live-range.txt").split("BufferLiveRange:")[1])
    }
    assert len(dataflow.values) > 20
    for value, live in zip(dataflow.values, ours, strict=True):
        assert live == xla[schedule.steps[value.time].name, value.index]


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_the_problem_holds_together(captured: Captured) -> None:
    problem = captured.problem
    assert sorted(member for group in problem.groups for member in group.tensors) == [t.id for t in problem.tensors]
    for tensor in problem.tensors:
        assert tensor.live[0] <= tensor.time <= tensor.live[1]
        assert [use.time for use in tensor.uses] == sorted({use.time for use in tensor.uses})
        assert all(tensor.live[0] <= use.time <= tensor.live[1] for use in tensor.uses)
        assert tensor.size <= problem.groups[tensor.group].size
        home = problem.instructions[tensor.time].computation
        for use in tensor.uses:
            if use.copy_after is None:
                continue
            start, reader = problem.instructions[use.copy_after], problem.instructions[use.time]
            assert start.computation == reader.computation
            if start.opcode in ("while", "conditional") and use.copy_after != tensor.time:
                assert use.copy_after in [other.time for other in tensor.uses]
            else:
                assert use.copy_after == tensor.time if start.computation == home else start.opcode == "parameter"
    for computation in problem.computations:
        if computation.caller is not None:
            outer = problem.computations[problem.instructions[computation.caller].computation]
            assert outer.start <= computation.start <= computation.end < computation.caller <= outer.end
