"""A mixed boolean linear model as plain data, for whichever solver is there.

Times are in units of the model (``Model.unit`` seconds each), so that solvers with absolute tolerances see the same
numbers for every program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear expression: the sum of coefficient x variable, and a constant."""

    terms: Mapping[int, float] = field(default_factory=dict)
    constant: float = 0.0

    def __add__(self, other: Linear | float) -> Linear:
        """The sum."""
        return total((self, other))

    def __sub__(self, other: Linear | float) -> Linear:
        """The difference."""
        return total((self, other * -1.0))

    def __mul__(self, factor: float) -> Linear:
        """This expression times a number."""
        return Linear({variable: factor * value for variable, value in self.terms.items()}, factor * self.constant)

    def value(self, values: Mapping[int, float] | list[float]) -> float:
        """What it is where the variables have these values."""
        return self.constant + sum(coefficient * values[variable] for variable, coefficient in self.terms.items())


ZERO = Linear()
ONE = Linear({}, 1.0)


def total(parts: Iterable[Linear | float]) -> Linear:
    """The sum of expressions and numbers; terms that cancel are left out."""
    terms: dict[int, float] = {}
    constant = 0.0
    for part in parts:
        if not isinstance(part, Linear):
            constant += part
            continue
        constant += part.constant
        for variable, coefficient in part.terms.items():
            terms[variable] = terms.get(variable, 0.0) + coefficient
    return Linear({variable: value for variable, value in terms.items() if value}, constant)


@dataclass(frozen=True, slots=True)
class Row:
    """``low <= sum of coefficient x variable``; ``time`` is what ``Model.now`` was."""

    terms: Mapping[int, float]
    low: float
    time: int = 0


class Model:
    """Variables with bounds, rows, and an objective to be made small.

    Args:
        unit: seconds that 1.0 stands for in times.

    Attributes:
        lower, upper: bounds of each variable; all are finite.
        boolean: whether each variable is 0 or 1; the others are times, in units.
        rows: all have to hold.
        objective: in units.
        now: time in the program that the rows to come are about, for `windows`.
    """

    def __init__(self, unit: float) -> None:
        self.unit = unit
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.boolean: list[bool] = []
        self.rows: list[Row] = []
        self.objective = ZERO
        self.now = 0

    def choice(self) -> Linear:
        """A new variable that is 0 or 1."""
        return self._variable(0.0, 1.0, True)

    def time(self, low: float, high: float) -> Linear:
        """A new variable between two times, in units; the constant where there is nothing between them."""
        return self._variable(low, high, False) if low < high else Linear({}, low)

    def _variable(self, low: float, high: float, boolean: bool) -> Linear:
        self.lower.append(low)
        self.upper.append(high)
        self.boolean.append(boolean)
        return Linear({len(self.lower) - 1: 1.0})

    def at_least(self, larger: Linear | float, smaller: Linear | float) -> None:
        """Ask for ``larger >= smaller``; a row that always holds is left out."""
        difference = total((larger, smaller * -1.0))
        if self.bounds(difference)[0] < 0.0:
            self.rows.append(Row(difference.terms, -difference.constant, self.now))

    def equal(self, one: Linear, other: Linear | float) -> None:
        """Ask for ``one == other``."""
        self.at_least(one, other)
        self.at_least(other, one)

    def bounds(self, expression: Linear) -> tuple[float, float]:
        """The least and the greatest value that the variables' bounds allow."""
        low = high = expression.constant
        for variable, coefficient in expression.terms.items():
            ends = coefficient * self.lower[variable], coefficient * self.upper[variable]
            low, high = low + min(ends), high + max(ends)
        return low, high
