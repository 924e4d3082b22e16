"""The largest batch that fits, and what a sample costs at it and at smaller ones.

Of the usual policies the leanest at a small batch is compiled along batches: bytes are taken to grow evenly between two
batches that were compiled, until one fits and the next does not. There every other policy is compiled, too: the next
batch fits none. At the largest batch, a half and a quarter of it the quickest policy that fits is told.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mallocgame.offload.candidates import Candidate, CompileMoves, DoesNotFitError, quickest
from mallocgame.offload.compiling import compiler_of
from mallocgame.offload.links import checked_link
from mallocgame.offload.moves_file import MovesFile
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.program import BATCH, Build, Training, load_training
from mallocgame.offload.residuals import read_residuals
from mallocgame.offload.run import answer_file, budget_bytes
from mallocgame.offload.usual import FULL, KEPT, OFFLOADED, usual_moves
from mallocgame.problem.chips import program_hbm
from mallocgame.problem.targets import TARGETS, get_target
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from mallocgame.system.progress import Progress

LEAN = (FULL, OFFLOADED)
"""Policies of which one is the leanest."""

MOST = 2**24
"""No batch is larger."""


@dataclass(frozen=True)
class AtBatch:
    """What was compiled at one batch.

    Attributes:
        batch: samples.
        candidates: programs.
        answer: the quickest under M that fits; None where none does.
    """

    batch: int
    candidates: tuple[Candidate, ...]
    answer: Candidate | None

    @property
    def seconds_per_sample(self) -> float:
        """Under M, of the answer."""
        return float("inf") if self.answer is None else self.answer.seconds / self.batch


@dataclass(frozen=True)
class Largest:
    """The largest batch.

    Attributes:
        answer: as a file has it.
        budget: bytes.
        batches: that were compiled by all policies, smallest first; the last is the largest that fits.
        beyond: the next batch, which fits under no policy that was compiled.
    """

    answer: MovesFile
    budget: int
    batches: tuple[AtBatch, ...]
    beyond: AtBatch


@dataclass
class _Batches:
    training: Callable[[int], Training]
    compiler: Callable[[int], CompileMoves]
    policies: Mapping[str, NamedMoves]
    budget: int
    left: int
    progress: Progress
    state: tuple[str, ...]
    known: dict[tuple[int, str], Candidate] = field(default_factory=dict)

    def look(self, batch: int, label: str) -> Candidate:
        """Compile, unless that has been done."""
        if (batch, label) in self.known:
            return self.known[batch, label]
        if self.left <= 0:
            raise NoAnswerError("the compiles are used up before the largest batch is known; --compiles allows more")
        self.left -= 1
        moves = self.policies[label]
        try:
            read = self.compiler(batch)(moves, {})
            found = Candidate(label, moves, {}, None, read, "", read.device_bytes, self.state)
        except CompilerRefusedError as error:
            needed = error.needed if isinstance(error, DoesNotFitError) else None
            found = Candidate(label, moves, {}, None, None, str(error), needed, self.state)
        told = f"{found.needed} B" if found.needed is not None else "refused"
        self.progress(f"compiled batch {batch}, {label}: {told}{'' if found.fits(self.budget) else ', does not fit'}")
        self.known[batch, label] = found
        return found

    def at(self, batch: int) -> AtBatch:
        """What is known of a batch."""
        found = tuple(one for (other, _), one in self.known.items() if other == batch)
        return AtBatch(batch, found, quickest(found, self.budget))


def first_batch(training: Training) -> int | None:
    """The batch that a program takes where it is given none."""
    default = inspect.signature(training.build).parameters[BATCH].default
    return default if isinstance(default, int) else None


def largest_batch(
    program: str | Build,
    target: str,
    budget: str | None,
    *,
    step: int = 1,
    host_state: tuple[str, ...],
    compiles: int,
    link: str | os.PathLike[str] | None,
    cache: str | os.PathLike[str],
    progress: Progress,
) -> Largest:
    """Find it; see ``mallocgame.api.fit_largest``."""
    if target not in TARGETS:
        raise BadInputError(f"no compiler for {target} here: the largest batch is found for TPU targets alone")
    between = checked_link(target, link)
    size = budget_bytes(budget, None, program_hbm(get_target(target)))
    plain = load_training(program, None, host_state)
    if not plain.takes_batch:
        raise BadInputError(f"{plain.name}: takes no argument {BATCH!r}; see docs/fit.md")
    start = max(step, (first_batch(plain) or step) // step * step)

    def training(batch: int) -> Training:
        return load_training(program, batch, host_state)

    residuals = read_residuals(training(start), between)
    policies = {"no checkpointing": NamedMoves(None), **usual_moves(residuals.problem)}
    search = _Batches(
        training,
        lambda batch: compiler_of(training(batch), residuals.everywhere, target, between, cache),
        policies,
        size,
        compiles,
        progress,
        host_state,
    )
    lean = min(LEAN, key=lambda label: search.look(start, label).needed or MOST**2)
    largest = _largest(search, lean, start, step)
    for label in LEAN:
        search.look(largest + step, label)
    while (further := search.at(largest + step)).answer is not None:  # another policy is leaner there
        largest = _largest(search, further.answer.label, largest + step, step)
        for label in LEAN:
            search.look(largest + step, label)
    told = sorted({max(step, largest // part // step * step) for part in (4, 2, 1)})
    for batch in reversed(told):
        for label in ("no checkpointing", KEPT, FULL, lean):
            if search.left > 0:
                search.look(batch, label)
    batches = tuple(each for each in map(search.at, told) if each.candidates)
    answer = batches[-1].answer
    assert answer is not None, "the largest batch fits"
    file = answer_file(training(largest), residuals.everywhere, target, size, answer)
    return Largest(file, size, batches, search.at(largest + step))


def _largest(search: _Batches, label: str, start: int, step: int) -> int:
    """The largest batch, in steps, that fits under a policy, of which the next one does not.

    Raises:
        NoAnswerError: a batch of one step does not fit.
    """
    seen: dict[int, int | None] = {}
    low, high = 0, MOST
    batch = start
    while low + step < high:
        found = search.look(batch, label)
        seen[batch] = found.needed
        if found.fits(search.budget):
            low = max(low, batch)
        else:
            high = min(high, batch)
        batch = _next(seen, search.budget, low, high, step)
    if low == 0:
        raise NoAnswerError(f"a batch of {step} does not fit under {label}")
    return low


def _next(seen: Mapping[int, int | None], budget: int, low: int, high: int, step: int) -> int:
    """The batch between two that is taken to need just the budget."""
    beyond = seen.get(high)
    # Bytes may grow in steps; and of the memory that there is the compiler refuses to fill the last part.
    halved = high < MOST and (len(seen) % 2 == 1 or beyond is None or beyond <= budget)
    points = sorted((abs(needed - budget), batch, needed) for batch, needed in seen.items() if needed is not None)
    guess = 2 * low if high == MOST else (low + high) // 2
    if len(points) > 1 and not halved:
        (_, one, here), (_, other, there) = points[:2]
        if (here - there) * (one - other) > 0:
            guess = one + (budget - here) * (one - other) // (here - there)
    inside = max(low + step, min(guess, high - step, 8 * max(low, step)))
    return max(low + step, inside // step * step)
