"""Which tensor of one program is which of another: of one that another compiler made, or that was changed.

The numbers in names say nothing, so neighbourhoods are compared: what defines a tensor and what reads it, as which
operand, what else these read, and so on, outwards. The widest neighbourhoods are matched first, then narrower ones, and
from each match on what is beside it. What is alike is matched in the order of the schedule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mallocgame.plan.named_plan import NamedTensor, NamedUse, stem_of

T = TypeVar("T")

RADIUS = 6
"""Of the widest neighbourhood: so many steps outwards, each to the instructions beside a tensor."""

VIEWS = ((True, True), (False, True), (True, False))
"""Whether names, but for their numbers, and sizes have to agree; in this order."""


@dataclass(frozen=True, slots=True)
class Match:
    """What of one program is found again in another.

    Attributes:
        tensors: ids of the other by ids of the one.
        instructions: likewise names.
    """

    tensors: dict[int, int]
    instructions: dict[str, str]


def match(old: Sequence[NamedTensor], new: Sequence[NamedTensor]) -> Match:
    """Find the tensors of a program in another one, and the instructions that define and read them.

    Args:
        old: every tensor of a program, each at the position that is its id, in the order of the schedule.
        new: of the other one, likewise.
    """
    matching = _Matching(_Program(old), _Program(new))
    for names, sizes in VIEWS:
        matching.match(names, sizes)
    matching.match_readers()
    return Match(matching.tensors, matching.instructions)


class _Program:
    """The tensors of a program, and by instruction which of them it defines and reads.

    ``names`` and ``sizes`` say what of it is looked at.
    """

    def __init__(self, tensors: Sequence[NamedTensor]) -> None:
        self.tensors = tensors
        self.names = self.sizes = True
        self.defined: dict[str, list[NamedTensor]] = defaultdict(list)
        self.read: dict[str, list[tuple[NamedUse, NamedTensor]]] = defaultdict(list)
        for tensor in tensors:
            self.defined[tensor.instruction].append(tensor)
            for use in tensor.uses:
                self.read[use.instruction].append((use, tensor))
        self.instructions = list(dict.fromkeys([*self.defined, *self.read]))

    def kind(self, instruction: str) -> str:
        """What is looked at of an instruction itself."""
        return stem_of(instruction) if self.names else ""

    def shape(self, tensor: NamedTensor) -> tuple[object, ...]:
        """What is looked at of a tensor itself."""
        return (tensor.index, tensor.size if self.sizes else None)

    def neighbourhoods(self, numbers: dict[object, int]) -> Iterator[list[int]]:
        """For each radius from 1 on, or 0, a number for each tensor; ``numbers`` keeps those of all neighbourhoods.

        Without steps outwards a tensor is known by its size and the name of what makes it, e.g. a parameter's.
        """

        def number(*parts: object) -> int:
            return numbers.setdefault(parts, len(numbers))

        of_tensors = [number(self.shape(tensor)) for tensor in self.tensors]
        of_instructions = {name: number(self.kind(name)) for name in self.instructions}
        if self.names and self.sizes:
            yield [number(self.shape(tensor), self.kind(tensor.instruction)) for tensor in self.tensors]
        for _ in range(RADIUS):
            of_tensors = [
                number(
                    of_tensors[tensor.id],
                    of_instructions[tensor.instruction],
                    *sorted((use.operands, of_instructions[use.instruction]) for use in tensor.uses),
                )
                for tensor in self.tensors
            ]
            yield of_tensors
            of_instructions = {
                name: number(
                    of_instructions[name],
                    *sorted(of_tensors[tensor.id] for tensor in self.defined.get(name, ())),
                    *sorted((use.operands, of_tensors[tensor.id]) for use, tensor in self.read.get(name, ())),
                )
                for name in self.instructions
            }

    def readers(self, tensor: NamedTensor) -> dict[object, list[str]]:
        """The instructions that read a tensor, by the way in which they do."""
        found: dict[object, list[str]] = defaultdict(list)
        for use in tensor.uses:
            found[use.operands, self.kind(use.instruction)].append(use.instruction)
        return found

    def around(self, instruction: str) -> dict[object, NamedTensor]:
        """The tensors that an instruction defines and reads, by their place there and what is looked at of them."""
        found: dict[object, NamedTensor] = {self.shape(tensor): tensor for tensor in self.defined.get(instruction, ())}
        for use, tensor in self.read.get(instruction, ()):
            found[use.operands, tensor.size if self.sizes else self.kind(tensor.instruction)] = tensor
        return found


class _Pairs(dict[T, T]):
    """Matched one to one."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[T] = set()

    def add(self, ours: T, theirs: T) -> bool:
        """Match two; False, and no change, if one of them is matched."""
        if ours in self or theirs in self.taken:
            return False
        self[ours] = theirs
        self.taken.add(theirs)
        return True


