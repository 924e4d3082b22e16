"""The largest batch, with a compiler that is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mallocgame import api
from mallocgame.cli.answers import fitted
from mallocgame.compiler.child import TookTooLongError
from mallocgame.offload import largest
from mallocgame.offload.candidates import DoesNotFitError
from mallocgame.offload.compiled import ReadBack
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.program import Training
from mallocgame.system.errors import BadInputError, NoAnswerError
from workloads.offload.adam import tiny_adam, tiny_untouched

DEVICE = 1000


def compiler(asked: list[int], fixed: int, kept: int) -> Any:
    """Needs fixed bytes, ``kept`` for each sample and kept name, 3 for each sample; refuses more than there is."""

    def compiler_of(training: Training, *_: object) -> Any:
        batch = training.batch or 0

        def compile(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
            asked.append(batch)
            names = 2 if moves.moves is None else len(moves.names("keep"))
            needed = fixed + batch * (3 + kept * names) + (batch % 3)
            if needed > DEVICE:
                raise DoesNotFitError("RESOURCE_EXHAUSTED", needed)
            seconds = 5.0 + batch * (2.0 - 0.5 * names)
            return ReadBack(needed, 0, 0, 0, 0, {"E": seconds, "M": seconds}, {"E": 0.0, "M": 0.0})

        return compile

    return compiler_of


def find(monkeypatch: pytest.MonkeyPatch, fixed: int = 100, step: int = 1, compiles: int = 30) -> Any:
    asked: list[int] = []
    monkeypatch.setattr(largest, "compiler_of", compiler(asked, fixed, 1))
    return api.fit_largest(tiny_adam, target="v5e", budget=str(DEVICE), step=step, compiles=compiles), asked


@pytest.mark.parametrize("step", [1, 8, 100])
def test_the_next_batch_does_not_fit(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = find(monkeypatch, step=step)
    best = max(batch for batch in range(step, 400, step) if 100 + 3 * batch + batch % 3 <= DEVICE)
    assert found.batches[-1].batch == best
    assert found.answer.batch == best
    assert (found.beyond.batch, found.beyond.answer) == (best + step, None)
    assert all(candidate.read is None for candidate in found.beyond.candidates)
    assert len(asked) < 25


def test_a_part_of_the_memory_is_the_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    plain = compiler(asked, 100, 1)

    def compiler_of(training: Training, *_: object) -> Any:
        compile = plain(training)

        def refusing(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
            found: ReadBack = compile(moves, options)
            if found.device_bytes > 830:
                raise DoesNotFitError("RESOURCE_EXHAUSTED", found.device_bytes)
            return found

        return refusing

    monkeypatch.setattr(largest, "compiler_of", compiler_of)
    found = api.fit_largest(tiny_adam, target="v5e", budget=str(DEVICE), compiles=30)
    assert found.batches[-1].batch == max(batch for batch in range(400) if 100 + 3 * batch + batch % 3 <= 830)
    assert len(asked) < 30


def test_time_per_sample_is_that_of_the_quickest_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = find(monkeypatch)
    half = found.batches[-2]
    assert half.batch == 150
    # Everything kept takes 100 + 150 * 5 bytes, and 5 + 150 s.
    assert half.seconds_per_sample == pytest.approx(155.0 / 150)
    assert found.batches[-1].answer.label == "full checkpointing"


def test_the_largest_that_fitted_is_kept_where_compiles_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = find(monkeypatch, compiles=3)  # 64 by two policies, then 128
    assert asked == [64, 64, 128]
    assert (found.answer.batch, found.beyond) == (128, None)
    assert found.open == "no larger batch was tried: the compiles are used up"
    found, asked = find(monkeypatch, fixed=850, compiles=3)
    assert asked == [64, 64, 8]
    assert (found.answer.batch, found.beyond.batch) == (8, 64)
    expected = "batches between 8 and 64 were not tried: the compiles are used up"
    assert found.open == expected
    document = fitted.of_largest(found, None)
    assert f"largest batch 8; {expected}" in fitted.largest_lines(document)


def test_no_compile_is_left_for_the_next_batch_under_other_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = find(monkeypatch)
    assert whole.open == ""
    last = len(asked[: asked.index(whole.beyond.batch) + 1])
    found, _ = find(monkeypatch, compiles=max(last, asked.index(whole.answer.batch) + 1))
    assert (found.answer.batch, found.beyond.batch) == (whole.answer.batch, whole.beyond.batch)
    assert (
        found.open == f"batch {found.beyond.batch} was not compiled under all named offloaded: the compiles are used up"
    )


@pytest.mark.parametrize("slow", [200, 150])
def test_compiles_that_do_not_finish_show_nothing(slow: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    plain = compiler(asked, 100, 1)

    def compiler_of(training: Training, *_: object) -> Any:
        def compile(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
            if (training.batch or 0) >= slow:
                asked.append(training.batch or 0)
                raise TookTooLongError("the compile took longer than 900 s")
            found: ReadBack = plain(training)(moves, options)
            return found

        return compile

    monkeypatch.setattr(largest, "compiler_of", compiler_of)
    found = api.fit_largest(tiny_adam, target="v5e", budget=str(DEVICE), compiles=30)
    late = [batch for batch in asked if batch >= slow]
    assert found.answer.batch == max(batch for batch in asked if batch < slow)
    assert found.beyond.batch == min(late)
    assert len(set(late)) == largest.UNFINISHED
    assert found.open.endswith("were not tried: compiles did not finish")
    assert "not finished" in "\n".join(fitted.largest_lines(fitted.of_largest(found, None)))


def test_what_cannot_be_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoAnswerError, match="a batch of 1 does not fit"):
        find(monkeypatch, fixed=2000)
    with pytest.raises(NoAnswerError, match="used up before a batch that fits is known; --compiles allows more"):
        find(monkeypatch, fixed=880, compiles=2)  # 64 samples do not fit, under full checkpointing nor offloaded
    with pytest.raises(BadInputError, match="takes no argument 'batch'"):
        api.fit_largest(tiny_untouched, target="v5e")
    with pytest.raises(BadInputError, match="for TPU targets alone"):
        api.fit_largest(tiny_adam, target="H200")
