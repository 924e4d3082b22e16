"""The budget of compiles' seconds, and what takes far longer than the default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.child import Compiled, Limits, Request, TookTooLongError
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.meter import Meter, TooSlowError
from mallocgame.optimizer.improve import PATIENCE, SLOW, Improved, improve
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.system.errors import NoAnswerError
from tests.bench.scan import a_capture
from tests.optimizer.improve.fake import OFF, Fake

DEFAULT = 10.0
"""Seconds of the default's compile."""


class Timed(Fake):
    """Takes so many seconds, as it says; is ended at its limits.

    Attributes:
        seconds: of a compile, by an option that it has; ``""`` of all others.
        allowed: seconds of each compile.
    """

    def __init__(self, **seconds: float) -> None:
        super().__init__()
        self.seconds = {"": DEFAULT, **seconds}
        self.allowed: list[float] = []

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        assert limits is not None
        self.allowed.append(limits.seconds)
        done = super().__call__(request, limits)
        seconds = max(seconds for option, seconds in self.seconds.items() if option in ("", *request.options))
        if seconds > limits.seconds:
            raise TookTooLongError("too long")
        return replace(done, seconds=seconds)


def improved(compile: Timed | CompileCache, compile_time: float | None, without: tuple[str, ...] = ()) -> Improved:
    capture = replace(a_capture(), seconds=DEFAULT)
    return improve(capture, compile=compile, time_limit=1.0, compiles=6, compile_time=compile_time, without=without)


def test_no_compile_is_started_that_is_foreseen_to_end_after_the_budget() -> None:
    found = improved(Timed(), 39.0)
    assert (found.compiles, found.compile_seconds, found.status) == (3, 30.0, "compile time spent")
    assert found.compile_time == 39.0
    assert improved(Timed(), 9.0).status == "compile time spent"
    assert improved(Timed(), None).compile_time is None


def test_a_running_compile_is_ended_when_the_budget_is_spent() -> None:
    fake = Timed(**{SCOPED_VMEM: 30.0})
    found = improved(fake, 25.0, without=("plans", "msa off"))
    assert fake.allowed == [25.0]
    assert found.tried[1].failure == "the compile was ended after 25 s, when the compile time was spent"
    assert (found.compile_seconds, found.status, found.answer.kind) == (25.0, "compile time spent", "xla default")


def test_a_kind_that_takes_far_longer_than_the_default_is_dropped() -> None:
    fake = Timed(**{SCOPED_VMEM: 1000.0, OFF: 1000.0})
    found = improved(fake, None)
    longest = SLOW * DEFAULT + PATIENCE
    assert max(fake.allowed) == longest
    failed = [tried for tried in found.tried if tried.failure]
    assert [tried.proposer for tried in failed] == ["splits", "msa off"], "each of them once"
    assert failed[0].failure == f"the compile was ended after {longest:.0f} s; the default took 10 s"
    assert found.answer.kind == "plan"
    assert found.compile_seconds == 2 * longest + (found.compiles - 2) * DEFAULT


def test_where_plans_take_too_long_the_others_go_on() -> None:
    fake = Timed(xla_tpu_msa_tensor_overrides=1000.0)
    found = improved(fake, None)
    assert [tried.proposer for tried in found.tried if tried.failure] == ["plans"]
    assert {tried.proposer for tried in found.tried} >= {"splits", "msa off", "flags"}


def test_from_a_cache_the_same_is_found_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mallocgame.compiler import cache

    monkeypatch.setattr(cache, "installed_versions", lambda: {"libtpu": "0.0.52"})
    first, second = Timed(), Timed()
    whole = improved(CompileCache(tmp_path, first), 39.0, without=("plans",))
    again = improved(CompileCache(tmp_path, second), 39.0, without=("plans",))
    assert (first.asked != [], second.asked) == (True, [])
    assert (again.answer, again.compile_seconds, again.status) == (whole.answer, whole.compile_seconds, whole.status)


class Refusing:
    """Refuses after so many seconds, as a cache says."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        refusal = OverrideRefusedError("f", 0, "g", "no")
        refusal.seconds = self.seconds
        raise refusal


REQUEST = Request("v5e:1x1", "module {}")


def test_refusals_count_as_long_as_they_took() -> None:
    meter = Meter(Refusing(7.0), budget=20.0, foreseen=5.0, longest=10.0)
    with pytest.raises(OverrideRefusedError):
        meter(REQUEST)
    assert (meter.seconds, meter.left(8)) == (7.0, 2)
    meter.compile = Refusing(11.0)
    with pytest.raises(TooSlowError):
        meter(REQUEST)
    assert (meter.seconds, meter.left(8), meter.compiles) == (17.0, 0, 2)
    with pytest.raises(NoAnswerError, match="no room for another compile"):
        meter(REQUEST)
    assert meter.compiles == 2


def test_a_cache_keeps_how_long_a_refusal_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mallocgame.compiler import cache

    monkeypatch.setattr(cache, "installed_versions", lambda: {"libtpu": "0.0.52"})
    compile = CompileCache(tmp_path, Refusing(0.0))
    with pytest.raises(OverrideRefusedError) as made:
        compile(REQUEST)
    with pytest.raises(OverrideRefusedError) as read:
        compile(REQUEST)
    assert read.value.seconds == made.value.seconds is not None
