"""A model cut into windows of time, each of which is solved with its choices whole.

Every row belongs to one window. A variable in rows of several windows is there once in each, and each copy has a part
of its cost; nothing makes the copies agree. So a sum of lower bounds of the windows is one of the model, however the
costs are parted (Lagrangian decomposition by variable splitting: M. Guignard and S. Kim, Mathematical Programming 39,
1987, 215-228). Parted by multipliers of the rows, the linear relaxations of the windows add up to what the multipliers
prove of the model; whole choices add to that. Two neighbours may become one window: its bound is at least their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic

from mallocgame.solvers.exact.certificate import ROUNDING, certified
from mallocgame.solvers.exact.highs import ask_highs
from mallocgame.solvers.exact.model import Linear, Model, Row

LENGTH = 64
"""Instructions of a window at first."""

SHARE, FAIR = 0.25, 4.0
"""A window has so much of the time that is left, and no more than so many times what each to come would have."""

GAP = 1e-3
"""Units, of a thousand for the whole program, within which a window is solved."""


@dataclass
class Window:
    """A part of a model.

    Attributes:
        rows: its rows, as indices.
        cost: of each variable of these rows, this window's part, in units.
        least: what the multipliers prove of it, in units.
        bound: what is proven of it, in units.
    """

    rows: list[int]
    cost: dict[int, float]
    least: float = 0.0
    bound: float = 0.0

    @property
    def gain(self) -> float:
        """What whole choices add, in units."""
        return self.bound - self.least


class Windows:
    """All windows of a model, in order of time.

    Args:
        model: to be cut, at equal times.
        duals: multipliers of its rows; negative ones count as 0.

    Attributes:
        rest: units that belong to no window.
        parts: the windows.
    """

    def __init__(self, model: Model, duals: Sequence[float]) -> None:
        self.model = model
        end = 1 + max((row.time for row in model.rows), default=0)
        count = max(1, round(end / LENGTH))
        self.parts = [Window([], {}) for _ in range(count)]
        for number, row in enumerate(model.rows):
            self.parts[row.time * count // end].rows.append(number)
        self.rest = model.objective.constant
        self._part_costs(duals)
        for part in self.parts:
            part.least = part.bound = certified(self._model_of(part), [duals[number] for number in part.rows])

    @property
    def bound(self) -> float:
        """Of the model, in units."""
        return self.rest + sum(part.bound for part in self.parts)

    def raise_bound(self, deadline: float, options: dict[str, float | int | str]) -> None:
        """Solve each window, then pairs of neighbours as one, and so on, those first where whole choices matter most.

        Args:
            deadline: `monotonic` time.
            options: of HiGHS.
        """
        self._solve_all(self.parts, deadline, options)
        while len(self.parts) > 1 and monotonic() < deadline:
            pairs = [self.parts[number : number + 2] for number in range(0, len(self.parts), 2)]
            self.parts = [_together(pair) for pair in pairs]
            new = [part for part, pair in zip(self.parts, pairs, strict=True) if len(pair) > 1]
            self._solve_all(sorted(new, key=lambda part: -part.gain), deadline, options)

    def _solve_all(self, parts: Sequence[Window], deadline: float, options: dict[str, float | int | str]) -> None:
        for number, part in enumerate(parts):
            left = deadline - monotonic()
            if left <= 0.0:
                return
            limit = left * (1.0 if len(self.parts) == 1 else min(SHARE, FAIR / (len(parts) - number)))
            answer = ask_highs(self._model_of(part), limit, {**options, "mip_rel_gap": 0.0, "mip_abs_gap": GAP})
            if answer is not None and answer["bound"] not in (inf, -inf):
                part.bound = max(part.bound, answer["bound"] - ROUNDING * (1.0 + abs(answer["bound"])))

    def _part_costs(self, duals: Sequence[float]) -> None:
        """Each window pays for its rows by the multipliers; what is left of a variable's cost they share."""
        left = dict(self.model.objective.terms)
        holders: dict[int, int] = {}
        for part in self.parts:
            for number in part.rows:
                multiplier = max(0.0, duals[number])
                for variable, value in self.model.rows[number].terms.items():
                    part.cost[variable] = part.cost.get(variable, 0.0) + multiplier * value
                    left[variable] = left.get(variable, 0.0) - multiplier * value
            for variable in part.cost:
                holders[variable] = holders.get(variable, 0) + 1
        for part in self.parts:
            for variable in part.cost:
                part.cost[variable] += left.get(variable, 0.0) / holders[variable]
        for variable in left.keys() - holders.keys():
            self.rest += min(left[variable] * end for end in (self.model.lower[variable], self.model.upper[variable]))

    def _model_of(self, part: Window) -> Model:
        """The window as a model of its own."""
        found = Model(self.model.unit)
        place = {}
        for variable in part.cost:
            place[variable] = len(found.lower)
            found.lower.append(self.model.lower[variable])
            found.upper.append(self.model.upper[variable])
            found.boolean.append(self.model.boolean[variable])
        found.objective = Linear({place[variable]: value for variable, value in part.cost.items()})
        for number in part.rows:
            row = self.model.rows[number]
            found.rows.append(Row({place[variable]: value for variable, value in row.terms.items()}, row.low, row.time))
        return found


def _together(parts: Sequence[Window]) -> Window:
    found = Window([], {})
    for part in parts:
        found.rows += part.rows
        for variable, value in part.cost.items():
            found.cost[variable] = found.cost.get(variable, 0.0) + value
        found.least += part.least
        found.bound += part.bound
    return found
