"""Tables as JSON objects of columns, read without trust: every wrong length, type or number is one clear line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, TypeVar

from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError

MAX_ROWS = 1 << 20

T = TypeVar("T")


class Table:
    """The columns of one table.

    Args:
        value: the JSON value.
        where: where it stands; begins every message.
        keys: of its columns; the first one gives the number of rows.

    Attributes:
        where: as given.
        rows: how many.

    Raises:
        BadInputError: not an object of exactly these columns, or columns of different lengths. The methods raise it
            too, where something in a column is not what they return.
    """

    def __init__(self, value: object, where: str, keys: tuple[str, ...]) -> None:
        self.where = where
        self._columns: dict[str, list[Any]] = {}
        for key, column in checked.record(value, where, keys).items():
            if not isinstance(column, list):
                raise checked.bad(f"{where}.{key}", "a list", column)
            self._columns[key] = column
        self.rows = len(self._columns[keys[0]])
        if self.rows > MAX_ROWS:
            raise BadInputError(f"{where}: {self.rows} rows, more than {MAX_ROWS}")
        for key, column in self._columns.items():
            if len(column) != self.rows:
                raise BadInputError(f"{where}.{key}: {len(column)} rows, but {keys[0]} has {self.rows}")

    def integers(self, key: str, below: int = checked.MAX_INTEGER + 1) -> list[int]:
        """A column of integers from 0 to ``below`` - 1."""
        return self._all(key, lambda item: type(item) is int and 0 <= item < below, f"an integer from 0 to {below - 1}")

    def optional_integers(self, key: str, below: int = checked.MAX_INTEGER + 1) -> list[int | None]:
        """The same, or null."""
        return self._all(
            key,
            lambda item: item is None or (type(item) is int and 0 <= item < below),
            f"null or an integer from 0 to {below - 1}",
        )

    def numbers(self, key: str) -> list[float]:
        """A column of finite numbers, none negative, as floats."""
        return list(
            map(
                float,
                self._all(
                    key,
                    lambda item: type(item) in (int, float) and 0 <= item <= checked.MAX_INTEGER and item < inf,
                    "a number from 0 to 2^63-1",
                ),
            )
        )

    def flags(self, key: str) -> list[bool]:
        """A column of 0 and 1."""
        return [item == 1 for item in self.integers(key, 2)]

    def names(self, key: str) -> list[str]:
        """A column of names of an HLO text, no two equal."""
        found = [checked.name(item, f"{self.where}.{key}[{row}]") for row, item in enumerate(self._columns[key])]
        if len(set(found)) < len(found):
            twice = next(name for name, count in Counter(found).items() if count > 1)
            raise BadInputError(f"{self.where}.{key}: {twice[:80]!r} stands twice")
        return found

    def chosen(self, key: str, choices: Sequence[T]) -> list[T]:
        """A column of positions in ``choices``, as what stands there."""
        return [choices[item] for item in self.integers(key, len(choices))]

    def optionally_chosen(self, key: str, choices: Sequence[T]) -> list[T | None]:
        """The same, or null."""
        return [None if item is None else choices[item] for item in self.optional_integers(key, len(choices))]

    def _all(self, key: str, good: Callable[[Any], bool], expected: str) -> list[Any]:
        column = self._columns[key]
        for row, item in enumerate(column):
            if not good(item):
                raise checked.bad(f"{self.where}.{key}[{row}]", expected, item)
        return column


class Distinct:
    """Values numbered in the order in which they are first seen; ``Table.chosen`` reads them back."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int | None:
        """The number of a hashable value; None for None."""
        return None if value is None else self._numbers.setdefault(value, len(self._numbers))

    def values(self) -> list[Any]:
        """The values by their numbers."""
        return list(self._numbers)
