"""What libtpu 0.0.52 made of a scanned model and of a transformer (v5e), replayed and read back."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from mallocgame.models.replay import read_back, relaxed_bound, replay_final, replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.validate import validate
from mallocgame.problem.build import build_problem
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from xla_dump_parser import HloModule, parse_buffer_assignment, read_hlo, read_text

DATA = Path(__file__).parents[2] / "parser" / "data"


@cache
def capture(name: str) -> tuple[Problem, HloModule]:
    final = read_hlo(DATA / f"{name}_final.txt.gz")
    return build_problem(read_hlo(DATA / f"{name}_before_msa.txt.gz"), get_target("v5e"), final=final), final


@pytest.mark.parametrize("name", ["v5e_scan", "v5e_transformer"])
def test_nothing_is_missing_and_no_bound_is_beaten(name: str) -> None:
    problem, final = capture(name)
    hbm = Plan(problem.fingerprint)
    result = replay_final(problem, final, "M")
    assert result.missing == ()
    assert relaxed_bound(problem, "M") <= result.total < replay_plan(problem, hbm, "M").total
    assert result.peak_fast <= problem.target.fast_bytes
    assert relaxed_bound(problem, "E") <= replay_final(problem, final, "E").total
    assert result.total == pytest.approx(sum(row.runs * (row.seconds + row.stall) for row in result.rows))


@pytest.mark.parametrize("name", ["v5e_scan", "v5e_transformer"])
def test_every_copy_is_of_a_tensor_and_every_stay_has_its_offset(name: str) -> None:
    problem, final = capture(name)
    allocations = parse_buffer_assignment(read_text(DATA / f"{name}_buffer_assignment.txt.gz"))
    found = read_back(problem, final, allocations)
    assert found.offsets_known
    for copy in found.copies:
        assert copy.tensor is not None
        assert copy.size == problem.tensors[copy.tensor].size
    plan = found.to_plan()
    # a sliced copy takes its bytes slice by slice, the plan all at its first start: overlaps that are none
    assert {violation.cause for violation in validate(problem, plan)} <= {"overlap"}
    assert replay_plan(problem, plan, "M").total == pytest.approx(replay_final(problem, final, "M").total, rel=0.02)


def test_the_scan_by_hand() -> None:
    """7 trips; everything between the entry parameter and the result is 512 KiB in fast memory."""
    problem, final = capture("v5e_scan")
    target = problem.target
    size = 512 * 512 * 2
    result = replay_final(problem, final, "M")
    rows = {row.name: row for row in result.rows}
    assert rows["copy.11"].seconds == pytest.approx(size / target.hbm_bandwidth + size / target.fast_write_bandwidth)
    inner = size / target.fast_read_bandwidth + size / target.fast_write_bandwidth
    assert rows["copy.13"].seconds == pytest.approx(inner)
    assert (rows["copy.13"].runs, rows["fusion.21"].runs) == (7, 7)
    weights = size / target.hbm_bandwidth  # one of 7 layers is sliced from HBM in each trip
    assert rows["fusion.21"].hbm_seconds == pytest.approx(weights, rel=0.01)
    assert Counter(row.runs for row in result.rows if row.name.endswith("_fusion")) == {0: 1, 1: 1}
    assert result.stall == pytest.approx(size / target.hbm_bandwidth)  # the result is evicted at the very end
    assert rows["copy-done"].stall == result.stall
    found = read_back(problem, final)
    assert [(copy.kind, copy.before) for copy in found.copies] == [("eviction", len(problem.instructions) - 1)]
    assert found.gone == ("get-tuple-element.2",)


def test_the_transformers_copies() -> None:
    problem, final = capture("v5e_transformer")
    found = read_back(problem, final)
    kinds = Counter((copy.kind, len(copy.starts)) for copy in found.copies)
    assert kinds == {("prefetch", 4): 11, ("prefetch", 1): 3}
    copied = [problem.tensors[copy.tensor] for copy in found.copies if copy.tensor is not None]
    assert {tensor.hbm_definition for tensor in copied} == {"entry parameter"}
    weight = problem.tensors[found.copies[-1].tensor or 0]
    # the cross-program prefetch comes again at the end, for the next run; only the first one is read
    assert (weight.instruction, weight.uses[-1].time < found.copies[-1].before) == ("ps_0__5_.1", True)
    assert len(found.to_plan().copies) == 13
    assert all(name.startswith("bitcast") for name in found.gone)
