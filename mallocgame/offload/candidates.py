"""Programs that were compiled, and who compiles them within a number of compiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mallocgame.compiler.child import LimitReachedError
from mallocgame.offload.judge import Judged
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.problem import OffloadProblem, Recipe
from mallocgame.system.errors import CompilerRefusedError
from mallocgame.system.printable import one_line

if TYPE_CHECKING:
    from mallocgame.offload.compiled import ReadBack

CompileMoves = Callable[[NamedMoves, Mapping[str, str]], "ReadBack"]


class DoesNotFitError(CompilerRefusedError):
    """The compiler refused a program for want of device memory, and said how much it needs.

    Attributes:
        needed: bytes of device memory.
    """

    def __init__(self, message: str, needed: int) -> None:
        super().__init__(message)
        self.needed = needed


@dataclass(frozen=True)
class Candidate:
    """A program that was compiled.

    Attributes:
        label: what it is, for people.
        moves: what it tells JAX.
        options: compiler options.
        predicted: by the judge, where it is a plan of the model.
        read: what the compiler made of it; None where it refused, or did not finish.
        refusal: why; else empty.
        unfinished: whether its compile was ended at a limit of time or memory; ``refusal`` then says which.
        needed: bytes of device memory, also of a refused program where the compiler said; else None.
        state: leaf groups of the step's arguments in host memory.
    """

    label: str
    moves: NamedMoves
    options: Mapping[str, str]
    predicted: Judged | None
    read: ReadBack | None
    refusal: str = ""
    needed: int | None = None
    state: tuple[str, ...] = ()
    unfinished: bool = False

    def fits(self, budget: int) -> bool:
        """Whether the compiler was seen to need no more than the budget."""
        return self.read is not None and self.read.device_bytes <= budget

    @property
    def seconds(self) -> float:
        """Under M; infinite where the compiler made nothing of it."""
        return float("inf") if self.read is None else self.read.seconds["M"]

    @property
    def told(self) -> str:
        """The bytes that it needs, or why they are not known, for people."""
        if self.unfinished:
            return f"not finished: {self.refusal}"
        if self.needed is None:
            return one_line(self.refusal, 200)
        return f"{self.needed} B{'' if self.read else ', refused'}"


def compiled(
    label: str,
    moves: NamedMoves,
    options: Mapping[str, str],
    predicted: Judged | None,
    state: tuple[str, ...],
    compile: CompileMoves,
) -> Candidate:
    """Compile a program. One that is refused, or is ended at a limit, is a candidate that does not fit."""
    made = Candidate(label, moves, options, predicted, None, state=state)
    try:
        read = compile(moves, options)
    except LimitReachedError as error:
        return replace(made, refusal=str(error), unfinished=True)
    except CompilerRefusedError as error:
        return replace(made, refusal=str(error), needed=error.needed if isinstance(error, DoesNotFitError) else None)
    return replace(made, read=read, needed=read.device_bytes)


@dataclass
class Search:
    """What has been compiled and learned.

    Attributes:
        problem: the model; its times are scaled to those of the last plan that was compiled.
        budget: bytes.
        compile: compiles the program under moves and options, and reads it back.
        compiles: how many, XLA's default included.
        progress: called with one line at each compile.
        state: leaf groups of the step's arguments in host memory, of every program.
        seen_bytes: by the model and by the compiler, of what was judged and compiled.
        candidates: in order.
    """

    problem: OffloadProblem
    budget: int
    compile: CompileMoves
    compiles: int
    progress: Callable[[str], None]
    state: tuple[str, ...] = ()
    seen_bytes: list[tuple[int, int]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    def look(self, label: str, moves: NamedMoves, options: Mapping[str, str], predicted: Judged | None) -> Candidate:
        """Compile, unless that has been done."""
        known = self.known(moves, options)
        if known is not None:
            return known
        found = compiled(label, moves, options, predicted, self.state, self.compile)
        self.candidates.append(found)
        told = f"{found.told}, {found.seconds * 1e3:.4g} ms under M" if found.read else found.told
        self.progress(f"compiled {label}: {told}")
        return found

    def learn(self, found: Candidate, judged: Judged) -> None:
        """What the compiler needs beyond the model, and how long the model's steps take, from a plan it was judged."""
        if found.needed is not None:
            self.seen_bytes.append((judged.peak, found.needed))
        busy = judged.seconds - judged.stall
        if found.read is not None and busy > 0.0:
            self.problem = scaled(self.problem, (found.read.seconds["M"] - found.read.stalls["M"]) / busy)

    def known(self, moves: NamedMoves, options: Mapping[str, str]) -> Candidate | None:
        """The program of these moves and options, if it was compiled."""
        same = (one for one in self.candidates if (one.moves, one.options) == (moves, options))
        return next(same, None)

    @property
    def left(self) -> int:
        """How many compiles may still be spent."""
        return self.compiles - len(self.candidates)

    @property
    def best(self) -> Candidate | None:
        """The quickest under M of those that fit."""
        return quickest(self.candidates, self.budget)


def quickest(candidates: Sequence[Candidate], budget: int) -> Candidate | None:
    """The quickest under M of those that fit; None where none does."""
    fitting = [candidate for candidate in candidates if candidate.fits(budget)]
    return min(fitting, key=lambda candidate: candidate.seconds, default=None)


def scaled(problem: OffloadProblem, factor: float) -> OffloadProblem:
    """The same problem with all times of the program, not of copies, times a factor."""
    steps = tuple(replace(step, seconds=step.seconds * factor) for step in problem.steps)
    tensors = tuple(
        tensor
        if tensor.recipe is None
        else replace(tensor, recipe=Recipe(tensor.recipe.seconds * factor, tensor.recipe.inputs))
        for tensor in problem.tensors
    )
    near = tuple(replace(each, seconds=each.seconds * factor) for each in problem.near)
    return replace(problem, steps=steps, tensors=tensors, near=near)
