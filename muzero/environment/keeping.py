"""The keep rule of ``mallocgame.game.rules``: which uses have to stay in HBM, and what they keep there too."""

from __future__ import annotations

import jax.numpy as jnp

from muzero.environment.arrays import Array
from muzero.environment.tables import Site, Tables


def kept_with(tables: Tables, kept: Array, site: Site) -> Array:
    """Which relations have a use that has to be kept once the serving of a site is fast, bool[relations].

    Args:
        tables: of the problem.
        kept: bool[relations], as it is.
        site: begins a serving.
    """
    next_one = tables.kept_number == site.number + 1
    new = (tables.kept_number != site.number) & (next_one | kept | tables.kept_first)
    return jnp.where(tables.kept_owner == site.owner, new, kept)


def moved_with(tables: Tables, moved: Array, site: Site, whole_group: Array) -> Array:
    """Which relations have an output that is not simply in HBM once a tensor, or its whole group, is moved."""
    return moved | jnp.where(whole_group, tables.kept_output_owner == site.owner, tables.kept_output == site.tensor)


def forbids_copy(tables: Tables, kept: Array, moved: Array, site: Site) -> Array:
    """Whether the keep rule forbids the serving of a site to become fast, bool[]."""
    of_its_own = kept_with(tables, kept, site) & moved & (tables.kept_owner == site.owner)
    moves = jnp.where(site.carried > 0, tables.kept_output_owner == site.owner, tables.kept_output == site.tensor)
    return jnp.any(of_its_own | (_of_others(tables, kept) & moves))


def forbids_pin(tables: Tables, kept: Array, site: Site) -> Array:
    """Whether the keep rule forbids the group of a site to be pinned, bool[]."""
    return jnp.any(_of_others(tables, kept) & (tables.kept_output_owner == site.owner))


def _of_others(tables: Tables, kept: Array) -> Array:
    return kept & (tables.kept_owner != tables.kept_output_owner)
