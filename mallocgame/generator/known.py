"""Problems whose optimum is known by construction, each with a plan that reaches it.

Optimal is meant under model M, among the plans that ``validate`` and ``inexpressible`` both accept. The proofs stand in
the modules of the constructions: ``tiled``, ``cliques`` and ``windows``. All sizes, rates and times are multiples of
powers of two, so that sums of seconds are exact and a stall that should be none is 0.0.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from mallocgame.generator.draft import ALIGNMENT
from mallocgame.plan import Plan
from mallocgame.problem.schema import Problem, Target

Kind = Literal["tiling", "copies", "loops", "cliques", "windows"]

KINDS: tuple[Kind, ...] = get_args(Kind)

UNIT = 4 * ALIGNMENT
"""Sizes in fast memory are multiples of this many bytes."""

HBM_BANDWIDTH = 2.0**30
READ_FACTOR = 32
WRITE_FACTOR = 16
"""How many times faster than HBM the fast memory is read and written."""


class Known(NamedTuple):
    """A problem with its optimum.

    Attributes:
        problem: the problem.
        plan: valid, expressible, and no such plan is faster under M.
        seconds: of this plan under M.
    """

    problem: Problem
    plan: Plan
    seconds: float


@dataclass(frozen=True)
class KnownRecipe:
    """What to make.

    Attributes:
        kind: the construction.
        steps: about how many leaf instructions.
        tensors: about how many alias groups compete for fast memory.
    """

    kind: Kind = "tiling"
    steps: int = 24
    tensors: int = 12


def known_optimum(seed: int, recipe: KnownRecipe | None = None) -> Known:
    """The problem of this seed and recipe, a best plan, and its seconds under M."""
    from mallocgame.generator import cliques, tiled, windows
    from mallocgame.replay import replay_plan

    recipe = recipe or KnownRecipe()
    rng = random.Random(seed)
    build = {"cliques": cliques.build, "windows": windows.build}.get(recipe.kind, tiled.build)
    problem, plan = build(rng, recipe, f"{recipe.kind}-{seed}")
    return Known(problem, plan, replay_plan(problem, plan, "M").total)


def varied_known_recipe(seed: int, largest: int = 40) -> KnownRecipe:
    """A recipe drawn by a seed: kinds in turn, every third one small enough for enumeration."""
    rng = random.Random(seed)
    tiny = rng.random() < 1 / 3
    return KnownRecipe(
        kind=KINDS[seed % len(KINDS)],
        steps=rng.randint(4, 8) if tiny else rng.randint(8, largest),
        tensors=rng.randint(2, 5) if tiny else rng.randint(4, max(4, largest // 2)),
    )


def target(units: int) -> Target:
    """A target with this many units of fast memory."""
    rates = (HBM_BANDWIDTH, READ_FACTOR * HBM_BANDWIDTH, WRITE_FACTOR * HBM_BANDWIDTH)
    return Target("toy", 1, units * UNIT, ALIGNMENT, *rates, 2.0**-30, 2**34)
