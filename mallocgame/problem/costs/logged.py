"""Costs as the compile log prints them, with the exact integers behind its 6-digit figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from mallocgame.problem.costs.cost import Cost
from xla_dump_parser.compile_log import LoggedCost

Place = TypeVar("Place")


def logged_cost(logged: LoggedCost, analytic: Cost) -> Cost:
    """One instruction's logged cost.

    A figure that rounds to the printed one replaces it: the analytic seconds, the analytic bytes of an operand or
    output, and for the total the sum of the parts; else a rounder number may. What the log does not print is analytic.
    """
    operands = _snapped(logged.operand_bytes, analytic.operand_bytes)
    outputs = _snapped(logged.output_bytes, analytic.output_bytes)
    total = analytic.total_bytes
    if logged.total_bytes is not None:
        total = logged.total_bytes
        parts = sum(operands.values()) + sum(outputs.values())
        candidates = (parts, analytic.total_bytes)
        total = next((exact for exact in candidates if prints_as(exact, total)), roundest(total))
    compute = analytic.compute_seconds
    if logged.compute_seconds is not None and not prints_as(compute, logged.compute_seconds):
        compute = logged.compute_seconds
    return Cost(compute, max(total, 0.0), operands, outputs)


def prints_as(exact: float, printed: float) -> bool:
    """Whether ``exact``, written with 6 significant digits, is ``printed``."""
    return f"{exact:.6g}" == f"{printed:.6g}"


def _snapped(logged: Mapping[Place, float], analytic: Mapping[Place, float]) -> dict[Place, float]:
    found = dict(analytic)
    for place, printed in logged.items():
        if place not in analytic or not prints_as(analytic[place], printed):
            found[place] = max(roundest(printed), 0.0)
    return found


def roundest(printed: float) -> float:
    """The number of bytes with the most factors of 2 that prints as ``printed``; that itself where all digits show.

    Sizes are whole tiles, multiples of 512 bytes and mostly of more, while 6 digits leave a gap that a multiple of so
    large a power of two falls into by chance rarely.
    """
    if printed < 1e6:
        return printed
    gap = 10.0 ** (math.floor(math.log10(printed)) - 5)
    power = 2.0 ** math.floor(math.log2(printed))
    while power >= 2 * gap:
        nearest = round(printed / power) * power
        if prints_as(nearest, printed):
            return nearest
        power /= 2
    return printed
