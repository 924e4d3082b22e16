"""Rows: what is written comes back, and nothing in a line is trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.bench.rows import ADDED, BenchRow, from_json, to_json
from mallocgame.bench.rows_file import open_rows, read_row
from mallocgame.system.errors import BadInputError
from tests.bench.made_rows import failed, row

OPTIONS = {"xla_msa_enable": "true", "xla_x": 'a {\n b: "c" }'}
ROW = row("a", "local", 1.1, 1.01, compiler_options=OPTIONS, sites=7, honoured=6)
FAILED = failed("a", "msa off", "the compiler refused")


@pytest.mark.parametrize("made", [ROW, FAILED, replace(ROW, scoped_vmem_kib=32768, kind="split")])
def test_round_trip(made: BenchRow) -> None:
    line = to_json(made)
    assert "\n" not in line
    assert from_json(line.encode(), "here") == made


def test_figures_keep_every_digit() -> None:
    made = replace(ROW, e_seconds=0.1 + 0.2, m_seconds=1e-3 / 3)
    assert from_json(to_json(made).encode(), "here") == made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "a row of version 2; this mallocgame has 1"),
        ({"format": "other"}, "not a row of mallocgame bench"),
        ({"e_seconds": -1.0}, "e_seconds: expected a number of seconds"),
        ({"e_seconds": None}, "neither e_seconds nor a failure"),
        ({"verdict": "great"}, "expected 'better' or 'better under E' or 'equal'"),
        ({"kind": "magic"}, "kind: expected"),
        ({"failure": "why not"}, "a failure beside figures"),
        ({"honoured": 8}, "honoured 8 of 7"),
        ({"sites": None}, "honoured 6 of None"),
        ({"seed": -1}, "seed: expected an integer"),
        ({"module_sha256": "xyz"}, "hexadecimal digits"),
        ({"compiler_options": {"xla_dump_to": "/etc"}}, None),
        ({"compiler_options": {"xla_jf_dump_to": "/etc"}}, "not an option that a capture may have"),
        ({"compiler_options": {"xla_msa_enable": 1}}, "expected a text"),
        ({"workload": "a\nb"}, "one line"),
        ({"more": 1}, "unknown key 'more'"),
        ({"peak_memory": True}, "peak_memory: expected an integer"),
    ],
)
def test_bad_rows(change: dict[str, Any], words: str | None) -> None:
    line = json.dumps({**json.loads(to_json(ROW)), **change}).encode()
    with pytest.raises(BadInputError, match=words) as caught:
        from_json(line, "rows.jsonl:3")
    assert str(caught.value).startswith("rows.jsonl:3")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(json.loads(to_json(ROW)).keys() - {"format", "version", *ADDED}))
def test_a_missing_field_is_named(name: str) -> None:
    found = json.loads(to_json(ROW))
    del found[name]
    with pytest.raises(BadInputError, match=f"'{name}' is missing"):
        from_json(json.dumps(found).encode(), "here")


LINE = to_json(ROW).encode()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(LINE) - 1), st.integers(0, 255), st.booleans())
def test_any_changed_byte_or_cut_is_a_row_or_one_line(at: int, byte: int, cut: bool) -> None:
    data = LINE[:at] if cut else LINE[:at] + bytes([byte]) + LINE[at + 1 :]
    try:
        assert isinstance(from_json(data, "here"), BenchRow)
    except BadInputError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_rows_are_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    with open_rows(path) as file:
        file.append(ROW)
        file.append(FAILED)
    with open_rows(path) as file:
        assert list(file.rows.values()) == [ROW, FAILED]
    assert read_row(f"{path}:2") == FAILED


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    whole = to_json(ROW).encode() + b"\n"
    path.write_bytes(whole + to_json(FAILED).encode()[:50])
    with open_rows(path) as file:
        assert list(file.rows.values()) == [ROW]
        file.append(FAILED)
    assert path.read_bytes() == whole + to_json(FAILED).encode() + b"\n"


def test_the_same_row_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(2 * (to_json(ROW).encode() + b"\n"))
    with pytest.raises(BadInputError, match=r"rows.jsonl:2: a second row of a, v5p, local, 0"), open_rows(path):
        pass


def test_two_runs_do_not_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with open_rows(path), pytest.raises(BadInputError, match="another run appends to it"), open_rows(path):
        pass


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("rows.jsonl", "not FILE:LINE"),
        ("rows.jsonl:0", "has 1 rows, none in line 0"),
        ("rows.jsonl:2", "has 1 rows, none in line 2"),
        ("rows.jsonl:x", "not FILE:LINE"),
        ("none.jsonl:1", "cannot be read"),
    ],
)
def test_rows_that_are_not_there(tmp_path: Path, reference: str, words: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(to_json(ROW).encode() + b"\n")
    with pytest.raises(BadInputError, match=words):
        read_row(str(tmp_path / reference))


def test_rows_of_before_had_two_words_for_what_has_one_now() -> None:
    split = row("a", "local", 1.1, 0.98, kind="split")
    assert split.verdict == "better under E"
    for strict, verdict in (("worse", "better under E"), ("better", "better")):
        of_before = json.loads(to_json(split)) | {"verdict": "better", "strict_verdict": strict}
        assert from_json(json.dumps(of_before).encode(), "rows.jsonl:1").verdict == verdict
