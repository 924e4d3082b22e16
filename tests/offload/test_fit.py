"""The whole way with the compiler: bytes are those of the program with its policy written out."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import pytest

from mallocgame import api
from mallocgame.cli import main
from mallocgame.compiler.capturing import peak_hbm
from mallocgame.compiler.child import QUIET_VMODULE, Request, compile_in_child
from mallocgame.offload.usual import FULL, KEPT, OFFLOADED
from workloads.offload.adam import tiny_adam, tiny_untouched, training_step

POLICIES = jax.checkpoint_policies
WRITTEN_OUT = {
    FULL: POLICIES.nothing_saveable,
    KEPT: POLICIES.save_only_these_names("hidden", "active"),
    OFFLOADED: POLICIES.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=["hidden", "active"],
        offload_src="device",
        offload_dst="pinned_host",
    ),
    "dots_saveable": POLICIES.dots_saveable,
}


def hbm(policy: object) -> int:
    step, arguments = training_step(layers=3, width=128, hidden=512, batch=64, policy=policy)  # type: ignore[arg-type]
    lowered = step.trace(*arguments).lower(lowering_platforms=("tpu",)).as_text()
    return peak_hbm(compile_in_child(Request("v5e:1x1", lowered=lowered, vmodule=QUIET_VMODULE)).memory_usage)


@pytest.mark.libtpu
@pytest.mark.parametrize("program", [tiny_adam, tiny_untouched])
def test_candidates_are_the_programs_with_their_policies_written_out(program: object, tmp_path: Path) -> None:
    found = api.fit(
        program,  # type: ignore[arg-type]
        target="v5e",
        budget="110%",
        compiles=9,
        time_limit=1.0,
        solver="local",
        cache=tmp_path / "cache",
        out=tmp_path / "answer.json",
    )
    assert found.confirmed is not None
    needed = {one.label: one.needed for one in found.confirmed.candidates}
    assert {label: needed[label] for label in WRITTEN_OUT} == {label: hbm(each) for label, each in WRITTEN_OUT.items()}
    assert ("as written" in needed) == (program is tiny_untouched)
    if program is tiny_untouched:
        assert needed["as written"] == needed["dots_saveable"]  # its own policy
    assert found.answer is not None
    assert found.answer.everywhere == (program is tiny_untouched)
    again = api.verify_fit(tmp_path / "answer.json", program, cache=tmp_path / "others")  # type: ignore[arg-type]
    assert (again.plan.device_bytes, again.fits) == (found.answer.device_bytes, True)


@pytest.mark.libtpu
def test_state_goes_to_the_host_where_nothing_fits_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--target", "v5e", "--compiles", "6", "--time-limit", "1", "--cache", str(tmp_path), "--json")
    answer = str(tmp_path / "answer.json")
    with pytest.raises(SystemExit):
        main(["fit", "workloads.offload.adam:tiny_adam", *words, "--budget", "5350000", "--out", answer])
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == ["1.mu", "1.nu", "0"]
    needed = [row["device_bytes"] for row in found["programs"] if not row["state"] and not row["refusal"]]
    assert found["device_bytes"] <= 5350000 < min(needed)
    with pytest.raises(SystemExit):
        main(["verify", answer, "--json"])
    again = json.loads(capsys.readouterr().out)
    assert (again["plan"]["device_bytes"], again["fits"]) == (found["device_bytes"], True)
