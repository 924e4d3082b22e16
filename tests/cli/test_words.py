"""What is said first, and what is not said beside figures that contradict it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mallocgame.cli.answers import fitted
from mallocgame.cli.show import show
from tests.optimizer.test_store import ANSWER


@pytest.mark.parametrize("status", ["interrupted", "time limit"])
def test_an_interrupted_answer_says_so_first(status: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"command": "solve", "target": "v5e", "target_why": "by default", "status": status}
    show(document, lambda _: ["the plan"], as_json=False)
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "the plan"
    assert (said[0] == "interrupted: this is the best so far") == (status == "interrupted")
    assert str(replace(ANSWER, status=status)).startswith("interrupted, ") == (status == "interrupted")


def a_program(seconds_m: float, fits: bool) -> dict[str, Any]:
    figures = {"device_bytes": 1, "host_bytes": 0, "to_host": 0, "from_host": 0, "stall_m": 0.0, "seconds_e": 1.0}
    return {"label": "plan", "state": [], "fits": fits, "seconds_m": seconds_m, **figures}


@pytest.mark.parametrize(
    ("seconds_m", "fits", "said"),
    [
        (1.0, True, "no plan is quicker than 500 ms"),
        (0.4, True, "its bound of 500 ms does not hold: a program below is quicker"),
        (0.4, False, "no plan is quicker than 500 ms"),
    ],
)
def test_no_bound_stands_above_a_program_that_beats_it(seconds_m: float, fits: bool, said: str) -> None:
    document = {
        "program": "p", "target": "v5e", "budget": 10, "moves": {}, "options": {}, "status": "optimal", "bound": 0.5,
        "programs": [a_program(seconds_m, fits)], "state": [], "idle": {}, "maxtext": {},
        "answer": "plan", "seconds": None, "out": None,
    }  # fmt: skip
    assert f"model        optimal; {said}" in fitted.lines(document)
