"""What the user says of a program: how long its kernels and collectives take, and how often its loops run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mallocgame.problem.counted import bytes_at, renewed
from mallocgame.problem.schema import Instruction, Problem
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError

ALL_LOOPS = ""
"""In the place of a loop's name: every loop whose trip count the program does not tell."""

MAX_TRIPS = 10**9
SHOWN = 8
"""Names in a message."""

T = TypeVar("T")
Trips = int | Mapping[str, int]
"""How often loops run: by name, or one number for all that nobody knows of."""

_NUMBER = re.compile(r"\.\d+$")


@dataclass(frozen=True)
class Given:
    """What the user says; it goes before everything else that is known.

    Attributes:
        kernels: seconds that a kernel or collective takes, by name of its instruction, or by what is before its number:
            then of all of this name.
        trips: how often a while loop runs, named likewise; ``ALL_LOOPS`` for those that nobody knows of.
    """

    kernels: Mapping[str, float] = field(default_factory=dict)
    trips: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.kernels or self.trips)

    def recorded(self) -> dict[str, str]:
        """What is said, as options that a plan file keeps; ``recorded_in`` reads them."""
        said = {"kernels": self.kernels, "trips": self.trips}
        return {what: json.dumps(dict(by_name)) for what, by_name in said.items() if by_name}

    def applied_to(self, problem: Problem) -> Problem:
        """The problem where that holds; what it has no kernel or loop for is passed over.

        A kernel or collective reads and writes the whole of what it accesses at least once.
        """
        new = self._with_trips(self._with_seconds(problem))
        return problem if new is problem else replace(new, notes=renewed(new))

    def check(self, problem: Problem) -> None:
        """Refuse what is no time or number, or of no kernel, collective or loop of the problem.

        Raises:
            BadInputError: one is.
        """
        kernels = [problem.instructions[time].name for time, _ in problem.kernels]
        for name, seconds in self.kernels.items():
            if not (math.isfinite(seconds) and seconds > 0):
                raise BadInputError(f"the seconds of kernel {name} have to be a positive number, not {seconds!r}")
            _check_name("kernel or collective", name, kernels)
        loops = [problem.instructions[time].name for time in _loops(problem)]
        for name, trips in self.trips.items():
            if not 0 <= trips <= MAX_TRIPS:
                raise BadInputError(f"the trips of {name or 'loops'} have to be from 0 to {MAX_TRIPS}, not {trips}")
            if name != ALL_LOOPS:
                _check_name("loop", name, loops)

    def _with_seconds(self, problem: Problem) -> Problem:
        found = {time: _said(problem.instructions[time].name, self.kernels) for time, _ in problem.kernels}
        given = {time: value for time, value in found.items() if value is not None}
        if not given:
            return problem
        return replace(
            problem,
            instructions=tuple(
                _lasting(problem, time, step, given[time]) if time in given else step
                for time, step in enumerate(problem.instructions)
            ),
            kernels=tuple((time, "user" if time in given else source) for time, source in problem.kernels),
        )

    def _with_trips(self, problem: Problem) -> Problem:
        unknown = {time for time, _ in problem.loops}
        given = {}
        for time in _loops(problem):
            trips = _said(problem.instructions[time].name, self.trips)
            if trips is None and time in unknown:
                trips = self.trips.get(ALL_LOOPS)
            if trips is not None:
                given[time] = trips
        if not given:
            return problem
        sources = dict(problem.loops) | dict.fromkeys(given, "user")
        return replace(
            problem,
            computations=tuple(
                replace(computation, trips=given.get(computation.caller, computation.trips))
                if computation.caller is not None
                else computation
                for computation in problem.computations
            ),
            loops=tuple(sorted(sources.items())),
        )


def given_of(kernels: Mapping[str, float] | None, trips: Trips | None) -> Given:
    """What is said by the arguments of the API."""
    return Given(kernels or {}, {ALL_LOOPS: trips} if isinstance(trips, int) else trips or {})


def recorded_in(options: Mapping[str, object], source: str) -> Given:
    """What the recorded options of a plan say that the user said.

    Raises:
        BadInputError: they are damaged; ``source`` begins the message.
    """
    kernels, trips = (
        checked.mapping(decode)(_json(options[what]), f"{source}: options.{what}") if what in options else {}
        for what, decode in (("kernels", checked.non_negative), ("trips", checked.natural))
    )
    return Given(kernels, {name: int(count) for name, count in trips.items()})


def _json(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _loops(problem: Problem) -> list[int]:
    """Times of the while loops."""
    bodies = (computation for computation in problem.computations if computation.kind == "body")
    return sorted(computation.caller for computation in bodies if computation.caller is not None)


def _check_name(what: str, name: str, names: list[str]) -> None:
    if not any(name in (own, _NUMBER.sub("", own)) for own in names):
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        there = f"it has {', '.join(names[:SHOWN])}{more}" if names else "it has none"
        raise BadInputError(f"the program has no {what} {name}: {there}")


def _said(name: str, by_name: Mapping[str, T]) -> T | None:
    return by_name.get(name, by_name.get(_NUMBER.sub("", name)))


def _lasting(problem: Problem, time: int, step: Instruction, seconds: float) -> Instruction:
    total = max(step.total_bytes, bytes_at(problem, time))
    return replace(step, compute_seconds=seconds, total_bytes=total, cycles=None, link_seconds=0.0)
