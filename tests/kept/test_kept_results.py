"""Results that 83db586 wrote: rows of the benchmark, of a batch, of probes, of the offload game."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import mallocgame
from mallocgame import api
from mallocgame.batch.identity import key_of
from mallocgame.batch.options import options_of
from mallocgame.batch.results import Answer, open_results
from mallocgame.bench.replay_row import replay_row
from mallocgame.bench.rows import to_json
from mallocgame.bench.rows_file import open_rows, read_row
from mallocgame.bench.store import CaptureStore
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.offload.links import get_link, read_link
from mallocgame.offload.moves_file import is_moves_file, load_moves, save_moves
from mallocgame.probe.measure import Measured, Probe
from mallocgame.probe.result_file import save_result
from mallocgame.probe.statistics import Interval
from mallocgame.problem.target_file import InstructionTime, Rate, load_target, save_target
from mallocgame.problem.targets import TARGETS
from mallocgame.system.progress import silent

DATA = Path(__file__).with_name("data")
ROWS = {
    "xla default": (0.0003980914285714286, 0.0002625939552471261, "equal"),
    "msa off": (0.00048315428571428574, 0.0003033214924294597, "worse"),
    "local": (0.0003980914285714286, 0.0002625939552471261, "equal"),
    "auto": (0.00039505809523809524, 0.0002625939552471261, "better"),
}
"""Method -> E, M, verdict."""


def never(request: Request, limits: Limits | None = None) -> Compiled:
    """In the compiler's place where everything has been compiled."""
    raise AssertionError(f"compiled for {request.topology} with {dict(request.options)}")


def test_rows_are_read_and_written_again(tmp_path: Path) -> None:
    path = Path(shutil.copy(DATA / "rows.jsonl", tmp_path))
    with open_rows(path) as file:
        rows = list(file.rows.values())
        assert list(file.rows) == [("tiny", "v4 lite", method, 0) for method in ROWS]
    assert {row.method: (row.e_seconds, row.m_seconds, row.verdict) for row in rows} == ROWS
    assert {row.fingerprint for row in rows} == {"d6d7f2f2adb0fb365fd0f9ed85fafe2e"}
    assert [(row.kind, row.honoured, row.sites, row.compiles) for row in rows[2:]] == [
        ("plan", 28, 28, 1),
        ("plan", 28, 28, 2),
    ]
    assert [(one.proposer, one.kind, one.verdict) for one in rows[3].programs] == [
        ("xla default", "xla default", "equal"),
        ("msa off", "msa off", "worse"),
        ("plans", "plan", "better"),
    ]
    kept = re.sub(r'"strict_verdict":"[a-z]+",', "", (DATA / "rows.jsonl").read_text(encoding="utf-8"))
    assert "".join(to_json(row) + "\n" for row in rows) == kept
    assert path.read_bytes() == (DATA / "rows.jsonl").read_bytes()


@pytest.mark.usefixtures("compiler_of_then")
@pytest.mark.parametrize("line", [1, 2])
def test_a_row_is_replayed_to_the_last_digit(line: int, tmp_path: Path) -> None:
    """From the kept capture and the kept compiles: nothing is compiled."""
    store = CaptureStore(tmp_path / "captures", compile=never)
    store.folder.mkdir()
    shutil.copy(DATA / "tiny.mgz", store.path("tiny", "v4 lite"))
    compiles = CompileCache(shutil.copytree(DATA / "compiles", tmp_path / "compiles"), never)
    compared = replay_row(read_row(f"{DATA / 'rows.jsonl'}:{line}"), store, silent, compile=compiles)
    assert compared.differences == ()


def test_the_results_of_a_batch_are_read_and_done(tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "batch", tmp_path / "batch")
    options = options_of(target=None, solver="greedy", time_limit=2.0, compiles=8, compile_time=None,
                         objective=None, strict=False, seed=0)  # fmt: skip
    with open_results(folder / "results.jsonl") as file:
        last = file.last
        for name in ("tiny.mgz", "tiny-scan.mgz"):
            assert file.is_done(name, key_of(DATA / name, ("0.1.0", *options)))
        assert not file.is_done("tiny.mgz", key_of(DATA / "tiny-scan.mgz", ("0.1.0", *options)))
    assert {name: (result.code, result.out) for name, result in last.items()} == {
        "broken.hlo": (2, "broken.hlo.json"),
        "tiny-scan.mgz": (0, "tiny-scan.mgz.json"),
        "tiny.mgz": (0, "tiny.mgz.json"),
    }
    assert last["tiny.mgz"].key == "96b5d619c4ad8a7f2ef4703a6c0086754d647c8d70f9813881dcf60e606673cc"
    assert last["tiny.mgz"].answer == Answer("jit_infer", "v4 lite", "feasible", False, 0.13427184752430665, None, None)
    assert last["broken.hlo"].error.endswith("add --target, one of: v4 lite, v4, v5e, v5p, v6e, tpu7x")
    written = "".join(json.dumps(asdict(result)) + "\n" for result in last.values())
    assert written == (DATA / "batch" / "results.jsonl").read_text(encoding="utf-8")


