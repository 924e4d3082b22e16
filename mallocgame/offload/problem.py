"""The offload problem as plain, immutable data: a program in steps, and tensors that may leave device memory.

Times are indices of steps. A *gap* of a tensor is the time between two accesses that follow each other; in it, and
nowhere else, the tensor may be away from device memory. Intervals are closed; sizes are bytes, durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mallocgame.problem.chips import Link
from mallocgame.system.errors import BadInputError

Move = Literal["keep", "offload", "recompute"]
"""What a tensor does in a gap. In the words of the game: ``keep`` is NoCopy; ``offload`` is Drop (it is left to the
host) and Copy at the gap's end; ``recompute`` drops it too, and makes it again instead of copying."""

MOVES: tuple[Move, ...] = ("keep", "offload", "recompute")


@dataclass(frozen=True, slots=True)
class Step:
    """Some instructions that run one after the other, without anything to decide between them.

    Attributes:
        name: for people.
        seconds: how long they take, copies and recomputation not counted.
        other_bytes: most device memory that is live meanwhile beside the tensors of the problem.
    """

    name: str
    seconds: float
    other_bytes: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a tensor again.

    Attributes:
        seconds: what that takes.
        inputs: ids of the tensors that have to be in device memory for it.
    """

    seconds: float
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value that may leave device memory.

    Attributes:
        name: of the residual or the HLO value.
        size: bytes.
        first: the step that makes it.
        last: the last step that it has to be in device memory for.
        gaps: (step of the access before, step of the access after), in order, at least one step between the two.
        recipe: how to make it again; None where it cannot be. Only a tensor with one gap has one.
        decided_as: tensors with the same text here are decided together: they make the same moves, and have as many
            gaps. Empty for a tensor of its own.
    """

    name: str
    size: int
    first: int
    last: int
    gaps: tuple[tuple[int, int], ...]
    recipe: Recipe | None = None
    decided_as: str = ""


@dataclass(frozen=True, slots=True)
class Near:
    """A named residual that is read again before anything could be done with it.

    Attributes:
        name: that it was given.
        size: bytes.
        seconds: what it takes to make it again.
    """

    name: str
    size: int
    seconds: float


@dataclass(frozen=True)
class OffloadProblem:
    """A program and what of it may leave device memory.

    Attributes:
        fingerprint: of the program and its costs; a plan carries it.
        name: of the program.
        link: between device and host.
        steps: in the order in which they run.
        tensors: an id is an index into these. The inputs of a recipe have smaller ids than its tensor, and are in
            device memory, or in a gap, when the gap of its tensor ends.
        near: residuals that are read again before anything could be done with them: they are no tensors of the
            problem, and stay in device memory under every plan.
        alike: by name, what it has in common with names at the same place of alike blocks; empty where nobody knows.
    """

    fingerprint: str
    name: str
    link: Link
    steps: tuple[Step, ...]
    tensors: tuple[Tensor, ...]
    near: tuple[Near, ...] = ()
    alike: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Of the program with everything kept."""
        return sum(step.seconds for step in self.steps)


def decisions(problem: OffloadProblem) -> tuple[tuple[int, ...], ...]:
    """The tensors that are decided together, each set in order of ids; ordered by their first."""
    found: dict[str | int, list[int]] = {}
    for number, tensor in enumerate(problem.tensors):
        found.setdefault(tensor.decided_as or number, []).append(number)
    return tuple(map(tuple, found.values()))


def moves_of(problem: OffloadProblem, together: tuple[int, ...]) -> tuple[Move, ...]:
    """The legal moves, in each of their gaps, of tensors that are decided together."""
    return MOVES if all(problem.tensors[number].recipe is not None for number in together) else MOVES[:2]


def check_problem(problem: OffloadProblem) -> None:
    """Refuse a problem that does not hold together.

    Raises:
        BadInputError: with the first thing that is wrong.
    """
    steps = len(problem.steps)
    for step in problem.steps:
        if not (step.seconds >= 0.0 and step.other_bytes >= 0):
            raise BadInputError(f"{problem.name}: step {step.name} has a negative time or size")
    for together in decisions(problem):
        if len({len(problem.tensors[number].gaps) for number in together}) > 1:
            name = problem.tensors[together[0]].decided_as
            raise BadInputError(f"{problem.name}: the tensors decided as {name} have not as many gaps")
    for number, tensor in enumerate(problem.tensors):
        where = f"{problem.name}: tensor {tensor.name}"
        if not (0 <= tensor.first <= tensor.last < steps and tensor.size > 0):
            raise BadInputError(f"{where}: lives from {tensor.first} to {tensor.last} of {steps} steps")
        before = tensor.first
        for start, end in tensor.gaps:
            if not (before <= start and start + 2 <= end <= tensor.last):
                raise BadInputError(f"{where}: the gap from {start} to {end} is out of order or has no step in it")
            before = end
        recipe = tensor.recipe
        if recipe is None:
            continue
        if len(tensor.gaps) != 1 or recipe.seconds < 0.0:
            raise BadInputError(f"{where}: a recipe needs one gap and a time")
        for source in recipe.inputs:
            if not 0 <= source < number:
                raise BadInputError(f"{where}: its recipe reads tensor {source}, which is not before it")
            needed, other = tensor.gaps[0][1], problem.tensors[source]
            if not other.first < tensor.first <= needed <= other.last or len(other.gaps) > 1:
                raise BadInputError(f"{where}: its recipe reads {other.name}, which is not there at step {needed}")
