"""Memory of real compiles: equal to the compiler's own texts, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.problem.targets import TARGETS
from mallocgame.programs.placed import Placed
from mallocgame.report.memory import Kinds, MemoryUse, memory_use
from mallocgame.report.memory.kinds import kind_of
from mallocgame.report.memory.lives import Lives
from xla_dump_parser import parse_buffer_assignment, parse_hlo, parse_live_range, parse_memory_usage_report, read_text

TESTS = Path(__file__).parents[2]
CAPTURES = TESTS / "kept" / "data"
DUMPS = TESTS / "parser" / "data"


def _dump(program: str, what: str) -> str:
    return read_text(DUMPS / f"{program}_{what}.txt.gz")


def _of_dump(program: str) -> MemoryUse:
    texts = [_dump(program, what) for what in ("buffer_assignment", "memory_usage_report")]
    return memory_use(Placed(program, parse_hlo(_dump(program, "final")), texts[0], texts[1], "", TARGETS["v5e"]))


def _adds_up(use: MemoryUse) -> None:
    kinds = use.kinds
    assert kinds is not None
    hbm = use.spaces[0].total
    parts = (kinds.arguments, kinds.aliased, kinds.outputs, kinds.temporaries, kinds.constants, kinds.thread_local)
    assert sum(parts) == hbm
    for peak in use.peaks:
        total = next(space.total for space in use.spaces if space.memory_space == peak.memory_space)
        assert peak.live + peak.rest == total
        assert peak.rest >= 0
        assert sum(peak.by_kind().values()) == sum(peak.by_source().values()) == peak.live


@pytest.mark.parametrize(
    ("name", "total", "kinds"),
    [
        ("tiny", 5896192, Kinds(5812224, 0, 16384, 66048, 0, 1536)),
        ("tiny-scan", 16771584, Kinds(15679488, 0, 1024000, 66048, 2048, 0)),
    ],
)
def test_captures(name: str, total: int, kinds: Kinds) -> None:
    """The sums of the allocations' lines in the captures' own texts."""
    use = api.memory(CAPTURES / f"{name}.mgz")
    assert (use.spaces[0].name, use.spaces[0].total, use.kinds) == ("HBM", total, kinds)
    assert use.target == "v4 lite"
    _adds_up(use)


@pytest.mark.parametrize("program", ["v5e_scan", "v5e_transformer"])
def test_dumps(program: str) -> None:
    use = _of_dump(program)
    reported = parse_memory_usage_report(_dump(program, "memory_usage_report"))
    assert {space.memory_space: space.total for space in use.spaces} == {
        space.memory_space: space.total_bytes for space in reported
    }
    _adds_up(use)


@pytest.mark.parametrize(("program", "loops"), [("v5e_scan", 1), ("v5e_transformer", 0)])
def test_live_ranges_are_the_compilers(program: str, loops: int) -> None:
    """Of all temporaries in HBM, tables of tuples and what loops carry included; so the peak is that of its ranges."""
    lives = Lives(parse_hlo(_dump(program, "final")))
    ranges = parse_live_range(_dump(program, "live_range"))
    assert tuple(step.name for step in lives.schedule.steps) == ranges.schedule
    assert sum(step.opcode == "while" for step in lives.schedule.steps) == loops
    last = len(ranges.schedule) - 1
    theirs = {(one.instruction, one.index): (one.start, min(one.end, last)) for one in ranges.ranges}
    allocations = parse_buffer_assignment(_dump(program, "buffer_assignment"))
    values = [
        value for one in allocations if one.memory_space == 0 and kind_of(one) == "temporary" for value in one.values
    ]
    assert len(values) > 10
    assert {value.id: lives.of(value) for value in values} == {
        value.id: theirs[value.instruction, value.index] for value in values
    }


def test_what_a_loop_carries_is_told_by_its_body() -> None:
    """The scan's counter lies at the peak as its condition's parameter, which has no source line of its own."""
    (peak,) = api.memory(CAPTURES / "tiny-scan.mgz").peaks
    carried = [buffer for buffer in peak.buffers if buffer.kind == "temporary" and buffer.dtype == "s32"]
    assert [buffer.source for buffer in carried] == ["/work/samples/workloads/tiny.py:32"]
