"""What ``memory`` writes, and ``memory --diff``."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.system.errors import BadInputError
from tests.cli.checkpointed import CHECKPOINTED
from tests.cli.support import Outcome
from tests.cli.test_memory import KEPT, MESSAGE
from tests.report.memory.made import ASSIGNMENT, MODULE, REPORT

Run = Callable[..., Outcome]


def dump(folder: Path, assignment: str = ASSIGNMENT, report: str = REPORT) -> Path:
    """A dump folder of the program that is placed by hand."""
    folder.mkdir()
    for end, text in {
        "after_optimizations_before_buffer_assignment": MODULE,
        "after_optimizations": MODULE,
        "after_optimizations-buffer-assignment": assignment,
        "after_optimizations-memory-usage-report": report,
    }.items():
        (folder / f"module_0000.made.cl_1.{end}.txt").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("format", "name"),
    [("html", "tiny.memory.html"), ("pprof", "tiny.memory.pb.gz"), ("trace", "tiny.memory.trace.json")],
)
def test_a_format_is_written_beside_the_file(run: Run, tmp_path: Path, format: str, name: str) -> None:
    file = tmp_path / "tiny.mgz"
    shutil.copy(KEPT / "tiny.mgz", file)
    outcome = run("memory", file, "--format", format)
    written = tmp_path / name
    assert outcome.out.splitlines()[-1].startswith(f"written      {written} ({format}, ")
    data = written.read_bytes()
    if format == "html":
        assert data.startswith(b"<!doctype html>")
    elif format == "pprof":
        assert b"argument" in gzip.decompress(data)
    else:
        assert json.loads(data)["otherData"]["module"] == "jit_infer"


def test_out_alone_is_a_page(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "m.html"
    document = json.loads(run("memory", KEPT / "tiny.mgz", "--out", page, "--json").out)
    assert (document["out"], document["format"], document["bytes"]) == (str(page), "html", page.stat().st_size)
    assert "Memory of jit_infer" in page.read_text()


def test_of_a_message_page_and_profile(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(MESSAGE)
    for format, suffix in {"html": ".memory.html", "pprof": ".memory.pb.gz"}.items():
        assert run("memory", log, "--format", format).code == 0
        assert log.with_suffix(suffix).stat().st_size > 0
    outcome = run("memory", log, "--format", "trace")
    assert outcome.code == 2
    assert outcome.error == f"{log}: a message of the compiler has no times: no trace can be made of it"
    assert not log.with_suffix(".memory.trace.json").exists()


def test_bad_places_are_one_line(run: Run, tmp_path: Path) -> None:
    outcome = run("memory", KEPT / "tiny.mgz", "--out", tmp_path / "no" / "m.html")
    assert (outcome.code, outcome.error) == (
        2,
        f"{tmp_path}/no/m.html: cannot be written: there is no folder {tmp_path}/no",
    )
    outcome = run("memory", "my_models:step", "--format", "html")
    assert outcome.error == "my_models:step is no file to write beside: say where with --out"
    outcome = run("memory", KEPT / "tiny.mgz", "--diff", KEPT / "tiny.mgz", "--out", tmp_path / "m.html")
    assert outcome.error.startswith("--format and --out are for one program")
    with pytest.raises(BadInputError, match="unknown format 'pdf'; known: html, pprof, trace"):
        api.memory(KEPT / "tiny.mgz", format="pdf")  # type: ignore[arg-type]


def test_diff_by_hand(run: Run, tmp_path: Path) -> None:
    """The wide value of 512 KiB is one of 256 KiB under another name after; and the allocation is as much smaller."""
    before = dump(tmp_path / "before")
    text = ASSIGNMENT.replace("<5 b @0> (size=524288", "<5 d @0> (size=262144").replace("size 540672", "size 278528")
    after = dump(
        tmp_path / "after",
        text.replace("offset=536576", "offset=274432"),
        REPORT.replace("549376 (536.50KiB)", "287232 (280.50KiB)"),
    )
    document = json.loads(run("memory", before, "--diff", after, "--target", "v5e", "--json").out)
    hbm = {"name": "HBM", "before": 549376, "after": 287232, "change": -262144, "excess_before": 0, "excess_after": 0}
    assert document["memories"] == [hbm]
    kinds = {kind["kind"]: kind["change"] for kind in document["kinds"]}
    assert kinds == {**dict.fromkeys(kinds, 0), "temporaries": -262144}
    (peak,) = document["peaks"]
    assert ([one["name"] for one in peak["went"]], [one["name"] for one in peak["came"]]) == (["b"], ["d"])
    assert (peak["changed"], peak["same_buffers"], peak["same_bytes"]) == ([], 5, 541184 - 524288)
    assert peak["before"]["live"] - 524288 + 262144 == peak["after"]["live"] == 279040
    assert sum(role["change"] for role in peak["roles"]) == -262144
    words = run("memory", before, "--diff", after, "--target", "v5e").out
    assert words.startswith(f"before       made for v5e, {before}\nafter        made for v5e, {after}\n")
    assert "512 KiB went, 256 KiB came, 0 B changed; 16.5 KiB in 5 buffers are the same" in words
    rows = [line.split()[:4] for line in words.splitlines() if line.startswith(("went ", "came "))]
    assert rows == [["went", "b", "-512.00", "KiB"], ["came", "d", "+256.00", "KiB"]]


def test_diff_of_a_message_and_a_capture(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(MESSAGE)
    document = json.loads(run("memory", log, "--diff", KEPT / "tiny.mgz", "--json").out)
    assert document["kinds"] == []
    assert document["memories"][0]["name"] == "HBM"
    assert (document["before"]["fits"], document["after"]["fits"]) == (False, True)
    assert document["memories"][0]["excess_before"] > 0
    words = run("memory", log, "--diff", KEPT / "tiny.mgz").out
    assert "before 5.02 GiB" in words
    assert "went fusion.1" in words


def test_diff_of_a_program_with_itself(run: Run) -> None:
    words = run("memory", KEPT / "tiny-scan.mgz", "--diff", KEPT / "tiny-scan.mgz").out
    assert "0 B went, 0 B came, 0 B changed" in words
    assert not [line for line in words.splitlines() if line.startswith(("went ", "came ", "changed "))]


def test_diff_from_python() -> None:
    use = api.memory(KEPT / "tiny.mgz")
    (peak,) = api.memory_diff(use, KEPT / "tiny.mgz").peaks
    assert (peak.went, peak.came, peak.changed) == ((), (), ())


PROGRAMS = f"""{CHECKPOINTED}

def kept():
    return checkpointed(policies.save_only_these_names("hidden"))
"""


@pytest.mark.libtpu
def test_diff_of_two_policies(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two_policies.py").write_text(PROGRAMS)
    monkeypatch.chdir(tmp_path)
    files = ("two_policies:kept", "--diff", "two_policies:offloaded", "--target", "v5e")
    document = json.loads(run("memory", *files, "--json").out)
    totals = {memory["name"]: memory["change"] for memory in document["memories"]}
    assert totals["host"] == 2 * 2**26
    hbm, host = document["peaks"]
    assert (host["before"], [one["size"] for one in host["came"]]) == (None, [2**26, 2**26])
    for peak in (hbm, host):
        before, after = (0 if side is None else side["live"] for side in (peak["before"], peak["after"]))
        went, came = (sum(one["size"] for one in peak[side]) for side in ("went", "came"))
        assert before - went + came + sum(one["change"] for one in peak["changed"]) == after
