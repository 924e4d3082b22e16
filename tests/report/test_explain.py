"""``explain``: the facts as data, and the sentences."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.report.explain_text import explained, heading, paragraphs
from mallocgame.report.explanation import of_comparison
from mallocgame.report.page_data import of_page
from tests.report.made import confirmed, random_comparison, small


def words() -> dict[str, list[str]]:
    return dict(paragraphs(of_comparison(small())))


def test_the_facts_by_hand() -> None:
    document = of_comparison(small())
    figures = document["figures"]["M"]
    # 10 + 15 + 38 s before, 25 + 3 + 17.3 s after; the bound: every byte in fast memory, a and b compute, c 3.8 s.
    assert (figures["before"], figures["after"]) == (63.0, pytest.approx(45.3))
    assert figures["bound"] == pytest.approx(max(28.8, 30.0))  # 30 bytes of parameters cross HBM once
    assert figures["closed"] == pytest.approx(17.7 / 33.0)
    assert (figures["stall_before"], figures["stall_after"]) == (0.0, 3.0)
    assert document["moved"]["to_fast"] == {"tensors": 2, "bytes": 23}
    assert document["moved"]["to_hbm"] == {"tensors": 0, "bytes": 0}
    assert document["copies_after"] == {"prefetch": {"copies": 1, "bytes": 20}, "eviction": {"copies": 0, "bytes": 0}}
    assert (document["peak_before"], document["peak_after"], document["fast_bytes"]) == (0, 23, 1000)
    (gain,) = document["gains"]["M"]
    assert gain["instruction"] == "c"
    assert [move["tensor"] for move in gain["moves"]] == ["b", "w"]
    assert document["losses"] == {"E": [], "M": []}
    assert document["left"]["limits"]["M"]["waiting"] == 3.0
    assert (document["verdict"], document["honoured"], document["confirmed"]) == (None, None, False)


def test_the_sentences_by_hand() -> None:
    found = words()
    assert found["What it is worth"][1] == (
        "Under M, 63 s become 45.3 s (-28.10 %); waiting for copies goes from 0 to 3 s."
    )
    assert "--verify" in found["What it is worth"][2]
    assert found["What moved"][0].startswith("2 tensors (23 B) are in fast memory")
    assert "Prefetches: 0 (0 B) before, 1 (20 B) under the plan" in found["What moved"][1]
    assert found["Why it pays"][-1] == (
        "- c: 38 s to 20.3 s; reads w (20 B) from fast memory, reads b (3 B) from fast memory, waits 3 s longer for "
        "copies."
    )
    assert "What it costs" not in found
    left = found["What is left, and what bounds it"]
    assert "Of 45.3 s under M, 55.2 % is arithmetic at peak rate, 33.1 % is HBM traffic" in left[1]
    assert "and 6.6 % is waiting for copies." in left[1]
    assert "no plan can take less than 30 s; the plan closes 53.6 %" in " ".join(left)


def test_an_estimate_that_a_shown_program_beats_is_no_bound() -> None:
    comparison = replace(small(), estimates={"E": 50.0, "M": 30.0})  # the plan takes 45.3 s under both, XLA 63 s
    assert (comparison.bound("E"), comparison.bound("M")) == (None, 30.0)
    document = of_comparison(comparison)
    figures = document["figures"]["E"]
    assert (figures["bound"], figures["beaten_estimate"], figures["headroom"], figures["closed"]) == (
        None,
        50,
        None,
        None,
    )
    assert document["figures"]["M"]["beaten_estimate"] is None
    left = " ".join(dict(paragraphs(document))["What is left, and what bounds it"])
    assert "Under E no bound is known: the plan beats the estimate, 50 s with the cycles of XLA's own" in left
    assert of_page(comparison, document, "plan.json")["bounds"] == {"E": None, "M": 30 * 10**12}
    slow = of_comparison(replace(comparison, estimates={"E": 70.0, "M": 30.0}))
    left = " ".join(dict(paragraphs(slow))["What is left, and what bounds it"])
    assert "everything in HBM beats the estimate" in left


def test_a_confirmed_plan_is_called_so() -> None:
    document = of_comparison(confirmed())
    assert "confirmed by libtpu" in heading(document)
    assert document["verdict"] == "equal"  # this compiler gives its default whatever it is asked for
    sentences = " ".join(dict(paragraphs(document))["What it is worth"])
    assert "the plan is as good as XLA's default" in sentences
    assert f"{document['honoured']} of its {document['sites']} placements" in sentences


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_document_is_json_and_the_text_is_whole(seed: int) -> None:
    document = of_comparison(random_comparison(seed))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    lines = explained(document)
    assert all(len(line) <= 160 and "None" not in line and "nan" not in line for line in lines)
    for model in ("E", "M"):
        figures = document["figures"][model]
        change = document["gained"][model] - document["lost"][model]
        assert change == pytest.approx(figures["before"] - figures["after"], abs=1e-9 * figures["before"])
