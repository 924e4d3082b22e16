"""Which tensor is at a position of a final text."""

from __future__ import annotations

import pytest

from mallocgame.models.replay.final_text import FinalText
from tests.models.replay import texts
from tests.models.replay.texts import FAST, SYNC, module, problem

PROBLEM = problem(module(texts.ENTRY))
LOOPED = problem(module(texts.LOOP, *texts.LOOP_COMPUTATIONS))


@pytest.mark.parametrize("final", [module(texts.SLICED_LONG, *texts.WRAPPED), module(texts.SLICED_SHORT)])
def test_slices_and_what_joins_them_are_the_whole_tensor(final: texts.HloModule) -> None:
    text = FinalText(PROBLEM, final)
    w = next(tensor.id for tensor in PROBLEM.tensors if tensor.name == "w")
    assert {text.tensor_at(name, ()) for name in ("w", "slice-done", "slice-done.1", "joined")} == {w}
    assert text.origin("joined", ()) == "joined"
    assert text.tensor_at("nothing", ()) is None
    assert text.origin("joined", (0,)) is None


def test_a_copy_of_a_copy_is_the_tensor() -> None:
    text = FinalText(PROBLEM, module(texts.EVICTED))
    a = next(tensor.id for tensor in PROBLEM.tensors if tensor.name == "a")
    assert [text.tensor_at(name, ()) for name in ("a", "copy-done", "copy-done.1")] == [a, a, a]
    assert text.origin("copy-done.1", ()) == "copy-done.1"


def test_loops_pass_tensors_on() -> None:
    text = FinalText(LOOPED, module(texts.LOOP_FINAL, *texts.LOOP_FINAL_COMPUTATIONS))
    names = {tensor.name: tensor.id for tensor in LOOPED.tensors}
    assert text.tensor_at("v.renamed", ()) == text.tensor_at("in", (2,)) == text.tensor_at("loop", (2,)) == names["v0"]
    assert text.tensor_at("c", ()) == names["p{1}"]
    assert text.tensor_at("out", ()) == names["loop{1}"]


def test_what_is_copied_anew_in_every_trip_is_still_the_tensor() -> None:
    start = f"%copy-start.1 = ({FAST}, {FAST}, {SYNC}) copy-start(%v.renamed)"
    copied = f"{start}\n  %copy-done.1 = {FAST} copy-done(%copy-start.1)"
    body, condition = texts.LOOP_FINAL_COMPUTATIONS
    body = body.replace("ROOT", f"{copied}\n  ROOT").replace("%e, %v.renamed)", "%e, %copy-done.1)")
    text = FinalText(LOOPED, module(texts.LOOP_FINAL, body, condition))
    names = {tensor.name: tensor.id for tensor in LOOPED.tensors}
    assert text.tensor_at("p", (2,)) == text.tensor_at("copy-done.1", ()) == names["v0"]
