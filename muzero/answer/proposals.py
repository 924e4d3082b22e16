"""Which decisions of a known plan to make otherwise: drawn from what the policy doubts, in one of four ways.

A program repeats itself, decisions hang together, and room that one frees another can use: so a single decision seldom
makes a good plan better, and what is proposed is several that belong together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mallocgame.game.program import Program
from muzero.answer.known_episode import Opinion

Wishes = npt.NDArray[np.bool_]
"""bool [sites], what is to be in fast memory where it can be."""

HEATS = (2.0, 4.0, 8.0)
"""Temperatures of the policy, one of which is drawn; its margins are mostly between -10 and 10."""

MOST = 16
"""Decisions in a row, at most; few are as likely as many: the logarithm is drawn evenly."""

SOME = 0.3
"""Share of the sites alike that are changed, where it is not all of them."""

AGAIN = 0.5
"""To how many changes another one is added."""

DRAWS = 8
"""So often is a proposal drawn until it is a new one."""

TASTES = (1.0, 3.0, 9.0)
"""Weights of a taste beside the policy's margin, one of which is drawn."""


class Proposer:
    """Proposes for one program."""

    def __init__(self, program: Program, rng: np.random.Generator) -> None:
        """Look at the sites.

        Args:
            program: its sites are what is decided.
            rng: of all that is drawn.
        """
        self._rng = rng
        self._kinds = _kinds(program)
        self._traits = _traits(program)
        self._opinion: Opinion | None = None
        self._proposed: set[bytes] = set()

    def __call__(self, opinion: Opinion) -> Wishes:
        """What to wish instead of what is known, as far as can be not what was proposed for this opinion before.

        Something has to be open.
        """
        if opinion is not self._opinion:
            self._opinion, self._proposed = opinion, set()
        for _ in range(DRAWS):
            wishes = self._drawn(opinion)
            if wishes.tobytes() not in self._proposed:
                break
        self._proposed.add(wishes.tobytes())
        return wishes

    def _drawn(self, opinion: Opinion) -> Wishes:
        """What some changes together give."""
        ways: list[Callable[[Opinion], Wishes]] = [self._in_a_row, self._alike, self._room, self._taste]
        changed = np.zeros(len(opinion.open), bool)
        for _ in range(self._rng.geometric(AGAIN)):
            changed |= ways[self._rng.integers(len(ways))](opinion) != opinion.fast
        return opinion.fast ^ changed

    def _in_a_row(self, opinion: Opinion) -> Wishes:
        """Some decisions in a row as the policy has them at a high temperature."""
        site = self._site(opinion)
        row = self._row(opinion, site, MOST)
        wishes = opinion.fast.copy()
        wishes[row] = opinion.margin[row] + self._heat() * self._rng.logistic(size=len(row)) > 0
        return _otherwise(wishes, opinion, site)

    def _alike(self, opinion: Opinion) -> Wishes:
        """One decision, and all that are like it, or some of these, otherwise."""
        site = self._site(opinion)
        alike = opinion.open & (self._kinds == self._kinds[site]) & (opinion.fast == opinion.fast[site])
        if self._rng.random() < 0.5:
            alike &= self._rng.random(len(alike)) < SOME
        return _otherwise(opinion.fast ^ alike, opinion, site)

    def _room(self, opinion: Opinion) -> Wishes:
        """One decision otherwise, and in fast memory what only then can be there, or half of it."""
        site = self._site(opinion)
        new = ~opinion.open & (np.arange(len(opinion.open)) > site)
        if self._rng.random() < 0.5:
            new &= self._rng.random(len(new)) < 0.5
        return _otherwise(opinion.fast | new, opinion, site)

    def _taste(self, opinion: Opinion) -> Wishes:
        """Many decisions in a row as the policy has them, with a taste for some kinds of sites."""
        site = self._site(opinion)
        row = self._row(opinion, site, int(opinion.open.sum()))
        taste = self._traits[row] @ self._rng.normal(size=self._traits.shape[1]) + self._rng.normal()
        wishes = opinion.fast.copy()
        wishes[row] = opinion.margin[row] + self._rng.choice(TASTES) * taste > 0
        return _otherwise(wishes, opinion, site) if np.array_equal(wishes, opinion.fast) else wishes

    def _site(self, opinion: Opinion) -> int:
        """An open one: half the time what the policy doubts, else any."""
        sites = np.flatnonzero(opinion.open)
        if self._rng.random() < 0.5:
            return int(self._rng.choice(sites))
        doubt = np.where(opinion.fast, -opinion.margin, opinion.margin)[sites]
        return int(sites[np.argmax(doubt / self._heat() + self._rng.gumbel(size=len(sites)))])

    def _row(self, opinion: Opinion, site: int, most: int) -> npt.NDArray[np.intp]:
        """Open sites from a site on."""
        return np.flatnonzero(opinion.open[site:])[: int(most ** self._rng.random())] + site

    def _heat(self) -> float:
        return float(self._rng.choice(HEATS))


def _otherwise(wishes: Wishes, opinion: Opinion, site: int) -> Wishes:
    wishes[site] = not opinion.fast[site]
    return wishes


def _kinds(program: Program) -> npt.NDArray[np.intp]:
    """A number for each site, the same for sites alike: of tensors as large with as many uses, the same use."""
    tensors = program.problem.tensors
    kinds = [(tensors[site.tensor].size, len(tensors[site.tensor].uses), site.use) for site in program.sites]
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    return np.array([numbers[kind] for kind in kinds], np.intp)


def _traits(program: Program) -> npt.NDArray[np.float64]:
    """[sites, traits], each with mean 0 and variance 1.

    How large the tensor is, how long it was not used and how long it still will be (logarithms), whether the site is
    its definition, and how many uses it has.
    """
    rows = []
    for site in program.sites:
        tensor = program.problem.tensors[site.tensor]
        before = site.time if site.use < 0 else tensor.time if site.use == 0 else tensor.uses[site.use - 1].time
        last = max((use.time for use in tensor.uses), default=site.time)
        idle, left = max(0, site.time - before), max(0, last - site.time)
        rows.append((np.log1p(tensor.size), np.log1p(idle), np.log1p(left), site.use < 0, len(tensor.uses)))
    traits = np.array(rows, np.float64)
    normal: npt.NDArray[np.float64] = (traits - traits.mean(axis=0)) / (traits.std(axis=0) + 1e-9)
    return normal
