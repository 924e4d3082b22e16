"""`mallocgame bench` from the command line, without a compiler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mallocgame import cli
from mallocgame.bench.selection import QUICK, choose_settings
from mallocgame.cli.answers.benched import listed_lines
from tests.bench.fake import FakeCompiler, pretend_versions, put
from workloads import BENCHMARK, SHARDED, find


def call(capsys: pytest.CaptureFixture[str], *tokens: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", *map(str, tokens)])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_list_has_the_52_and_the_sharded_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = call(capsys, "--list", "--captures", tmp_path / "none", "--json")
    document = json.loads(out)
    assert code == 0
    assert [entry["name"] for entry in document["workloads"]] == [workload.name for workload in BENCHMARK]
    assert len(document["workloads"]) == 52
    assert [entry["name"] for entry in document["sharded"]] == [workload.name for workload in SHARDED]
    assert document["workloads"][0].keys() >= {"family", "phase", "about", "hard", "source", "captured", "failed"}
    lines = listed_lines(document)
    assert lines[0] == "52 workloads"
    assert sum(line.startswith(tuple(f"{workload.name} " for workload in BENCHMARK)) for line in lines) == 52
    assert not (tmp_path / "none").exists()


def test_list_tells_what_compiled_and_what_did_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, compiler: FakeCompiler
) -> None:
    put(tmp_path, "gpt2-v4lite.mgz")
    record = {
        "format": "mallocgame-failed-capture",
        "versions": {name: compiler.capture.versions[name] for name in ("jax", "jaxlib", "libtpu")},
        "reason": "the compiler refused: too large",
    }
    (tmp_path / "gpt2-v5e.failed.json").write_text(json.dumps(record))
    _, out, _ = call(capsys, "--list", "--captures", tmp_path)
    (line,) = [line for line in out.splitlines() if line.startswith("gpt2 ")]
    assert "v4 lite, not v5e" in line
    assert "does not compile: gpt2 for v5e: the compiler refused: too large" in out


def test_capture_only_tells_what_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, compiler: FakeCompiler
) -> None:
    put(tmp_path, "tiny-v4lite.mgz")
    chosen = ("--workloads", "tiny", "--targets", "v4 lite", "--captures", tmp_path)
    code, out, err = call(capsys, "--capture-only", *chosen)
    assert (code, out) == (0, f"1 of 1 captured in {tmp_path}\n")
    assert "1 of 1 captures are there or known to fail; 0 to make" in err


def test_a_table_of_what_needs_no_compile(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "tiny-v4lite.mgz")
    chosen = ("--workloads", "tiny", "--targets", "v4 lite", "--methods", "xla default", "--captures", tmp_path)
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_a=1")
    code, out, err = call(capsys, *chosen, "--out", tmp_path / "out")
    assert code == 0
    assert "LIBTPU_INIT_ARGS is set; bench compiles without it" in err
    assert out.startswith("# mallocgame bench")
    assert (tmp_path / "out" / "table.md").read_text() in out
    _, out, _ = call(capsys, *chosen, "--out", tmp_path / "out", "--json")
    document = json.loads(out)
    assert (document["complete"], document["made"], len(document["rows"])) == (True, 0, 1)
    pretend_versions(monkeypatch, {**compiler.capture.versions, "libtpu": "0.0.99"})
    rows = tmp_path / "out" / "rows.jsonl"
    code, _, err = call(capsys, "--replay", f"{rows}:1", "--captures", tmp_path)
    assert code == 2
    assert "libtpu 0.0.52, but here is" in err
    assert "pip install jax==0.10.2 jaxlib==0.10.2 libtpu==0.0.52" in err


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("--workloads", "none"), "unknown workload 'none'"),
        (("--targets", "v9"), "unknown target 'v9'"),
        (("--solvers", "magic"), "unknown method 'magic'"),
        (("--compiles", "0"), "have to be positive"),
        (("--replay", "none.jsonl:1"), "none.jsonl: cannot be read"),
        (("--replay", "none"), "not FILE:LINE"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], tokens: tuple[str, ...], words: str) -> None:
    code, out, err = call(capsys, *tokens)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_the_quick_subset_is_six_families_of_the_benchmark() -> None:
    chosen = [find(name) for name in QUICK]
    assert set(chosen) <= set(BENCHMARK)
    assert len({workload.family for workload in chosen}) == 6
    assert choose_settings(True, 3, None, None).time_limit < choose_settings(False, 3, None, None).time_limit
    assert choose_settings(True, 3, 9.0, 4) == choose_settings(False, 3, 9.0, 4)
