"""The whole way for a JAX program: model, solve, compile, read back, correct the model, solve again.

The model's peak is of arrays, the compiler's of buffers: they differ by paddings, temporaries and what is fused.
Between the compiles on both sides of the budget, the one is taken to grow with the other; that gives the budget of the
next solve, and the last plan's time scales the model's, until a plan fits and the model has no other. Where none fits,
XLA is told to rematerialise the rest. The answer is the quickest program that the compiler has been seen to fit into
the budget, XLA's default and the usual policies included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from mallocgame.offload.judge import Judged, replay
from mallocgame.offload.plan import OffloadPlan
from mallocgame.offload.policy import NamedMoves, named_moves
from mallocgame.offload.problem import Move, OffloadProblem, Recipe
from mallocgame.offload.rules import everywhere, play
from mallocgame.offload.solve import OffloadSolution, solve
from mallocgame.offload.solver_name import SolverName
from mallocgame.system.errors import BadInputError, CompilerRefusedError

if TYPE_CHECKING:
    from mallocgame.offload.compiled import ReadBack

MOST_HBM = "xla_tpu_max_hbm_size_mib"
"""Compiler option: HBM that the program may use. XLA rematerialises for it, or refuses."""

CompileMoves = Callable[[NamedMoves, Mapping[str, str]], "ReadBack"]


@dataclass(frozen=True)
class Candidate:
    """A program that was compiled.

    Attributes:
        label: what it is, for people.
        moves: what it tells JAX.
        options: compiler options.
        predicted: by the judge, where it is a plan of the model.
        read: what the compiler made of it; None where it refused.
        refusal: why; else empty.
    """

    label: str
    moves: NamedMoves
    options: Mapping[str, str]
    predicted: Judged | None
    read: ReadBack | None
    refusal: str = ""

    def fits(self, budget: int) -> bool:
        """Whether the compiler was seen to need no more than the budget."""
        return self.read is not None and self.read.device_bytes <= budget


@dataclass(frozen=True)
class Confirmed:
    """What came out.

    Attributes:
        problem: the model, its times scaled to those of the last plan that was compiled.
        budget: bytes.
        candidates: all programs that were compiled; the first is XLA's default.
        answer: the quickest under M of those that fit; None where none does.
        solution: of the last solve.
        proven_infeasible: no candidate fits, and the model, corrected by its last compile, has no plan that does.
    """

    problem: OffloadProblem
    budget: int
    candidates: tuple[Candidate, ...]
    answer: Candidate | None
    solution: OffloadSolution | None
    proven_infeasible: bool


def usual_moves(problem: OffloadProblem) -> dict[str, NamedMoves]:
    """The policies that people write: by label, the move of every name."""
    policies: dict[str, Move] = {
        "full checkpointing": "recompute",
        "all named kept": "keep",
        "all named offloaded": "offload",
    }
    found: dict[str, NamedMoves] = {}
    for label, move in policies.items():
        moves = named_moves(problem, everywhere(problem, move, "keep")).moves
        assert moves is not None, "a policy"
        found[label] = NamedMoves({**moves, **dict.fromkeys(problem.near, move)})
    return found


@dataclass
class _Search:
    problem: OffloadProblem
    budget: int
    compile: CompileMoves
    compiles: int
    progress: Callable[[str], None]
    seen_bytes: list[tuple[int, int]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    def look(self, label: str, moves: NamedMoves, options: Mapping[str, str], predicted: Judged | None) -> Candidate:
        """Compile, unless that has been done."""
        known = self.known(moves, options)
        if known is not None:
            return known
        try:
            found = Candidate(label, moves, options, predicted, self.compile(moves, options))
        except CompilerRefusedError as error:
            found = Candidate(label, moves, options, predicted, None, str(error))
        self.candidates.append(found)
        read = found.read
        told = f"{read.device_bytes} B, {read.seconds['M'] * 1e3:.4g} ms under M" if read else "refused"
        self.progress(f"compiled {label}: {told}")
        return found

    def learn(self, found: Candidate, judged: Judged) -> None:
        """What the compiler needs beyond the model, and how long the model's steps take, from a plan it was judged."""
        if found.read is None:
            return
        self.seen_bytes.append((judged.peak, found.read.device_bytes))
        busy = judged.seconds - judged.stall
        if busy > 0.0:
            self.problem = scaled(self.problem, (found.read.seconds["M"] - found.read.stalls["M"]) / busy)

    def known(self, moves: NamedMoves, options: Mapping[str, str]) -> Candidate | None:
        """The program of these moves and options, if it was compiled."""
        same = (one for one in self.candidates if (one.moves, one.options) == (moves, options))
        return next(same, None)

    @property
    def plans(self) -> list[Candidate]:
        """Those of the model that were compiled."""
        return [candidate for candidate in self.candidates if candidate.predicted is not None]

    @property
    def left(self) -> int:
        """How many compiles may still be spent."""
        return self.compiles - len(self.candidates)


