"""Where what a value holds comes from and what computes with it, through all that only moves data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from mallocgame.report.memory.graph import Graph, Made, Place, Reader, dims_of
from mallocgame.report.memory.moves import is_collective, is_gather
from mallocgame.report.memory.passes import Pass, pass_of

_SUMS_DEEP = 8
"""How many additions of additions are looked through."""


class Origin(NamedTuple):
    """Where data comes from.

    Attributes:
        kind: an argument of the program, a collective, or an instruction that makes it.
        argument: number of the parameter.
        part: what the instruction is of; None where it has no name.
    """

    kind: Literal["argument", "collective", "made"]
    argument: int | None = None
    part: Pass | None = None


class Use(NamedTuple):
    """An instruction that computes with data.

    Attributes:
        time: of it, or of the fusion that it is in.
        part: what it is of; None where it has no name.
        dims: of its result.
    """

    time: int
    part: Pass | None
    dims: tuple[int, ...]


class Flow:
    """Ways through a module's data flow.

    A value *is moved* by an instruction whose result has nothing but its elements: copies, slices, transposes, type
    conversions, updates of a part.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def origins(self, number: int) -> frozenset[Origin]:
        """Where a value's data comes from; constants and what is filled with one are left out."""
        return frozenset(self._origins([number], 0, frozenset()))

    def uses(self, number: int) -> Iterator[Use]:
        """What computes with a value, or with what it is moved or gathered to.

        Of a fusion all of it that the value has a part in: XLA puts what the forward pass made into fusions of the
        backward pass again, where that is quicker than to keep it.
        """
        for found in self._followed(number, _through_moves):
            if isinstance(found, Reader) and not _hands_on(found):
                yield Use(found.time, pass_of(found.name), dims_of(found.step))

    def passes(self, number: int) -> frozenset[Pass | None]:
        """What all that computes with a value is of.

        None for what has no name, as XLA's simplifications have none; but in a fusion with others they are nothing.
        """
        parts: dict[int, set[Pass | None]] = {}
        for use in self.uses(number):
            parts.setdefault(use.time, set()).add(use.part)
        return frozenset(part for found in parts.values() for part in (found - {None} or found))

    def is_for_a_pass(self, number: int) -> bool:
        """Whether a pass reads what is computed from a value, in the same round of the loops around it."""

        def in_this_round(found: Reader | Place, computed: bool) -> list[tuple[Place, bool]]:
            if isinstance(found, Reader):
                return [(one, computed or found.carried is None) for one in found.results]
            return [] if computed and self.graph.is_carried(found) else [(found, computed)]

        readers = self._followed(number, in_this_round)
        return any(isinstance(one, Reader) and pass_of(one.name) not in (None, "outside") for one in readers)

    def _followed(
        self, number: int, onward: Callable[[Reader | Place, bool], list[tuple[Place, bool]]]
    ) -> Iterator[Reader | Place]:
        """What reads a value, and what it goes on to; each place once.

        Args:
            number: of the value.
            onward: where one of these leads, and whether it is something computed there; told whether it is already.
        """
        pending: list[tuple[Place, bool]] = [(number, False)]
        seen = set(pending)
        while pending:
            place, computed = pending.pop()
            for found in self.graph.readers(place):
                yield found
                new = [one for one in onward(found, computed) if one not in seen]
                seen.update(new)
                pending += new

    def arguments(self, number: int) -> frozenset[int]:
        """Arguments that a value is computed from, element by element, by what is outside of both passes."""
        pending: list[Place] = [number]
        seen = set(pending)
        found = set()
        while pending:
            place = pending.pop()
            made = self.graph.made(place)
            if made.argument is not None:
                found.add(made.argument)
            if made.carried is None and pass_of(made.name) != "outside":
                continue
            for operand, places in enumerate(made.given):
                if made.carried is not None and operand not in made.carried:
                    continue
                same = self.graph.dims(place)
                new = [
                    one
                    for one in places
                    if one not in seen and (made.carried is not None or self.graph.dims(one) == same)
                ]
                seen.update(new)
                pending += new
        return frozenset(found)

    def _origins(self, start: list[Place], depth: int, around: frozenset[Place]) -> set[Origin]:
        found: set[Origin] = set()
        pending, seen = list(start), {*start, *around}
        while pending:
            made = self.graph.made(pending.pop())
            if made.carried is None:
                found.add(self._origin(made, depth, frozenset(seen)))
                continue
            new = {place for operand in made.carried for place in _at(made, operand)} - seen
            seen |= new
            pending += new
        return found

    def _origin(self, made: Made, depth: int, seen: frozenset[Place]) -> Origin:
        if made.argument is not None:
            return Origin("argument", made.argument)
        if is_collective(made.step):
            return Origin("collective")
        part = pass_of(made.name)
        if made.step.opcode == "add" and part == "outside" and depth < _SUMS_DEEP:
            parts = self._origins([place for places in made.given for place in places], depth + 1, seen)
            if parts and all(one.part == "backward" for one in parts):
                return Origin("made", part="backward")
        return Origin("made", part=part)


def _hands_on(reader: Reader) -> bool:
    """Whether what it gives has nothing but elements of what it reads: moved or gathered."""
    return is_gather(reader.step) or not (reader.carried or frozenset()).isdisjoint(reader.operands)


def _through_moves(found: Reader | Place, computed: bool) -> list[tuple[Place, bool]]:
    """Where a value is handed on to; inside of a fusion also what is computed with it."""
    if not isinstance(found, Reader):
        on = [(found, computed)]
    else:
        on = [(one, computed or not _hands_on(found)) for one in found.results]
    return [one for one in on if not (one[1] and isinstance(one[0], int))]


def _at(made: Made, operand: int) -> tuple[Place, ...]:
    return tuple(made.given[operand]) if operand < len(made.given) else ()
