"""Tables, units, files and the rectangles of the memory map."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.cli.answers.verified import verdict
from mallocgame.compiler.verification import Row
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schema import Computation, Instruction, Problem, Reservation, Target, Tensor
from mallocgame.report.memory_map import Panel, Rectangle, memory_map, positions, rectangles, reserved_rectangles
from mallocgame.report.table import plain_table
from mallocgame.report.units import duration, percent, size
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically

MIB = 2**20


def _problem() -> Problem:
    target = Target("v5e", 1, 16 * MIB, 4096, 1e11, 1e12, 1e12, 1e-9, 2**34)
    names = ["a", "b$c", "c"]
    tensors = tuple(Tensor(i, n, (), (i + 1) * MIB, i, (i, 9), 0.0, (), i) for i, n in enumerate(names))
    computations = (Computation("main", 0, 9, "entry", None, 1), Computation("body", 2, 5, "body", 6, 3))
    instructions = tuple(Instruction(f"i{t}", "add", 0, 0.0, 0.0, False) for t in range(10))
    return Problem("f", "m", target, computations, instructions, tensors, (), "log")


PLAN = Plan(
    "f",
    stays=(Stay(0, 0, 4, 0), Stay(1, 3, 8, 4 * MIB), Stay(2, 6, 6, 0)),
    copies=(Copy(1, "prefetch", 2, 6), Copy(2, "prefetch", 5, 6)),
)


def test_a_prefetched_stay_is_split_where_its_copy_lands() -> None:
    drawn = [
        (box.name, box.kind, box.start, box.end, box.offset, box.size)
        for box in rectangles(_problem(), Panel("", PLAN))
    ]
    assert drawn == [
        ("a", "written there by its instruction", 0, 4, 0, MIB),
        ("b$c", "prefetch in flight", 3, 5, 4 * MIB, 2 * MIB),
        ("b$c", "prefetched from HBM", 6, 8, 4 * MIB, 2 * MIB),
        ("c", "prefetched from HBM", 6, 6, 0, 3 * MIB),
    ]


def test_slices_are_drawn_from_their_own_starts() -> None:
    panel = Panel("", PLAN, {(1, 3): ((2, MIB), (4, MIB))})
    flights = [box for box in rectangles(_problem(), panel) if box.kind == "prefetch in flight"]
    assert [(box.start, box.end, box.offset, box.size) for box in flights] == [
        (3, 5, 4 * MIB, MIB),
        (5, 5, 5 * MIB, MIB),
    ]


def test_what_is_reserved_is_drawn_too() -> None:
    problem = replace(_problem(), reserved=(Reservation(7, 7, 0, 15 * MIB),))
    assert reserved_rectangles(problem) == (Rectangle("reserved by instructions", 7, 7, 0, 15 * MIB, "reserved"),)
    pytest.importorskip("matplotlib")
    drawn = memory_map(problem, [Panel("plan", PLAN)], "svg").decode()
    assert "reserved by instructions" in drawn or "#b8bec7" in drawn
    assert "#b8bec7" not in memory_map(_problem(), [Panel("plan", PLAN)], "svg").decode()


def test_what_takes_no_time_has_no_width() -> None:
    problem = _problem()
    free = tuple(replace(instruction, free=time in (0, 3)) for time, instruction in enumerate(problem.instructions))
    assert positions(replace(problem, instructions=free)) == (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_picture_is_drawn(kind: str, magic: bytes) -> None:
    pytest.importorskip("matplotlib")
    panels = [Panel("XLA default", PLAN), Panel("nothing", Plan("f"))]
    assert memory_map(_problem(), panels, kind).startswith(magic)


def test_plain_table_aligns() -> None:
    lines = plain_table("title", ("name", "E", "verdict"), [("a", "12", "x"), ("long", "3", "")])
    assert lines == ["title", "name   E  verdict", "----  --  -------", "a     12  x", "long   3"]


def test_units() -> None:
    assert [duration(value) for value in (0.0, 1.5e-7, 2.5e-5, 4.325e-3, 2.0)] == [
        "0",
        "150 ns",
        "25 us",
        "4.325 ms",
        "2 s",
    ]
    assert [size(value) for value in (0, 1023, 1536, 3 * MIB, 16 * 2**30)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "3 MiB",
        "16 GiB",
    ]
    assert percent(0.1234) == "12.3 %"


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_atomically(out, b"one")
    write_atomically(out, b"two")
    assert out.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["out"]
    mask = os.umask(0o022)
    os.umask(mask)
    assert out.stat().st_mode & 0o777 == 0o666 & ~mask
    for bad in (tmp_path, tmp_path / "missing" / "out", out / "out"):
        with pytest.raises(BadInputError, match="cannot be written"):
            write_atomically(bad, b"three")


@pytest.mark.parametrize(
    ("e", "m", "fits", "words"),
    [
        (0.9, 1.0, True, "better"),
        (1.0009, 0.99, True, "better"),
        (1.002, 0.9, True, "mixed"),
        (1.0005, 0.9995, True, "equal"),
        (1.1, 1.0, True, "worse"),
        (0.5, 0.5, False, "does not fit in HBM"),
    ],
)
def test_verdict(e: float, m: float, fits: bool, words: str) -> None:
    default = Row("xla default", 1.0, 0.0, 1.0, 0.0, 0, 0, (), True)
    assert verdict(Row("plan", e, 0.0, m, 0.0, 0, 0, (), fits), default) == words
