"""The whole way for a JAX program: model, solve, compile, read back, correct the model, solve again.

The model's peak is of arrays, the compiler's of buffers: they differ by paddings, temporaries and what is fused.
Between the compiles on both sides of the budget, the one is taken to grow with the other; that gives the budget of the
next solve, and the last plan's time scales the model's. Before these plans, and with the compiles that are left when
the usual policies have been compiled too, the effects of single names as the compiler shows them choose the next
program (``learned.py``). Where none fits, XLA is told to rematerialise the rest. The answer is the quickest program
that the compiler has been seen to fit into the budget, XLA's default and the usual policies included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mallocgame.offload.candidates import Candidate, CompileMoves, Search
from mallocgame.offload.judge import Judged, replay
from mallocgame.offload.learned import next_moves
from mallocgame.offload.maxtext import presets
from mallocgame.offload.plan import OffloadPlan
from mallocgame.offload.policy import AS_WRITTEN, READY, NamedMoves, named_moves
from mallocgame.offload.problem import Move, OffloadProblem
from mallocgame.offload.rules import everywhere, play
from mallocgame.offload.solve import OffloadSolution, solve
from mallocgame.offload.solver_name import SolverName
from mallocgame.offload.usual import FULL, KEPT, OFFLOADED, usual_moves
from mallocgame.system.errors import BadInputError

MOST_HBM = "xla_tpu_max_hbm_size_mib"
"""Compiler option: HBM that the program may use. XLA rematerialises for it, or refuses."""

MISSES = 2
"""Plans of the model that may miss the budget before the model is no longer asked."""


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


def confirm(
    problem: OffloadProblem,
    budget: Callable[[int | None], int],
    compile: CompileMoves,
    *,
    solver: SolverName,
    time_limit: float,
    seed: int,
    compiles: int,
    progress: Callable[[str], None],
    written: bool = False,
    state: tuple[str, ...] = (),
) -> Confirmed:
    """Find the quickest program that fits.

    Args:
        problem: of the program, with modelled times.
        budget: bytes, given those that XLA's default needs; None where the compiler does not say.
        compile: compiles the program under moves and options, and reads it back.
        solver, time_limit, seed: of each solve.
        compiles: how many, XLA's default included.
        progress: called with one line at each step.
        written: whether blocks have policies of their own, which are then compiled, too.
        state: leaf groups in host memory, of every program.

    Raises:
        BadInputError: the budget is out of range.
    """
    search = Search(problem, 0, compile, max(1, compiles), progress, state)
    default = search.look("xla default", NamedMoves(None), {}, None)
    search.budget = budget(default.needed)
    usual = usual_moves(problem)
    for label in (FULL, KEPT):
        if search.left > 1:
            judged = judged_everywhere(problem, usual[label])
            search.learn(search.look(label, usual[label], {}, judged), judged)
    if search.left > 1:
        search.look(OFFLOADED, usual[OFFLOADED], {}, None)
    others: list[tuple[str, NamedMoves, Mapping[str, str]]] = [(label, moves, {}) for label, moves in usual.items()]
    limited = {MOST_HBM: str(max(1, search.budget // 2**20))}
    if not default.fits(search.budget):
        others.append(("xla rematerialisation", NamedMoves(None), limited))
    if written:
        others.append((AS_WRITTEN, NamedMoves(None, AS_WRITTEN), {}))
    others += [(ready, NamedMoves(None, ready), {}) for ready in READY]
    others += [(label, moves, {}) for label, moves in presets(list(usual[FULL].moves or {})).items()]
    reserved = sum(search.known(moves, options) is None for _, moves, options in others)
    reserved += not default.fits(search.budget)
    _learned(search, reserved + (search.left - reserved) // 3)
    solution, infeasible = _plans(search, reserved, solver, time_limit, seed)
    for label, moves, options in others:
        if search.left > 0:
            search.look(label, moves, options, None)
    _learned(search, int(search.best is None))
    named = (one for one in search.candidates if one.moves.moves is not None and one.needed is not None)
    leanest = min(named, key=lambda one: one.needed or 0, default=None)
    if leanest is not None and search.best is None and search.left > 0:
        search.look(f"{leanest.label}, xla rematerialisation", leanest.moves, limited, None)
    infeasible = infeasible and search.best is None
    return Confirmed(search.problem, search.budget, tuple(search.candidates), search.best, solution, infeasible)


def _plans(
    search: Search, reserved: int, solver: SolverName, time_limit: float, seed: int
) -> tuple[OffloadSolution | None, bool]:
    """Solve and compile until a plan fits and the corrected model has no other; whether it then has none at all.

    All plans but the first leave so many compiles as are ``reserved``.
    """
    last: OffloadSolution | None = None
    tried: list[NamedMoves] = []
    misses = 0
    while misses < MISSES and search.left > (reserved if tried else 0):
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
        misses += not found.fits(search.budget)
        if plan is None and not found.fits(search.budget):
            return last, solution.status == "infeasible"
    return last, False


def _learned(search: Search, reserved: int) -> None:
    """Compile what single names' effects say, until they say nothing new; leaves compiles that are ``reserved``."""
    while search.left > reserved:
        moves = next(next_moves(search), None)
        if moves is None:
            return
        search.look("learned plan", moves, {}, None)


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