def confirm(
    problem: OffloadProblem,
    budget: Callable[[int], int],
    compile: CompileMoves,
    *,
    solver: SolverName,
    time_limit: float,
    seed: int,
    compiles: int,
    progress: Callable[[str], None],
) -> Confirmed:
    """Find the quickest program that fits.

    Args:
        problem: of the program, with modelled times.
        budget: bytes, given those that XLA's default needs.
        compile: compiles the program under moves and options, and reads it back.
        solver, time_limit, seed: of each solve.
        compiles: how many, XLA's default included.
        progress: called with one line at each step.

    Raises:
        BadInputError: XLA's default cannot be compiled, or the budget is out of range.
    """
    search = _Search(problem, 0, compile, max(1, compiles), progress)
    default = search.look("xla default", NamedMoves(None), {}, None)
    if default.read is None:
        raise BadInputError(f"the program does not compile as it is: {default.refusal}")
    search.budget = budget(default.read.device_bytes)
    usual = usual_moves(problem)
    for label in ("full checkpointing", "all named kept"):
        if search.left > 1:
            judged = judged_everywhere(problem, usual[label])
            search.learn(search.look(label, usual[label], {}, judged), judged)
    others: list[tuple[str, NamedMoves, Mapping[str, str]]] = [(label, moves, {}) for label, moves in usual.items()]
    limited = {MOST_HBM: str(max(1, search.budget // 2**20))}
    if not default.fits(search.budget):
        others.append(("xla rematerialisation", NamedMoves(None), limited))
    reserved = sum(search.known(moves, options) is None for _, moves, options in others)
    reserved += not default.fits(search.budget)
    solution, infeasible = _plans(search, reserved, solver, time_limit, seed)
    leanest = min(search.plans, key=lambda plan: plan.read.device_bytes if plan.read else inf, default=None)
    if leanest is not None and not any(plan.fits(search.budget) for plan in search.plans):
        others.append((f"{leanest.label}, xla rematerialisation", leanest.moves, limited))
    for label, moves, options in others:
        if search.left > 0:
            search.look(label, moves, options, None)
    fitting = [candidate for candidate in search.candidates if candidate.fits(search.budget)]
    answer = min(fitting, key=lambda candidate: _seconds(candidate), default=None)
    return Confirmed(
        search.problem, search.budget, tuple(search.candidates), answer, solution, infeasible and answer is None
    )


def _seconds(candidate: Candidate) -> float:
    assert candidate.read is not None, "only what was compiled is compared"
    return candidate.read.seconds["M"]


def _plans(
    search: _Search, reserved: int, solver: SolverName, time_limit: float, seed: int
) -> tuple[OffloadSolution | None, bool]:
    """Solve and compile until a plan fits and the corrected model has no other; whether it then has none at all.

    All plans but the first leave so many compiles as are ``reserved``.
    """
    last: OffloadSolution | None = None
    tried: list[NamedMoves] = []
    while search.left > (reserved if tried else 0):
        problem = search.problem
        budget = modelled_bytes(search.budget, search.seen_bytes)
        solution = solve(problem, budget, solver=solver, time_limit=time_limit, seed=seed)
        plan, judged = solution.plan, solution.judged
        if plan is None or judged is None:
            leanest = leanest_plan(problem)
            moves, judged = named_moves(problem, leanest.moves), replay(problem, leanest)
            if moves in tried:
                return last, solution.status == "infeasible"
        else:
            moves, last = named_moves(problem, plan.moves), solution
            if moves in tried:
                return last, False
        tried.append(moves)
        found = search.look("plan", moves, {}, judged)
        if found.read is None:
            return last, False
        search.learn(found, judged)
        if plan is None and not found.fits(search.budget):
            return last, solution.status == "infeasible"
    return last, False


def modelled_bytes(budget: int, seen: Sequence[tuple[int, int]]) -> int:
    """The model's bytes of a program that the compiler is expected to need just ``budget`` for.

    Interpolated between what fits and what does not; of that only a half, a quarter, ... with each miss so far, for the
    compiler's bytes may jump (the "Illinois" remedy for false position that stays on one side).

    Args:
        budget: bytes.
        seen: bytes by the model and by the compiler, of what was compiled.
    """
    fitting = max((pair for pair in seen if pair[1] <= budget), default=None)
    low = -1 if fitting is None else fitting[0]
    misses = sorted(pair for pair in seen if pair[1] > budget and pair[0] > low)
    if fitting is None or not misses:
        nearest = fitting or (*misses, (0, 0))[0]
        return max(0, budget - nearest[1] + nearest[0])
    missing = misses[0]
    share = (budget - fitting[1]) / (missing[1] - fitting[1]) / 2 ** (len(misses) - 1)
    return int(fitting[0] + share * (missing[0] - fitting[0]))


def judged_everywhere(problem: OffloadProblem, moves: NamedMoves) -> Judged:
    """What the model says of moves of names none of which needs a copy."""
    assert moves.moves is not None, "a policy"
    played = play(problem, tuple((moves.moves[tensor.decided_as],) for tensor in problem.tensors), 0)
    assert played is not None, "no copy is needed"
    return replay(problem, played.plan)


def leanest_plan(problem: OffloadProblem) -> OffloadPlan:
    """The plan that holds least of: everything offloaded; everything recomputed that can be, and offloaded else."""
    moves: tuple[Move, ...] = ("offload", "recompute")
    played = [play(problem, everywhere(problem, move, "offload"), 0) for move in moves]
    best = min((one for one in played if one is not None), key=lambda one: one.excess, default=None)
    if best is None:
        raise BadInputError(f"{problem.name}: there is no time for any copy")
    return best.plan


def scaled(problem: OffloadProblem, factor: float) -> OffloadProblem:
    """The same problem with all times of the program, not of copies, times a factor."""
    steps = tuple(replace(step, seconds=step.seconds * factor) for step in problem.steps)
    tensors = tuple(
        tensor
        if tensor.recipe is None
        else replace(tensor, recipe=Recipe(tensor.recipe.seconds * factor, tensor.recipe.inputs))
        for tensor in problem.tensors
    )
    return replace(problem, steps=steps, tensors=tensors)