def test_a_batch_that_is_done_starts_nothing(tmp_path: Path) -> None:
    """Its keys have the version of mallocgame: a later one does the work again, which this one has not to."""
    if mallocgame.__version__ != "0.1.0":
        pytest.skip("results of another version of mallocgame are made anew")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("tiny.mgz", "tiny-scan.mgz"):
        shutil.copy(DATA / name, programs)
    out = shutil.copytree(DATA / "batch", tmp_path / "batch")
    found = api.solve_all(programs, out=out, solver="greedy", time_limit=2.0, cache=tmp_path / "compiles")
    assert (found.made, [result.name for result in found.results]) == (0, ["tiny-scan.mgz", "tiny.mgz"])


def test_moves_of_the_offload_game(tmp_path: Path) -> None:
    path = DATA / "moves.json"
    assert is_moves_file(path)
    found = load_moves(path)
    assert found.program.endswith(".transformer:transformer")
    assert (found.target, found.budget, found.device_bytes) == ("v5e", 3686476595, 2169955328)
    assert (found.seconds, found.options) == (0.06748941969689648, {})
    assert found.versions == {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52"}
    assert found.moves.names("keep") == ["attention/input", "feed_forward/input"]
    assert (found.moves.names("offload"), len(found.moves.names("recompute"))) == ([], 7)
    python = hashlib.sha256(api.export(path, "python").encode()).hexdigest()
    assert python == "5c202cb332bc50b5726e5178b32fe9bdeba93ccf71b26efe359950822382d1d5"
    save_moves(found, tmp_path / "moves.json")
    assert (tmp_path / "moves.json").read_bytes() == path.read_bytes()


def test_a_measured_target(tmp_path: Path) -> None:
    found = load_target(DATA / "measured.json")
    assert (found.device, found.target.name, found.target.fast_bytes) == ("cpu", "cpu", 25276059648)
    assert found.measured == ("fast_read_bandwidth", "fast_write_bandwidth", "hbm_bandwidth", "min_seconds")
    assert len(found.rates) == 13
    assert found.rates[0] == Rate("device read", 33554432, 0.004964346999940972, 0.010050483999975768, 5)
    assert found.instructions[0] == InstructionTime("two:once", "while.5", 10, 0.0002706065, 0.007017145000000001)
    applied = found.applied_to(TARGETS["v5e"])
    assert (applied.name, applied.hbm_bandwidth) == ("v5e", 821015273.5877378)
    save_target(found, tmp_path / "measured.json")
    assert (tmp_path / "measured.json").read_bytes() == (DATA / "measured.json").read_bytes()


def test_links() -> None:
    """A file of rates, and what a measured target says of a link."""
    assert read_link(DATA / "link.json") == get_link("v5e")
    link = read_link(DATA / "measured.json")
    assert (link.name, link.device_bytes, link.exposed) == ("cpu", 25276059648, 0.5)
    assert (link.to_host, link.from_host, link.both) == (821015273.5877378, 915828916.7123176, 744805834.7339585)
    assert (link.flops, link.bandwidth) == (40663006672.20902, 1287034443.6999097)


def test_the_result_of_a_probe_is_written_as_it_was(tmp_path: Path) -> None:
    """No command reads such a file; people and their programs do."""
    value = json.loads((DATA / "probe.json").read_bytes())
    assert (value["format"], value["version"], value["command"]) == ("mallocgame-probe", 1, "probe")
    assert (value["best"], value["status"], value["rounds"], len(value["samples"])) == (0, "time limit", 346, 346)
    assert [program["verdict"] for program in value["programs"]] == [None, "slower"]
    taken = ("best", "level", "margin", "status", "rounds", "rounds_in_bout", "seconds", "seed")
    probe = Probe(
        programs=tuple(map(measured, value["programs"])),
        samples=tuple(map(tuple, value["samples"])),
        notes=tuple(value["notes"]),
        **{name: value[name] for name in (*taken, "device", "before", "after")},
    )
    save_result(probe, tmp_path / "probe.json")
    assert (tmp_path / "probe.json").read_bytes() == (DATA / "probe.json").read_bytes()


def measured(program: Mapping[str, Any]) -> Measured:
    """A program of a probe's file."""
    ends = {name: program[name] for name in ("ratio", "low", "high")}
    others = {name: value for name, value in program.items() if name not in ends}
    return Measured(**others, interval=None if ends["ratio"] is None else Interval(**ends))
