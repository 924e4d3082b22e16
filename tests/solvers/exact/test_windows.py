"""Bounds of windows of time add up to one of the whole, which solving them raises, but never above the optimum."""

from __future__ import annotations

from itertools import product
from time import monotonic

import pytest

from mallocgame.solvers.exact.certificate import certified
from mallocgame.solvers.exact.model import Linear, Model, total
from mallocgame.solvers.exact.relaxation import relax
from mallocgame.solvers.exact.windows import LENGTH, Windows
from workloads.generator import random_problem, varied_recipe


def _two_windows() -> Model:
    """Minimise x + y + z where 2x + z >= 1 early and 3y + 2z >= 2 late, all 0 or 1."""
    model = Model(1.0)
    x, y, z = model.choice(), model.choice(), model.choice()
    model.at_least(x * 2.0 + z, 1.0)
    model.now = 2 * LENGTH - 1
    model.at_least(y * 3.0 + z * 2.0, 2.0)
    model.objective = total((x, y, z, 5.0))
    return model


def _optimum(model: Model) -> float:
    values = map(list, product((0.0, 1.0), repeat=3))
    allowed = (value for value in values if all(Linear(row.terms).value(value) >= row.low for row in model.rows))
    return min(model.objective.value(value) for value in allowed)


def test_windows_by_hand() -> None:
    """z alone does for both rows: 6. The multipliers 0.25, 0.25 prove 5 + 0.25 + 0.5, and 0.25 of z's cost is left."""
    model = _two_windows()
    windows = Windows(model, [0.25, 0.25])
    assert len(windows.parts) == 2
    assert windows.bound == pytest.approx(certified(model, [0.25, 0.25]), rel=1e-7)
    assert windows.bound == pytest.approx(5.75, rel=1e-7)
    windows.raise_bound(monotonic() + 20.0, {})
    assert len(windows.parts) == 1, "neighbours are solved as one at last"
    assert windows.bound == pytest.approx(_optimum(model), rel=1e-5)
    assert windows.bound <= 6.0


@pytest.mark.parametrize("duals", [[0.0, 0.0], [0.5, 0.1], [-1.0, 3.0]])
def test_any_multipliers_will_do(duals: list[float]) -> None:
    model = _two_windows()
    windows = Windows(model, duals)
    assert windows.bound == pytest.approx(certified(model, duals), rel=1e-7)
    windows.raise_bound(monotonic() + 20.0, {})
    assert windows.bound <= _optimum(model)


@pytest.mark.parametrize("seed", range(3))
def test_windows_of_a_problem_add_up(seed: int) -> None:
    """For some multipliers, those of HiGHS or not: what they prove of the windows is what they prove of the whole."""
    model = relax(random_problem(seed, varied_recipe(seed, largest=400)))
    duals = [0.001 * (number % 7) for number in range(len(model.rows))]
    whole = certified(model, duals)
    assert Windows(model, duals).bound == pytest.approx(whole, rel=1e-6, abs=1e-6)
