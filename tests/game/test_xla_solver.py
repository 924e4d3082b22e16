"""XLA's own placement as a plan, from small texts as the compiler writes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mallocgame.models.replay import read_back, replay_final
from mallocgame.plan.validate import validate
from mallocgame.solvers import solve
from mallocgame.system.errors import NoAnswerError
from tests.models.replay import texts

PROBLEM = texts.problem(texts.module(texts.ENTRY))


@pytest.mark.parametrize("text", [texts.PREFETCHED, texts.EVICTED])
def test_placement_gets_addresses_and_keeps_its_time(text: str) -> None:
    final = texts.module(text)
    solution = solve(PROBLEM, "xla", final=final)
    found = read_back(PROBLEM, final).to_plan()
    assert not validate(PROBLEM, solution.plan)
    assert (solution.plan.fast_definitions, solution.plan.fast_uses) == (found.fast_definitions, found.fast_uses)
    assert solution.plan.copies == found.copies
    assert solution.seconds_under_m == pytest.approx(replay_final(PROBLEM, final, "M").total)


def test_slices_count_as_one_copy_from_the_first_one_on() -> None:
    solution = solve(PROBLEM, "xla", final=texts.module(texts.SLICED_LONG, *texts.WRAPPED))
    assert [(copy.tensor, copy.after, copy.before) for copy in solution.plan.copies] == [(1, 1, 4)]


def test_no_addresses_is_no_answer() -> None:
    tiny = replace(PROBLEM, target=replace(PROBLEM.target, fast_bytes=4096))
    with pytest.raises(NoAnswerError, match="no addresses found"):
        solve(tiny, "xla", final=texts.module(texts.PREFETCHED))
