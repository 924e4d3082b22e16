"""The largest batch that fits, and what a sample costs at it and at smaller ones.

Of the usual policies the leanest at a small batch is compiled along batches: bytes are taken to grow evenly between two
batches that were compiled, until one fits and the next does not. There every other policy is compiled, too: the next
batch fits none. At the largest batch, a half and a quarter of it the quickest policy that fits is told. Where compiles
run out before, or one does not finish, the largest batch that was seen to fit is the answer, and what is not known of
larger ones is told.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mallocgame.offload.candidates import Candidate, CompileMoves, compiled, quickest
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
from mallocgame.system.errors import BadInputError, NoAnswerError
from mallocgame.system.progress import Progress

LEAN = (FULL, OFFLOADED)
"""Policies of which one is the leanest."""

MOST = 2**24
"""No batch is larger."""

UNFINISHED = 2
"""Compiles along batches that may not finish before larger batches are given up."""


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
        beyond: the smallest larger batch of which a program was compiled, none of which was seen to
            fit; None where there is none.
        open: what is not known of larger batches; empty where ``beyond`` is the next one, and the compiler showed that
            it fits under no policy.
    """

    answer: MovesFile
    budget: int
    batches: tuple[AtBatch, ...]
    beyond: AtBatch | None
    open: str


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

    def look(self, batch: int, label: str) -> Candidate | None:
        """Compile, unless that has been done; None where no compile is left."""
        if (batch, label) not in self.known:
            if self.left <= 0:
                return None
            self.left -= 1
            found = compiled(label, self.policies[label], {}, None, self.state, self.compiler(batch))
            fits = "" if found.fits(self.budget) or found.unfinished else ", does not fit"
            self.progress(f"compiled batch {batch}, {label}: {found.told}{fits}")
            self.known[batch, label] = found
        return self.known[batch, label]

    @property
    def unfinished(self) -> int:
        """How many compiles did not finish."""
        return sum(one.unfinished for one in self.known.values())

    @property
    def given_up(self) -> bool:
        """Whether so many did not finish that larger batches are not tried."""
        return self.unfinished >= UNFINISHED

    def all_lean(self, batch: int) -> AtBatch:
        """What is known of a batch when all lean policies that the compiles allow have been tried."""
        for label in LEAN:
            self.look(batch, label)
        return self.at(batch)

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
    tried = [one for label in LEAN if (one := search.look(start, label)) is not None]
    lean = min(tried, key=lambda one: one.needed or MOST**2).label
    largest = _largest(search, lean, start, step)
    while not search.given_up and (further := search.all_lean(largest + step).answer):  # another is leaner there
        largest = _largest(search, further.label, largest + step, step)
    told = sorted({max(step, largest // part // step * step) for part in (4, 2, 1)})
    for batch in reversed(told):
        for label in ("no checkpointing", KEPT, FULL, lean):
            search.look(batch, label)
    batches = tuple(each for each in map(search.at, told) if each.candidates)
    answer = batches[-1].answer
    assert answer is not None, "the largest batch fits"
    file = answer_file(training(largest), residuals.everywhere, target, size, answer)
    return Largest(file, size, batches, *_beyond(search, largest, step))


def _largest(search: _Batches, label: str, start: int, step: int) -> int:
    """The largest batch, in steps, that was seen to fit under a policy.

    The next one does not, unless compiles run out or do not finish.

    Raises:
        NoAnswerError: no batch was seen to fit.
    """
    seen: dict[int, int | None] = {}
    low, high = 0, MOST
    batch = start
    while low + step < high and (found := search.look(batch, label)) is not None:
        seen[batch] = found.needed
        if found.fits(search.budget):
            low = max(low, batch)
        else:
            high = min(high, batch)
        if search.given_up:
            break
        batch = _next(seen, search.budget, low, high, step)
    if low == 0 and high == step and not search.unfinished:
        raise NoAnswerError(f"a batch of {step} does not fit under {label}")
    if low == 0 and search.given_up:
        raise NoAnswerError(f"{search.unfinished} compiles did not finish, and no batch that fits is known")
    if low == 0:
        raise NoAnswerError("the compiles are used up before a batch that fits is known; --compiles allows more")
    return low


def _beyond(search: _Batches, largest: int, step: int) -> tuple[AtBatch | None, str]:
    """The smallest larger batch that was tried, and what is not known of larger ones."""
    why = "compiles did not finish" if search.unfinished else "the compiles are used up"
    batch = min((batch for batch, _ in search.known if batch > largest), default=None)
    if batch is None:
        return None, f"no larger batch was tried: {why}" if largest + step < MOST else ""
    found = search.at(batch)
    if batch > largest + step:
        return found, f"batches between {largest} and {batch} were not tried: {why}"
    missing = [label for label in LEAN if all(one.label != label or one.unfinished for one in found.candidates)]
    return found, f"batch {batch} was not compiled under {', '.join(missing)}: {why}" if missing else ""


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
