"""The plan of a finished or partial episode, on the host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mallocgame.game.program import Program
from mallocgame.game.rules import Move
from mallocgame.plan.plan import Copy, Plan, Stay
from muzero.environment.state import State
from muzero.environment.tables import NEVER, SERVING, Site, Tables, site_at


def plan_of(program: Program, tables: Tables, state: State) -> Plan:
    """The plan so far, the same as ``Game.plan``'s; what is undecided is in HBM."""
    return _Reader(program, tables, state).read()


@dataclass
class _Found:
    definitions: set[int] = field(default_factory=set)
    uses: set[tuple[int, int]] = field(default_factory=set)
    stays: list[Stay] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)


class _Reader:
    def __init__(self, program: Program, tables: Tables, state: State) -> None:
        self.program, self.tables = program, tables
        self.moves = [int(move) for move in np.asarray(state.moves)[: int(state.at)]]
        number = int(state.stays.number)
        columns = (state.stays.owner, state.stays.start, state.stays.end, state.stays.low)
        rows = zip(*(np.asarray(column)[:number].tolist() for column in columns), strict=True)
        self.by_owner: dict[int, list[tuple[int, int, int]]] = {}
        for owner, *stay in sorted(rows):
            self.by_owner.setdefault(owner, []).append((stay[0], stay[1], stay[2]))
        self.copied: dict[int, Iterator[tuple[int, int, int]]] = {}
        self.found = _Found()

    def read(self) -> Plan:
        """Go through the answers."""
        for number, move in enumerate(self.moves):
            if move not in (Move.COPY.value, Move.NO_COPY.value):
                continue
            site = site_at(self.tables, np.int32(number))  # type: ignore[arg-type]
            pinned = site.pin_site != NEVER and self.moves[site.pin_site] == Move.NO_COPY.value
            if pinned:
                self._pinned(site, number)
            elif site.kind == SERVING:
                self._served(site, number, move == Move.COPY.value)
        found = self.found
        return Plan(
            fingerprint=self.program.problem.fingerprint,
            fast_definitions=frozenset(found.definitions),
            fast_uses=frozenset(found.uses),
            stays=tuple(sorted(found.stays)),
            copies=tuple(sorted(found.copies, key=lambda copy: (copy.after, copy.tensor))),
        )

    def _pinned(self, site: Site, number: int) -> None:
        question = self.program.sites[number]
        if question.use < 0:
            self._define(question.tensor, self.by_owner[int(site.owner)][0][2])
        else:
            self.found.uses.add((question.tensor, question.use))

    def _define(self, tensor: int, offset: int) -> None:
        self.found.definitions.add(tensor)
        self.found.stays.append(Stay(tensor, *self.program.lasting(tensor), offset))
        eviction = self.program.eviction_of(self.program.problem.tensors[tensor].group)
        if eviction is not None and eviction.tensor == tensor:
            self.found.copies.append(Copy(tensor, "eviction", eviction.after, eviction.before))

    def _served(self, site: Site, number: int, copies: bool) -> None:
        program, tensor, owner = self.program, self.program.sites[number].tensor, int(site.owner)
        index = int(site.number)
        servings = program.servings[tensor]
        serving, first = servings[index], servings[index].first
        if copies:
            start, _, offset = next(self.copied.setdefault(owner, iter(self.by_owner[owner])))
            self.found.copies.append(Copy(tensor, "prefetch", start - 1, serving.before))
            self.found.stays.append(Stay(tensor, start, serving.before, offset))
        else:
            first = servings[index - 1].last + 1
            stay = next(stay for stay in reversed(self.found.stays) if stay.tensor == tensor)
            self.found.stays.remove(stay)
            offset = stay.offset
            self.found.stays.append(Stay(tensor, stay.start, serving.before, offset))
        self.found.uses |= {(tensor, use) for use in range(first, serving.last + 1)}
        for id in program.carried(tensor, index):
            self._define(id, offset)
            self.found.uses |= {(id, use) for use in program.read_fast(id)}
