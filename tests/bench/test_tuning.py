"""Flag tuning against a compiler whose times are known: settings change the cycles of one instruction."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mallocgame.bench.settings import FLAGS, flags, splits
from mallocgame.bench.tuning import Tuned, tune
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import schedule_of
from mallocgame.compiler.child import Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.confirm import costs_of
from mallocgame.compiler.verification import replayed
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.problem.targets import TARGETS
from mallocgame.system.errors import CompilerRefusedError
from tests.bench.scan import CLOCK, a_capture, compiled
from tests.problem.captured import SCAN
from xla_dump_parser import parse_hlo

FIFO = "xla_tpu_enforce_prefetch_fifo_order"
RETRIES = "xla_msa_max_retries"
SLICES = "xla_tpu_sliced_prefetch_max_slices"


class Fake:
    """150,000 cycles; a split of 32768 KiB saves 30,000, order of prefetches 20,000; retries are refused."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        self.asked.append(dict(request.options))
        if RETRIES in request.options:
            raise CompilerRefusedError("no retries here")
        saved = 30_000 * (request.options.get(SCOPED_VMEM) == "32768") + 20_000 * (FIFO in request.options)
        return compiled(request, 150_000 - saved)


def tuned(compiles: int, seed: int, capture: Capture | None = None) -> tuple[Tuned, Fake]:
    fake = Fake()
    return tune(capture or a_capture(), compiles=compiles, seed=seed, compile=fake), fake


def test_the_best_is_the_fastest_of_the_better_ones() -> None:
    found, fake = tuned(120, 0)
    assert found.compiler_options[SCOPED_VMEM] == "32768"
    assert found.compiler_options[FIFO] == "true"
    assert (found.figures.name, found.scoped_vmem_kib) == ("split", 32768)
    default, _ = tuned(1, 0)
    slowest = max(entry.row.e_seconds for entry in found.tried if entry.row)
    assert slowest - found.figures.e_seconds == pytest.approx(50_000 / CLOCK)
    assert found.figures.m_seconds == default.figures.m_seconds
    assert found.fingerprint == SCAN.problem.fingerprint
    assert found.compiles == len(fake.asked) == len(found.tried) == 120
    assert found.peak_memory == 150_000


def test_refused_settings_count_and_are_told() -> None:
    found, _ = tuned(40, 1)
    refused = [entry for entry in found.tried if entry.failure is not None]
    assert {entry.failure for entry in refused} == {"no retries here"}
    assert all(entry.row is None and RETRIES in dict(entry.settings) for entry in refused)
    answered = [entry for entry in found.tried if entry.row is not None]
    assert len(answered) + len(refused) == found.compiles == 40
    assert found.seconds == pytest.approx(2.0 * len(answered), abs=0.5)


def test_the_same_seed_asks_the_same_and_another_seed_something_else() -> None:
    first, second, other = (tuned(30, seed)[1].asked for seed in (3, 3, 4))
    assert first == second
    assert first != other


def test_no_candidate_is_asked_for_twice_and_none_is_the_default() -> None:
    _, fake = tuned(120, 5)
    asked = [tuple(sorted(options.items())) for options in fake.asked]
    assert len(set(asked)) == 120
    assert () not in asked


def test_single_settings_come_first_splits_and_flags_in_turn() -> None:
    _, fake = tuned(12, 6)
    assert [len(options) for options in fake.asked[:6]] == [1] * 6
    assert [SCOPED_VMEM in options for options in fake.asked[:6]] == [True, False] * 3


def test_where_nothing_is_better_the_answer_is_the_default() -> None:
    capture = a_capture()
    found = tune(capture, compiles=5, seed=0, compile=lambda request, limits: compiled(request, 150_100))
    assert found.figures.name == "xla default"
    assert found.compiler_options == {}
    assert {entry.verdict for entry in found.tried} == {"equal"}
    assert found.figures.name == "xla default"


def test_options_of_the_capture_stay_and_its_split_is_no_change() -> None:
    capture = a_capture({SCOPED_VMEM: "24576", SLICES: "0"})
    found, fake = tuned(60, 0, capture)
    assert all(SLICES in options and SCOPED_VMEM in options for options in fake.asked)
    assert {SCOPED_VMEM: "24576", SLICES: "0"} not in fake.asked
    flags_alone = tune(
        capture,
        compiles=60,
        seed=0,
        compile=lambda request, _: compiled(request, 150_000 - 9_000 * (FIFO in request.options)),
    )
    assert (flags_alone.figures.name, flags_alone.scoped_vmem_kib) == ("global flags", 24576)
    assert found.figures.name == "split"


def _renamed(text: str) -> str:
    """The text of another schedule: one in which %reduce is %reduce.7."""
    return re.sub(r"(?<=[ =%])reduce(?=[ ,)\n](?!\())", "reduce.7", text)


def test_costs_are_the_captures_at_its_own_split_and_schedule_alone() -> None:
    capture = a_capture()
    same = compiled(Request("v5e:1x1", lowered=""), 150_000)
    assert costs_of(same, capture, None) is capture.problem()
    assert costs_of(same, capture, 32768) == capture.problem()
    other = replace(same, before_msa=_renamed(same.before_msa), final=_renamed(same.final), log=_renamed(same.log))
    assert schedule_of(other.before_msa) != capture.schedule
    costs = costs_of(other, capture, None)
    assert costs.fingerprint == schedule_of(other.before_msa)
    again = replayed("plan", costs, parse_hlo(other.final), 0)
    assert again == replayed("plan", capture.problem(), parse_hlo(same.final), 0)


def test_splits_are_within_fast_memory_and_never_the_default() -> None:
    defaults = {"v5e": 16384, "v5p": 16384, "v6e": 32768, "tpu7x": 32768}
    for target, default in defaults.items():
        vmem = TARGETS[target].fast_bytes // 1024 + default
        sizes = [int(value) for _, value in splits(target)]
        assert sizes == sorted(set(sizes))
        assert default not in sizes
        assert min(sizes) >= 4096
        assert max(sizes) <= vmem - 1024
    assert splits("v4") == splits("v4 lite") == []


@pytest.mark.libtpu
def test_libtpu_knows_every_flag() -> None:
    for number in (0, -1):
        options = {option: values[number] for option, values in FLAGS.items()}
        request = Request("v5e:1x1", function="tests.compiler.models:layers", options=options)
        assert compile_in_child(request).final
    assert len(flags()) == sum(map(len, FLAGS.values()))
