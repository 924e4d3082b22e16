"""Memory of real compiles: equal to the compiler's own texts, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.problem.targets import TARGETS
from mallocgame.programs.placed import Placed
from mallocgame.report.memory import Kinds, MemoryUse, memory_use
from xla_dump_parser import parse_hlo, parse_live_range, parse_memory_usage_report, read_text

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


def test_what_is_live_is_what_the_compiler_has_live() -> None:
    """Of the transformer's temporaries in HBM, those that the compiler's live ranges cover at the peak, no others."""
    use = _of_dump("v5e_transformer")
    ranges = parse_live_range(_dump("v5e_transformer", "live_range"))
    (peak,) = use.peaks
    lives = {(one.instruction, one.index): (one.start, one.end) for one in ranges.ranges}
    large = [buffer for buffer in peak.buffers if buffer.kind == "temporary" and buffer.dtype]
    assert [buffer.name for buffer in large] == ["fusion.70", "fusion.72"]
    for buffer in large:
        assert buffer.live == lives[buffer.name, ()]
    assert ranges.schedule[peak.time or 0] == peak.instruction
