"""A plan that is known before an episode begins: what it has at each site, as an observation shows it, and where."""

from __future__ import annotations

from mallocgame.game.places import places_of
from mallocgame.game.program import Program
from mallocgame.game.program import Site as Question
from mallocgame.plan.plan import Plan
from muzero.environment.tables import FAST, IN_HBM, NEVER, Site, Tables


def is_fast(plan: Plan, site: Question) -> bool:
    """Whether a plan has what a site asks about in fast memory."""
    if site.use < 0:
        return site.tensor in plan.fast_definitions
    return (site.tensor, site.use) in plan.fast_uses


def with_known(tables: Tables, program: Program, plan: Plan) -> Tables:
    """A program's tables that show a plan; another one that they showed before is gone."""
    known = tables.known.copy()
    known[: len(program.sites)] = [FAST if is_fast(plan, site) else IN_HBM for site in program.sites]
    return tables._replace(known=known)


def with_places(tables: Tables, program: Program, plan: Plan) -> Tables:
    """A program's tables with which a game keeps to the places of a valid plan, as ``Game(problem, plan)`` does."""
    places, problem = places_of(program, plan), program.problem
    sites = tables.sites.copy()
    place_after, place_low = (Site._fields.index(name) for name in ("place_after", "place_low"))
    sites[:, [place_after, place_low]] = NEVER
    for number, site in enumerate(program.sites):
        if site.use < 0:
            group = problem.tensors[site.tensor].group
            sites[number, place_low] = places.pins.get(group, NEVER)
            continue
        index = program.serving_at(site.tensor, site.use)
        serving = None if index is None else program.servings[site.tensor][index]
        if serving is not None and serving.first == site.use:
            place = places.copies.get((site.tensor, serving.before), (NEVER, NEVER))
            sites[number, [place_after, place_low]] = place
    return tables._replace(sites=sites)
