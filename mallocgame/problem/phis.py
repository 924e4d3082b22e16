"""Phis that are no choice: those that can only be one value (as OpenXLA's PhiGraph removes them)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def resolve_phis(inputs: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """For each phi that can be one value only, that value; the other phis are left out.

    Args:
        inputs: for each phi, the values or phis that it may be.

    A strongly connected set of phis with one value coming in from outside is that value. In a set with more, the phis
    without a direct input from outside form sets of their own (after "Simple and Efficient Construction of Static
    Single Assignment Form", Braun et al. 2013, section 3.2).
    """
    same: dict[int, int] = {}

    def final(value: int) -> int:
        while value in same:
            value = same[value]
        return value

    pending = list(reversed(_components(inputs, inputs.keys())))
    while pending:
        component = pending.pop()
        members = set(component)
        outside: set[int] = set()
        inner: list[int] = []
        for phi in component:
            found = {final(value) for value in inputs[phi]} - members
            if not found:
                inner.append(phi)
            outside |= found
        if len(outside) == 1:
            same.update(dict.fromkeys(component, outside.pop()))
        elif inner and outside:
            pending.extend(reversed(_components(inputs, set(inner))))
    return {phi: final(phi) for phi in same}


def _components(inputs: Mapping[int, Sequence[int]], phis: Collection[int]) -> list[list[int]]:
    """Strongly connected components among ``phis``, a component after those that it takes inputs from (Tarjan)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    open_phis: list[int] = []
    is_open: set[int] = set()
    found: list[list[int]] = []
    for start in phis:
        if start in order:
            continue
        path = [(start, iter(inputs[start]))]
        order[start] = low[start] = len(order)
        open_phis.append(start)
        is_open.add(start)
        while path:
            phi, rest = path[-1]
            for value in rest:
                if value not in phis:
                    continue
                if value not in order:
                    order[value] = low[value] = len(order)
                    open_phis.append(value)
                    is_open.add(value)
                    path.append((value, iter(inputs[value])))
                    break
                if value in is_open:
                    low[phi] = min(low[phi], order[value])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[phi])
                if low[phi] == order[phi]:
                    cut = open_phis.index(phi) if open_phis[-1] != phi else len(open_phis) - 1
                    found.append(open_phis[cut:])
                    is_open.difference_update(open_phis[cut:])
                    del open_phis[cut:]
    return found
