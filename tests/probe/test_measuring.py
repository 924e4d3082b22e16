"""The measuring process on JAX's CPU device: arguments, donation, options, texts, deaths; and the whole probe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mallocgame import api
from mallocgame.probe import measure as measuring
from mallocgame.probe.child import ProbeChild
from mallocgame.probe.measure import MAX_CALLS, MAX_KEPT_BYTES, calls_of, intervals, orders, rounds_in_bout
from mallocgame.probe.statistics import MIN_BOUTS
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError

pytest.importorskip("jax")

MODELS = "tests.probe.models:"
DOUBLE = """module @m {
  func.func public @main(%arg0: tensor<2x3xbf16> {jax.buffer_donor = true}, %arg1: tensor<2xui8>) -> (tensor<2x3xbf16>, tensor<2xui8>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<2x3xbf16>
    return %0, %arg1 : tensor<2x3xbf16>, tensor<2xui8>
  }
}
"""  # noqa: E501


def _program(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "function": MODELS + name, "lowered": None, "options": {}, **changes}


def _load(child: ProbeChild, *programs: dict[str, Any], inputs: str | None = None) -> dict[str, Any]:
    return child.ask("load", {"programs": programs, "seed": 0, "inputs": inputs}, seconds=300)


def test_orders_are_random_and_each_is_followed_by_its_reverse() -> None:
    coming = orders(3, seed=4)
    found = [next(coming) for _ in range(200)]
    assert all(sorted(order) == [0, 1, 2] for order in found)
    assert all(found[at] == found[at + 1][::-1] for at in range(0, 200, 2))
    assert len(set(found)) == 6
    again = orders(3, seed=4)
    assert found == [next(again) for _ in range(200)]


def test_calls_of_a_sample() -> None:
    assert calls_of(1.0, 0) == 1
    assert calls_of(1e-4, 0) == 5
    assert calls_of(1e-9, 0) == MAX_CALLS
    assert calls_of(1e-4, MAX_KEPT_BYTES // 2) == 2
    assert calls_of(1e-4, MAX_KEPT_BYTES * 3) == 1


@pytest.mark.parametrize(("rounds", "bout"), [(1, 2), (79, 2), (80, 2), (160, 4), (239, 4), (320, 8), (1e6, 8)])
def test_rounds_of_a_bout_leave_forty_bouts(rounds: float, bout: int) -> None:
    assert rounds_in_bout(rounds) == bout


def test_too_few_bouts_have_no_intervals() -> None:
    samples = np.ones((2 * MIN_BOUTS - 1, 3))
    assert intervals(samples, 2, 0.95, 0) == [None, None]
    assert all(one is not None and one.ratio == 1 for one in intervals(np.ones((2 * MIN_BOUTS, 3)), 2, 0.95, 0))


def test_donated_arguments_are_there_for_every_call(child: ProbeChild) -> None:
    assert child.ask("find the device", seconds=300)["platform"] == "cpu"
    _load(child, _program("donating"), _program("donating"))
    warm = child.ask("warm up", {"seconds": 0}, seconds=300)
    assert warm["differences"] == [0.0, 0.0]
    assert warm["finite"] == [True, True]
    assert warm["kept_bytes"] == [2 * 8 * 4 * 4 + 3 * 4] * 2  # a copy of the state, the new state, the count
    answer = child.ask("measure", {"orders": [[0, 1], [1, 0]], "calls": [3, 1], "seconds": 60}, seconds=300)
    assert np.shape(answer["seconds"]) == (2, 2)
    assert np.min(answer["seconds"]) > 0


def test_real_inputs(child: ProbeChild, tmp_path: Path) -> None:
    """Outputs of a program with arrays of its own equal those of another on a file of inputs that gives the same."""
    import ml_dtypes

    file = tmp_path / "inputs.npz"
    np.savez(file, np.full(2, 1.5, np.float32), np.full(2, 5.0, ml_dtypes.bfloat16))
    names = ("real_inputs", "doubled_and_more", "half_real")
    _load(child, *map(_program, names), inputs=str(file))
    assert child.ask("warm up", {"seconds": 0}, seconds=300)["differences"] == [0.0, 0.0, 0.0]


def test_arguments_by_name_and_traced_programs() -> None:
    from mallocgame.probe.executables import load

    named = load("a", "tests.probe.models:named", None, {})
    (twelve,) = named.call(named.values)
    assert twelve.tolist() == [12.0, 12.0]
    traced = load("b", "tests.probe.models:traced", None, {})
    assert traced.values == (None, None)
    assert [shape for shape, _ in traced.inputs] == [(2,), (2,)]
    kind = traced.inputs[0][1]  # of 64 bits once the agent's environment was imported
    (five,) = traced.call([np.full(2, 1.0, kind), np.full(2, 4.0, kind)])
    assert five.tolist() == [5.0, 5.0]


def test_a_lowered_module_and_options(child: ProbeChild) -> None:
    options = {"xla_cpu_enable_fast_math": "true", "xla_backend_optimization_level": "0"}
    text = _program("text", function=None, lowered=DOUBLE)
    _load(child, text, {**text, "options": options})
    warm = child.ask("warm up", {"seconds": 0}, seconds=300)
    assert warm["differences"] == [0.0, 0.0]
    assert warm["kept_bytes"] == [2 * 12 + 2] * 2


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"options": {"xla_no_such": "1"}}, CompilerRefusedError, "hundred: the compiler refused: .*xla_no_such"),
        ({"function": MODELS + "nope"}, BadInputError, "has no attribute 'nope'"),
        ({"function": MODELS + "random_key"}, BadInputError, "a key of jax.random"),
        ({"function": None, "lowered": "module {"}, CompilerRefusedError, "hundred: the compiler refused"),
        (
            {"function": None, "lowered": "module @m attributes {mhlo.num_partitions = 4 : i32} {}"},
            BadInputError,
            "a program for 4 devices",
        ),
    ],
)
def test_programs_that_go_wrong(child: ProbeChild, changes: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        _load(child, _program("hundred", **changes))
    assert "\n" not in str(caught.value)


def test_a_program_that_takes_its_process_along() -> None:
    with ProbeChild() as child, pytest.raises(CompilerRefusedError, match="the measuring process died of SIGABRT"):
        _load(child, _program("dies"))


def test_a_process_that_is_gone_or_slow_is_told() -> None:
    with ProbeChild() as child:
        with pytest.raises(NoAnswerError, match=r"took longer than 0\.01 s to find the device"):
            child.ask("find the device", seconds=0.01)
        os.killpg(child._process.pid, signal.SIGKILL)
        with pytest.raises(CompilerRefusedError, match="died of SIGKILL"):
            child.ask("find the device", seconds=60)


def test_the_whole_probe_finds_twice_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "WARM_UP_SECONDS", 0.0)
    out = tmp_path / "result.json"
    found = api.probe([MODELS + "two_hundred", MODELS + "hundred"], time_limit=15, out=out)
    assert found.best == 1
    faster = found.programs[1]
    assert faster.verdict == "faster"
    assert faster.interval is not None
    assert faster.interval.ratio == pytest.approx(0.5, abs=0.1)
    assert found.device["platform"] == "cpu"
    kept = json.loads(out.read_text())
    assert (kept["format"], kept["version"]) == ("mallocgame-probe", 1)
    assert np.shape(kept["samples"]) == (found.rounds, 2)
    assert kept["programs"][1]["verdict"] == "faster"
    assert kept["device"]["versions"]["jax"]


def test_outputs_that_are_not_finite_or_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "WARM_UP_SECONDS", 0.0)
    found = api.probe([MODELS + "hundred", MODELS + "not_a_number"], time_limit=0.2)
    notes = "\n".join(found.notes)
    assert "not_a_number: its outputs have NaN or infinity" in notes
    assert "not_a_number: its outputs cannot be compared" in notes


def test_interrupt_gives_what_is_known() -> None:
    listen = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # a job in the background ignores it
    code = f"import signal, sys; {listen}; from mallocgame.cli import main; main(sys.argv[1:])"
    arguments = [
        "probe",
        MODELS + "hundred",
        MODELS + "hundred",
        "--time-limit",
        "300",
        "--margin",
        "0.00001",
        "--json",
    ]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "ratios known to" in line:
                    break
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0
    document = json.loads(out)
    assert document["status"] == "interrupted"
    assert document["rounds"] > 0
