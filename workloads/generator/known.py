"""Problems whose optimum is known by construction, each with a plan that reaches it.

Optimal is meant under model M, among the plans that ``validate`` and ``inexpressible`` both accept. The proofs stand in
the modules of the constructions: ``tiled``, ``cliques`` and ``windows``. All sizes, rates and times are multiples of
powers of two, so that sums of seconds are exact and a stall that should be none is 0.0.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from workloads.generator import cliques, tiled, windows
from workloads.generator.known_recipe import KnownRecipe


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


def known_optimum(seed: int, recipe: KnownRecipe | None = None) -> Known:
    """The problem of this seed and recipe, a best plan, and its seconds under M."""
    recipe = recipe or KnownRecipe()
    rng = random.Random(seed)
    build = {"cliques": cliques.build, "windows": windows.build}.get(recipe.kind, tiled.build)
    problem, plan = build(rng, recipe, f"{recipe.kind}-{seed}")
    return Known(problem, plan, replay_plan(problem, plan, "M").total)
