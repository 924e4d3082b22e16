"""What is proposed: decisions that are open, that belong together, and that the policy doubts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.game.program import Program
from muzero.answer.known_episode import Opinion
from muzero.answer.proposals import MOST, Proposer
from workloads.generator import Recipe, random_problem

PROGRAM = Program(random_problem(7, Recipe(instructions=40, fast_bytes=4096)))
SITES = len(PROGRAM.sites)


def opinion(seed: int, share: float = 0.5) -> Opinion:
    rng = np.random.default_rng(seed)
    choices = rng.random(SITES) < share
    choices[rng.integers(SITES)] = True
    margin = np.where(choices, rng.normal(0, 8, SITES), 0).astype(np.float32)
    return Opinion(rng.random(SITES) < 0.5, choices, margin)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_something_open_is_otherwise(seed: int, share: float) -> None:
    known = opinion(seed, share)
    proposed = Proposer(PROGRAM, np.random.default_rng(seed))(known)
    assert (proposed.shape, proposed.dtype) == ((SITES,), bool)
    assert ((proposed != known.fast) & known.open).any()
    again = Proposer(PROGRAM, np.random.default_rng(seed))(known)
    assert proposed.tolist() == again.tolist()


def test_nothing_is_proposed_twice_while_there_is_something_new() -> None:
    """Three open sites, all else fast: seven wishes. Drawn again up to eight times, the first five are different."""
    choices = np.arange(SITES) < 3
    known = Opinion(np.ones(SITES, bool), choices, np.zeros(SITES, np.float32))
    proposer = Proposer(PROGRAM, np.random.default_rng(5))
    proposed = [proposer(known).tobytes() for _ in range(30)]
    assert len({*proposed[:5]}) == 5
    assert len({*proposed}) == 7


@given(st.integers(0, 2**32 - 1))
def test_decisions_in_a_row(seed: int) -> None:
    known = opinion(seed)
    changed = np.flatnonzero(Proposer(PROGRAM, np.random.default_rng(seed))._in_a_row(known) != known.fast)
    row = np.flatnonzero(known.open[: changed[-1] + 1])
    assert set(changed) <= set(row)
    assert 1 <= (row >= changed[0]).sum() <= MOST


@given(st.integers(0, 2**32 - 1))
def test_sites_alike(seed: int) -> None:
    """Of tensors as large, with as many uses; the same use; and all were on one side."""
    known = opinion(seed)
    changed = np.flatnonzero(Proposer(PROGRAM, np.random.default_rng(seed))._alike(known) != known.fast)
    assert known.open[changed].all()
    assert len(set(known.fast[changed].tolist())) == 1
    sites = [PROGRAM.sites[number] for number in changed]
    tensors = [PROGRAM.problem.tensors[site.tensor] for site in sites]
    assert len({(value.size, len(value.uses), site.use) for value, site in zip(tensors, sites, strict=True)}) == 1


@given(st.integers(0, 2**32 - 1))
def test_room_for_what_had_none(seed: int) -> None:
    """One open site; all others are later ones that were not open, and are wished to be fast."""
    known = opinion(seed)
    wishes = Proposer(PROGRAM, np.random.default_rng(seed))._room(known)
    changed = np.flatnonzero(wishes != known.fast)
    (site,) = changed[known.open[changed]]
    others = changed[changed != site]
    assert (others > site).all()
    assert wishes[others].all()


def test_tastes_differ_and_stay_within_a_row() -> None:
    known, proposer = opinion(0), Proposer(PROGRAM, np.random.default_rng(0))
    tastes = [proposer._taste(known) for _ in range(50)]
    assert all((known.open | (wishes == known.fast)).all() for wishes in tastes)
    sizes = sorted(int((wishes != known.fast).sum()) for wishes in tastes)
    assert sizes[0] <= 2
    assert sizes[-1] > MOST


@pytest.mark.parametrize("fast", [False, True])
def test_doubt_comes_first(fast: bool) -> None:
    """A site that the policy would have the other way by 60 is taken nearly each time that doubt decides: half."""
    known = Opinion(np.full(SITES, fast), np.ones(SITES, bool), np.full(SITES, 10.0 if fast else -10.0, np.float32))
    known.margin[3] *= -5
    proposer = Proposer(PROGRAM, np.random.default_rng(1))
    picked = [proposer._site(known) for _ in range(2000)]
    assert picked.count(3) == pytest.approx(1000 + 1000 / SITES, abs=100)
    assert len(set(picked)) > SITES // 2
