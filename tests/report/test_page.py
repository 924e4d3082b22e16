"""The page: nothing in it can become markup or script, and its data are the replay's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.report.comparison import MODELS, Comparison
from mallocgame.report.explanation import of_comparison
from mallocgame.report.memory_map import rectangles
from mallocgame.report.page import embedded, to_html
from mallocgame.report.page_data import of_page
from tests.report.made import confirmed, predicted, random_comparison, small
from tests.report.reading import check_self_contained, read

NASTY = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\u2028\u2029",
    "]]>",
    "&lt;",
    "\"'`",
    "\ud800",
    "{{data}}",
]


def page_of(comparison: Comparison) -> dict[str, Any]:
    return of_page(comparison, of_comparison(comparison), "plan.json")


def test_the_page_needs_nothing_else() -> None:
    page = to_html(page_of(small()), "plan")
    check_self_contained(page)
    assert json.loads(read(page).texts["script"][0])["title"] == "m on TPU toy"


@settings(max_examples=200, deadline=None)
@given(text=st.text() | st.sampled_from(NASTY) | st.lists(st.sampled_from(NASTY)).map("".join))
def test_no_text_leaves_the_data(text: str) -> None:
    data = embedded({text: [text]})
    assert data.isascii()
    assert not set("<>&") & set(data)
    assert json.loads(data) == {text: [text]}


@pytest.mark.parametrize("name", NASTY)
def test_names_made_to_inject_stay_text(name: str) -> None:
    data = page_of(small())
    data["title"] = data["about"] = data["options"] = data["instructions"]["name"][0] = name
    plain, nasty = read(to_html(page_of(small()), "plan")), read(to_html(data, "plan"))
    assert nasty.tags == plain.tags
    assert json.loads(nasty.texts["script"][0]) == data
    assert nasty.texts["script"][1:] == plain.texts["script"][1:]
    assert nasty.texts["title"] == [name.replace("\ud800", "\ufffd")]
    assert to_html(data, "plan").encode()


def check(comparison: Comparison) -> None:
    """The data against the replays, to a picosecond an instruction."""
    data = page_of(comparison)
    problem = comparison.problem
    count = len(problem.instructions)
    assert data["instructions"]["name"] == [instruction.name for instruction in problem.instructions]
    for shown, side in zip(data["sides"], (comparison.before, comparison.after), strict=True):
        for model in MODELS:
            replay, line = side.replays[model], shown["models"][model]
            assert abs(shown["total"][model] - replay.total * 1e12) <= 0.5 + 1e-3
            whole = sum(line["seconds"]) + sum(line["stall"])
            assert whole == pytest.approx(replay.total * 1e12, abs=2 * count, rel=1e-9)
            assert sum(line["stall"]) == pytest.approx(replay.stall * 1e12, abs=count, rel=1e-9)
            assert {len(values) for values in line.values()} == {count}
        assert shown["peak"] == side.replays["M"].peak_fast
        stays, boxes = shown["stays"], rectangles(problem, side.panel(""))
        names = [problem.tensors[tensor].name for tensor in stays["tensor"]]
        columns = (stays["start"], stays["end"], stays["offset"], stays["size"])
        drawn = [(data["kinds"][kind], *row) for kind, *row in zip(stays["kind"], *columns, names, strict=True)]
        assert drawn == [(box.kind, box.start, box.end, box.offset, box.size, box.name) for box in boxes]
    shown = [(one["start"], one["end"], one["offset"], one["size"]) for one in data["reserved"]]
    assert shown == [(one.start, one.end, one.offset, one.size) for one in problem.reserved]
    for tensor in problem.tensors:
        name = data["instructions"]["name"][data["tensors"]["time"][tensor.id]]
        assert name + data["tensors"]["index"].get(str(tensor.id), "") == tensor.name


def test_the_data_of_real_captures() -> None:
    check(predicted())
    check(confirmed())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_data_of_random_programs(seed: int) -> None:
    check(random_comparison(seed))


def test_what_moved_by_hand() -> None:
    assert page_of(small())["moves"] == {"3": [[3, 1, 1]], "4": [[3, 0, 1], [0, 0, 1]]}


def test_provenance() -> None:
    found = dict(page_of(small())["provenance"])
    assert found["Program"] == "m, 5 instructions, 5 tensors"
    assert found["Fingerprint"] == "f"
    assert found["Solver"] == "hand, seed 0"
    assert found["Solver's options"] == "time_limit = 1.0"
    assert found["Written by"].endswith(": mallocgame report plan.json small.txt")
    data = page_of(confirmed())
    assert dict(data["provenance"])["Written by"].endswith(" --verify")
    assert "libtpu" in dict(data["provenance"])["Confirmed by"]
    assert json.loads(data["options"]).keys() >= {"xla_tpu_sliced_prefetch_max_slices"}


def test_a_plan_without_options_says_why() -> None:
    data = page_of(small())  # no target is called toy
    assert data["options"] is None
    assert "toy" in data["no_options"]
