"""Two programs side by side."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mallocgame.report.memory import Buffer, MemoryUse, Peak, SpaceUse, memory_use
from mallocgame.report.memory.difference import difference
from mallocgame.report.memory.use import Kind
from tests.report.memory.made import ASSIGNMENT, placed


def _buffer(name: str, size: int, what: str = "", source: str | None = None, shape: str = "f32[8]") -> Buffer:
    return Buffer(name, "temporary", shape, "f32", size, size, "fusion", what, source, (0, 1))


def _use(*buffers: Buffer) -> MemoryUse:
    peak = Peak(0, 0, "x", buffers, 0)
    return MemoryUse("m", "v5e", (SpaceUse("HBM", 0, peak.live, None),), None, (peak,), ())


def test_by_hand() -> None:
    """Without the wide value, and with another of half its size in its place."""
    text = ASSIGNMENT.replace("<5 b @0> (size=524288", "<5 d @0> (size=262144")
    (peak,) = difference(memory_use(placed()), memory_use(placed(report="", assignment=text))).peaks
    assert [(buffer.name, buffer.size) for buffer in peak.went] == [("b", 524288)]
    assert [(buffer.name, buffer.size) for buffer in peak.came] == [("d", 262144)]
    assert sorted(pair.after.name for pair in peak.pairs) == ["a", "c", "s", "t", "x"]
    assert peak.changed == ()


def test_what_matches_by_what() -> None:
    before = [
        _buffer("fusion.1", 80, "jit(f)/dot", "f.py:3"),
        _buffer("fusion.2", 70, "jit(f)/sin", "f.py:4"),
        _buffer("fusion.3", 60, "jit(f)/cos", "f.py:5"),
        _buffer("fusion.4", 50, "jit(f)/tan", "f.py:6", "f32[4]"),
        _buffer("fusion.5", 40, "jit(f)/jvp()/exp", "f.py:7"),
        _buffer("copy-start.8{0}", 30),
        _buffer("gone", 20, "jit(f)/log", "f.py:9"),
    ]
    after = [
        _buffer("fusion.1", 80, "jit(f)/dot", "f.py:3"),
        _buffer("fusion.7", 70, "jit(f)/sin", "f.py:4"),
        _buffer("fusion.8", 60, "jit(f)/cos", "f.py:15"),
        _buffer("fusion.9", 55, "jit(f)/tan", "f.py:6", "f32[5]"),
        _buffer("fusion.10", 40, "jit(f)/vmap(jvp())/exp", "f.py:7"),
        _buffer("copy-start.12{0}", 30),
        _buffer("new", 10, "jit(f)/abs", "f.py:10"),
    ]
    (peak,) = difference(_use(*before), _use(*after)).peaks
    assert {(pair.before.name, pair.after.name): pair.by for pair in peak.pairs} == {
        ("fusion.1", "fusion.1"): "name, operation, line and shape",
        ("fusion.2", "fusion.7"): "operation, line and shape",
        ("fusion.3", "fusion.8"): "operation and shape",
        ("fusion.4", "fusion.9"): "operation and line",
        ("fusion.5", "fusion.10"): "line and shape",
        ("copy-start.8{0}", "copy-start.12{0}"): "name and shape",
    }
    assert [(pair.before.name, pair.change) for pair in peak.changed] == [("fusion.4", 5)]
    assert ([one.name for one in peak.went], [one.name for one in peak.came]) == (["gone"], ["new"])


def test_a_donation_is_a_change_of_kind() -> None:
    one = _buffer("state.1", 80, "state")
    (peak,) = difference(_use(replace(one, kind="argument")), _use(replace(one, kind="aliased"))).peaks
    assert [(pair.before.kind, pair.after.kind, pair.change) for pair in peak.changed] == [("argument", "aliased", 0)]


def test_a_memory_that_only_one_has() -> None:
    one = _use(_buffer("a", 8))
    host = replace(one, peaks=(*one.peaks, Peak(5, 1, "y", (_buffer("b", 4),), 0)))
    hbm, moved = difference(one, host).peaks
    assert (hbm.came, hbm.went) == ((), ())
    assert (moved.before, [buffer.name for buffer in moved.came]) == (None, ["b"])


BUFFERS = st.lists(
    st.builds(
        Buffer,
        st.sampled_from(["a", "a.1", "b{0}", "b.2{0}"]),
        st.sampled_from(["temporary", "argument"]),
        st.sampled_from(["f32[8]", "f32[4]"]),
        st.just("f32"),
        st.integers(1, 9),
        st.just(1),
        st.just("fusion"),
        st.sampled_from(["", "mul", "add"]),
        st.sampled_from([None, "f.py:1", "f.py:2"]),
        st.just((0, 1)),
    ),
    max_size=8,
).map(lambda found: sorted(found, key=lambda buffer: -buffer.size))


@given(BUFFERS, BUFFERS)
def test_every_buffer_is_told_once(before: list[Buffer], after: list[Buffer]) -> None:
    (peak,) = difference(_use(*before), _use(*after)).peaks
    assert sorted(map(repr, [*peak.went, *(pair.before for pair in peak.pairs)])) == sorted(map(repr, before))
    assert sorted(map(repr, [*peak.came, *(pair.after for pair in peak.pairs)])) == sorted(map(repr, after))
    went, came = (sum(buffer.size for buffer in side) for side in (peak.went, peak.came))
    totals = [sum(buffer.size for buffer in side) for side in (before, after)]
    assert totals[0] - went + came + sum(pair.change for pair in peak.changed) == totals[1]


def test_a_program_is_as_itself() -> None:
    use = memory_use(placed())
    (peak,) = difference(use, use).peaks
    kinds: set[Kind] = {pair.after.kind for pair in peak.pairs}
    assert len(peak.pairs) == 6
    assert kinds == {"temporary", "aliased", "argument", "output"}
    assert {pair.by for pair in peak.pairs} == {"name, operation, line and shape"}
    assert (peak.went, peak.came, peak.changed) == ((), (), ())
