"""Target files: what calibration makes of rates, files that are damaged, solvers that take them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame import api
from mallocgame.probe import calibrate
from mallocgame.probe.calibrate import target_of
from mallocgame.probe.instruction_times import events
from mallocgame.problem.target_file import (
    InstructionTime,
    MeasuredTarget,
    Rate,
    load_target,
    save_target,
    target_json,
)
from mallocgame.problem.targets import TARGETS
from mallocgame.programs.loading import load
from mallocgame.system.errors import BadInputError
from tests.bench.fake import STORED
from tests.cli.support import Outcome

RATES = (
    Rate("device read", 1000, 0.001, 0.002, 9),
    Rate("device write", 1000, 0.002, 0.004, 9),
    Rate("device read and write", 2000, 0.001, 0.004, 9),
    Rate("call", 0, 1e-5, 2e-5, 9),
    Rate("to pinned_host", 1000, 0.01, 0.02, 9),
    Rate("from pinned_host", 1000, 0.02, 0.03, 9),
)
"""1 and 2 MB/s on the device; 0.1 up, 0.05 down."""


def _measured(kind: str, memory: int | None = None) -> MeasuredTarget:
    target, measured, notes = target_of({"kind": kind, "memory_bytes": memory}, RATES, 10**9)
    return MeasuredTarget(target, measured, kind, {"jax": "0.10"}, RATES, (), tuple(notes))


def test_a_gpu_s_fast_memory_is_the_device_s() -> None:
    found = _measured("NVIDIA H100", 80 * 10**9)
    assert found.target.name == "NVIDIA H100"
    assert found.target.fast_bytes == 80 * 10**9
    assert found.target.fast_read_bandwidth == pytest.approx(1e6)
    assert found.target.fast_write_bandwidth == pytest.approx(5e5)
    assert found.target.hbm_bandwidth == pytest.approx(5e4)  # the slower way
    assert found.target.min_seconds == 1e-5
    assert found.target.hbm_bytes == 10**9


def test_a_tpu_keeps_what_cannot_be_measured() -> None:
    found = _measured("TPU v5 lite", 15 * 2**30)
    assert found.measured == ("hbm_bandwidth", "hbm_bytes")
    assert found.target == replace(TARGETS["v5e"], hbm_bandwidth=2e6, hbm_bytes=15 * 2**30)
    logged = replace(TARGETS["v5e"], fast_bytes=12345, hbm_bandwidth=1.0)
    assert found.applied_to(logged) == replace(logged, hbm_bandwidth=2e6, hbm_bytes=15 * 2**30)
    assert _measured("TPU v5 lite").measured == ("hbm_bandwidth",)


def test_without_memory_of_the_host_there_is_no_target() -> None:
    with pytest.raises(BadInputError, match="cpu: JAX has no memory kind for the host's memory here"):
        target_of({"kind": "cpu", "memory_bytes": None}, RATES[:4], 1)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = replace(_measured("cpu"), instructions=(InstructionTime("m:f", "fusion.1", 10, 1e-6, 1.1e-5),))
    save_target(found, tmp_path / "t.json")
    assert load_target(tmp_path / "t.json") == found


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here] * bool(here) + [path for key, item in items for path in _paths(item, (*here, key))]


VALUE = json.loads(
    json.dumps(target_json(replace(_measured("cpu"), instructions=(InstructionTime("f", "a", 1, 1, 1),))))
)


@given(st.sampled_from(_paths(VALUE)), st.sampled_from([None, [], {}, -1, 0, "", "x" * 5000, 1e300, True, 2**70]))
def test_damaged_files_are_refused_in_one_line_or_hold_together(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[Any, ...], wrong: Any
) -> None:
    value = json.loads(json.dumps(VALUE))
    place = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    file = tmp_path_factory.mktemp("damaged") / "t.json"
    file.write_text(json.dumps(value))
    message = ""
    try:
        found = load_target(file)
    except BadInputError as error:
        message = str(error)
    if message:
        assert message.startswith(str(file))
        assert "\n" not in message
    else:
        assert found.target.hbm_bandwidth > 0
        assert all(rate.fastest > 0 for rate in found.rates)


def test_other_files_are_no_targets(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text(json.dumps({**VALUE, "version": 2}))
    with pytest.raises(BadInputError, match="version of the target format: expected 1, found 2"):
        load_target(file)
    file.write_text("{}")
    with pytest.raises(BadInputError, match="not a target file"):
        load_target(file)


def test_solvers_take_measured_figures_in_place_of_the_table_s(tmp_path: Path) -> None:
    plain = load(STORED)
    target = replace(plain.problem.target, hbm_bandwidth=plain.problem.target.hbm_bandwidth / 2)
    save_target(MeasuredTarget(target, ("hbm_bandwidth",), "TPU v4 lite", {}, RATES), tmp_path / "slow.json")
    measured = load(STORED, str(tmp_path / "slow.json"))
    assert measured.problem.target == target
    assert measured.problem.fingerprint == plain.problem.fingerprint
    half, whole = (api.inspect(STORED, target=name) for name in (str(tmp_path / "slow.json"), None))
    assert whole.all_hbm_seconds < half.all_hbm_seconds <= 2 * whole.all_hbm_seconds


def test_an_hlo_text_takes_the_whole_target(program: Path, tmp_path: Path) -> None:
    save_target(_measured("cpu", 10**7), tmp_path / "cpu.json")
    loaded = load(program, str(tmp_path / "cpu.json"))
    assert loaded.problem.target == _measured("cpu", 10**7).target


def test_a_target_file_for_another_chip_than_the_capture_s_is_refused(tmp_path: Path) -> None:
    save_target(_measured("cpu"), tmp_path / "cpu.json")
    with pytest.raises(BadInputError, match="is for v4 lite, not for cpu"):
        load(STORED, str(tmp_path / "cpu.json"))


class _Named:
    """A plane, line or event of a profile."""

    def __init__(self, name: str, **fields: Any) -> None:
        self.name = name
        self.__dict__.update(fields)


def test_instructions_of_a_profile_are_counted_once() -> None:
    def event(name: str, nanoseconds: float, **stats: str) -> _Named:
        return _Named(name, duration_ns=nanoseconds, stats=list(stats.items()))

    kernel = event("kernel", 2000, hlo_op="fusion.1")
    operation = event("%fusion.1 = f32[2] fusion(...)", 3000)
    host = _Named("/host:CPU", lines=[_Named("thread", events=[event("x", 1000, hlo_op="add.1"), event("y", 1)])])
    streams = _Named("/device:GPU:0", lines=[_Named("Stream 1", events=[kernel])])
    device = _Named("/device:GPU:0", lines=[_Named("Stream 1", events=[kernel]), _Named("XLA Ops", events=[operation])])
    assert list(events([host])) == [("add.1", pytest.approx(1e-6))]
    assert list(events([host, streams])) == [("fusion.1", pytest.approx(2e-6))]
    assert list(events([host, device])) == [("fusion.1", pytest.approx(3e-6))]


def test_calibrating_the_cpu(run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.setattr(calibrate, "ARRAY_BYTES", {"cpu": 2**20})
    out = tmp_path / "cpu.json"
    done = run("probe", "--calibrate", "tests.probe.models:hundred", "--time-limit", "0.5", "--out", out, "--json")
    assert done.code == 0, done.err
    document, kept = json.loads(done.out), load_target(out)
    assert document["target"]["name"] == kept.device == "cpu"
    assert {rate.name for rate in kept.rates} >= {"device read", "to pinned_host", "to and from unpinned_host"}
    assert all(0 < rate.fastest <= rate.median for rate in kept.rates)
    assert kept.instructions  # which they are is XLA's choice; each runs equally often in each of the 10 runs
    assert all(one.events % 10 == 0 and one.total > 0 for one in kept.instructions)
    assert {one.program for one in kept.instructions} == {"tests.probe.models:hundred"}
