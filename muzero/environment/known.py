"""A plan that is known before an episode begins, as an observation shows it: what it has at each site."""

from __future__ import annotations

from mallocgame.game.program import Program, Site
from mallocgame.plan import Plan
from muzero.environment.tables import FAST, IN_HBM, Tables


def is_fast(plan: Plan, site: Site) -> bool:
    """Whether a plan has what a site asks about in fast memory."""
    if site.use < 0:
        return site.tensor in plan.fast_definitions
    return (site.tensor, site.use) in plan.fast_uses


def with_known(tables: Tables, program: Program, plan: Plan) -> Tables:
    """A program's tables that show a plan; another one that they showed before is gone."""
    known = tables.known.copy()
    known[: len(program.sites)] = [FAST if is_fast(plan, site) else IN_HBM for site in program.sites]
    return tables._replace(known=known)
