"""Inspection of a problem small enough to do by hand."""

from __future__ import annotations

import pytest

from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Target, Tensor, Use
from mallocgame.report.inspection import inspect_problem

# HBM moves 100 bytes/s, fast memory 1000 bytes/s.
TARGET = Target("v5e", 1, 4096, 4096, 100.0, 1000.0, 1000.0, 0.001, 2**34)


def _looped() -> Problem:
    """parameter p (200 B) at 0; while at 3 with condition 1 and body 2, 7 trips; f(p) (100 B) at 2; g(p) at 4."""
    computations = (
        Computation("main", 0, 4, "entry", None, 1),
        Computation("condition", 1, 1, "condition", 3, 7),
        Computation("body", 2, 2, "body", 3, 7),
    )
    instructions = (
        Instruction("p", "parameter", 0, 0.0, 0.0, True),
        Instruction("less", "compare", 1, 0.5, 0.0, False),
        Instruction("f", "fusion", 2, 0.001, 300.0, False),
        Instruction("while", "while", 0, 0.0, 0.0, True),
        Instruction("g", "fusion", 0, 1.0, 300.0, False),
    )
    tensors = (
        Tensor(0, "p", (), 200, 0, (0, 4), 0.0, (Use(2, ((0, ()),), 200.0, None), Use(4, ((0, ()),), 200.0, 0)), 0,
               hbm_definition="entry parameter"),
        Tensor(1, "f", (), 100, 2, (2, 2), 100.0, (), 1, fixed="too small"),
        Tensor(2, "g", (), 100, 4, (4, 4), 100.0, (), 2, hbm_definition="entry result"),
    )  # fmt: skip
    groups = (Group((0,), 200), Group((1,), 100), Group((2,), 100))
    return Problem("f", "m", TARGET, computations, instructions, tensors, groups, "log")


def test_by_hand() -> None:
    found = inspect_problem(_looped())
    # In HBM: less 7 * 0.5, f 7 * 3 s, g 3 s. In fast memory: f 7 * 0.3 s, g its compute, 1 s.
    assert found.all_hbm_seconds == pytest.approx(3.5 + 21 + 3)
    # p is read whole once (200 B) and g written once (100 B): 3 s, less than the fast sum.
    assert found.bound_seconds == pytest.approx(3.5 + 2.1 + 1)
    assert found.headroom == pytest.approx(1 - 6.6 / 27.5)
    assert [(row.name, row.runs, row.seconds) for row in found.costliest] == [
        ("f", 7, pytest.approx(21.0)),
        ("less", 7, pytest.approx(3.5)),
        ("g", 1, pytest.approx(3.0)),
    ]
    assert (found.peak_bytes, found.peak_time) == (300, 2)
    assert (found.tensor_bytes, found.largest_bytes, found.movable, found.loops) == (400, 200, 2, 1)