class _Matching:
    def __init__(self, old: _Program, new: _Program) -> None:
        self.old, self.new = old, new
        self.tensors: _Pairs[int] = _Pairs()
        self.instructions: _Pairs[str] = _Pairs()

    def match(self, names: bool, sizes: bool) -> None:
        """Match what agrees, wide neighbourhoods first."""
        for program in (self.old, self.new):
            program.names, program.sizes = names, sizes
        numbers: dict[object, int] = {}
        levels = list(zip(self.old.neighbourhoods(numbers), self.new.neighbourhoods(numbers), strict=True))
        for pair in list(self.tensors.items()):
            self._spread(self._beside(*pair))
        for of_old, of_new in reversed(levels):
            self._match_alike(of_old, of_new)

    def _match_alike(self, of_old: list[int], of_new: list[int]) -> None:
        """Match the tensors of neighbourhoods that are as often in both programs, the rarest first."""
        alike: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for id, number in enumerate(of_old):
            if id not in self.tensors:
                alike[number][0].append(id)
        for id, number in enumerate(of_new):
            if id not in self.tensors.taken:
                alike[number][1].append(id)
        for ours, theirs in sorted(alike.values(), key=lambda ids: len(ids[0])):
            if len(ours) == len(theirs):
                left = (
                    (id for id in ours if id not in self.tensors),
                    (id for id in theirs if id not in self.tensors.taken),
                )
                for pair in zip(*left, strict=False):
                    self._spread([pair])

    def _spread(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Match tensors, and from them on what is beside them."""
        waiting = list(pairs)
        while waiting:
            pair = waiting.pop()
            if self.tensors.add(*pair):
                waiting += self._beside(*pair)

    def _beside(self, id: int, other: int) -> Iterator[tuple[int, int]]:
        """Match the instructions around two tensors that are matched; gives the tensors around these."""
        yield from self._match_instructions(self.old.tensors[id].instruction, self.new.tensors[other].instruction)
        for ours, theirs in self._readers(id, other):
            if len(ours) == len(theirs) == 1:
                yield from self._match_instructions(ours[0], theirs[0])

    def _readers(self, id: int, other: int) -> Iterator[tuple[list[str], list[str]]]:
        """What reads two tensors in the same way, and is not matched."""
        readers = self.new.readers(self.new.tensors[other])
        for way, names in self.old.readers(self.old.tensors[id]).items():
            yield (
                [name for name in names if name not in self.instructions],
                [name for name in readers.get(way, ()) if name not in self.instructions.taken],
            )

    def _match_instructions(self, ours: str, theirs: str) -> Iterator[tuple[int, int]]:
        """Match two instructions that agree; gives the tensors around them."""
        if self.old.kind(ours) == self.new.kind(theirs) and self.instructions.add(ours, theirs):
            around = self.new.around(theirs)
            for place, tensor in self.old.around(ours).items():
                if place in around:
                    yield tensor.id, around[place].id

    def match_readers(self) -> None:
        """Match, in the order of the schedule, as many instructions as read a matched tensor in the same way."""
        for pair in self.tensors.items():
            for ours, theirs in self._readers(*pair):
                if len(ours) == len(theirs):
                    for names in zip(ours, theirs, strict=True):
                        self.instructions.add(*names)
