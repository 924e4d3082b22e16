"""The file of results: what is written comes back, a cut line is dropped, nothing else is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.batch.job import TIMED_OUT, Ended, Job
from mallocgame.batch.results import Answer, Result, open_results, result_of
from mallocgame.system.errors import BadInputError

JOB = Job("a.mgp", "key", ("solve", "a.mgp"), 10.0)
SOLVED = {
    "module": "jit_f",
    "target": "v5e",
    "status": "converged",
    "confirmed": False,
    "m_saved_share": 0.25,
    "out": "p",
}
AUTO = {
    **{name: SOLVED[name] for name in ("module", "target", "status", "out")},
    "confirmed": True,
    "programs": [{"e": 3.0, "m": 2.0}, {"e": 2.0, "m": 2.5}],
    "answer": 1,
}
PLAIN = Answer("jit_f", "v5e", "converged", False, 0.25, None, None)


def _result(code: int = 0, output: str = json.dumps(SOLVED), errors: str = "") -> Result:
    return result_of(Ended(JOB, code, output, errors, 1.23456), "a.mgp.json")


def test_answers() -> None:
    assert _result() == Result("a.mgp", "key", 0, "", 1.235, "a.mgp.json", PLAIN)
    assert _result(output=json.dumps({**SOLVED, "out": None})).out == ""
    assert _result(output=json.dumps(AUTO)).answer == Answer("jit_f", "v5e", "converged", True, None, 1.5, 0.8)


@pytest.mark.parametrize(
    ("code", "output", "errors", "expected"),
    [
        (2, "", "reading\nmallocgame: error: a.mgp: damaged\n", (2, "a.mgp: damaged")),
        (2, "", "", (2, "the process ended with exit code 2")),
        (1, "", "Traceback\n  boom\x1b[31m\n", (1, "  boom?[31m")),
        (-9, "", "some\nthing", (-9, "the process was killed by signal 9")),
        (TIMED_OUT, "", "", (TIMED_OUT, "took longer than 10 s and was ended")),
        (0, "", "", (1, "the process printed no answer")),
        (0, "[]", "", (1, "the process printed no answer")),
        (0, "{", "", (1, "the process printed no answer")),
    ],
)
def test_failures_are_one_line(code: int, output: str, errors: str, expected: tuple[int, str]) -> None:
    result = _result(code, output, errors)
    assert (result.code, result.error, result.answer) == (*expected, None)


def test_round_trip(tmp_path: Path) -> None:
    first, second = _result(2, "", "mallocgame: error: x"), replace(_result(), name="b.mgp")
    with open_results(tmp_path / "out" / "results.jsonl") as file:
        file.append(first)
        file.append(second)
        file.append(_result())
    with open_results(tmp_path / "out" / "results.jsonl") as file:
        assert file.last == {"a.mgp": _result(), "b.mgp": second}


def test_a_cut_line_is_dropped_and_the_file_goes_on_behind_the_last_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with open_results(path) as file:
        file.append(_result())
    whole = path.read_bytes()
    for cut in range(1, len(whole)):
        path.write_bytes(whole + whole[:-cut])
        with open_results(path) as file:
            assert list(file.last) == ["a.mgp"]
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("code", "0"), ("code", 2), ("name", 1), ("name", "a\nb"), ("out", "../x"), ("seconds", -1), ("answer", None),
        ("answer", {}), ("more", 1), ("answer", {**SOLVED, "xla_over_e": "1", "xla_over_m": None}),
    ],
)  # fmt: skip
def test_a_line_that_is_no_result(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "results.jsonl"
    with open_results(path) as file:
        file.append(_result())
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}) + "\n")
    with pytest.raises(BadInputError, match=r"results.jsonl:1"), open_results(path):
        pass


def test_what_is_done(tmp_path: Path) -> None:
    with open_results(tmp_path / "results.jsonl") as file:
        failures = ((1, False), (2, True), (3, True), (4, True), (5, False), (-9, False), (TIMED_OUT, False))
        for code, final in ((0, False), *failures):
            file.append(_result(code))
            assert file.is_done("a.mgp", "key") is final, code
        (tmp_path / "a.mgp.json").touch()  # an answer is done while its plan is there
        file.append(_result(0))
        assert file.is_done("a.mgp", "key")
        assert not file.is_done("a.mgp", "other")
        assert not file.is_done("b.mgp", "key")
