"""Where the placement of an instruction can differ: its sites, and placement masks over them.

The *sites* of a time are ``problem.uses_at[time]`` in order, then ``problem.definitions_at[time]`` as (tensor, -1).
A *placement mask* has bit k set where site k is fast; sites beyond the first 62 have no bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem

MAX_SITES = 62
"""Sites of one time that have a bit."""


def sites_of(problem: Problem, time: int) -> tuple[tuple[int, int], ...]:
    """The (tensor, use index or -1) of a time that have a bit, lowest bit first."""
    defined = tuple((tensor, -1) for tensor in problem.definitions_at[time])
    return (*problem.uses_at[time], *defined)[:MAX_SITES]


def plan_masks(problem: Problem, plan: Plan) -> list[int]:
    """For each time the mask of a plan."""
    fast = {*plan.fast_uses, *((tensor, -1) for tensor in plan.fast_definitions)}
    return [
        sum(1 << bit for bit, site in enumerate(sites_of(problem, time)) if site in fast)
        for time in range(len(problem.instructions))
    ]


def plan_of_masks(problem: Problem, masks: Sequence[int]) -> Plan:
    """The placements of masks, one for each time, as a plan without stays and copies."""
    fast = [
        site for time, mask in enumerate(masks) for bit, site in enumerate(sites_of(problem, time)) if mask >> bit & 1
    ]
    return Plan(
        fingerprint=problem.fingerprint,
        fast_definitions=frozenset(tensor for tensor, use in fast if use < 0),
        fast_uses=frozenset((tensor, use) for tensor, use in fast if use >= 0),
    )


def site_cycles(problem: Problem, time: int) -> NDArray[np.float64]:
    """(S,) cycles that HBM takes for the bytes that the instruction accesses at each of its sites."""
    tensors = problem.tensors
    accessed = [
        tensors[tensor].defined_bytes if use < 0 else tensors[tensor].uses[use].accessed_bytes
        for tensor, use in sites_of(problem, time)
    ]
    return np.array(accessed, dtype=np.float64) / (problem.target.hbm_bandwidth * problem.target.min_seconds)
