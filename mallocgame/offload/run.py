"""The command's whole way: a program, a device and a budget in; the answer, as moves of names, out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mallocgame.compiler.described import without_devices
from mallocgame.offload.candidates import Candidate, CompileMoves, compiled, quickest
from mallocgame.offload.compiling import compiler_of
from mallocgame.offload.confirm import Confirmed, confirm
from mallocgame.offload.judge import replay
from mallocgame.offload.links import checked_link
from mallocgame.offload.module_problem import gpu_target, module_problem
from mallocgame.offload.moves_file import MovesFile
from mallocgame.offload.policy import named_moves
from mallocgame.offload.problem import OffloadProblem
from mallocgame.offload.program import Build, Training, load_training
from mallocgame.offload.residuals import Residuals, read_residuals
from mallocgame.offload.rules import keep_all, play
from mallocgame.offload.solve import OffloadSolution, solve
from mallocgame.offload.solver_name import SolverName
from mallocgame.offload.state import groups_of
from mallocgame.problem.chips import Link, program_hbm
from mallocgame.problem.targets import TARGETS, get_target
from mallocgame.programs.environment import flag_notes
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress

_BUDGET = re.compile(r"(\d{1,18})|(\d{1,3}(?:\.\d{1,3})?)\s?%")


@dataclass(frozen=True)
class Fitted:
    """What came out.

    Attributes:
        answer: as a file has it; None where nothing fits.
        problem: the model.
        budget: bytes.
        solution: of the last solve that had a plan.
        confirmed: what the compiler made of it; None where there is no compiler for the target here.
        idle: names for which it makes no difference what is decided, and why.
    """

    answer: MovesFile | None
    problem: OffloadProblem
    budget: int
    solution: OffloadSolution | None
    confirmed: Confirmed | None
    idle: Mapping[str, str] = field(default_factory=dict)

    @property
    def only_modelled(self) -> bool:
        """Whether there is a plan that nothing can be told to follow: the model's, for a compiled module."""
        return self.answer is None and self.confirmed is None and self.solution is not None and bool(self.solution.plan)

    @property
    def leanest(self) -> Candidate | None:
        """The compiled program that needs least; None where there is none."""
        compiled = [] if self.confirmed is None else [one for one in self.confirmed.candidates if one.read is not None]
        return min(compiled, key=lambda one: one.needed or 0, default=None)

    @property
    def proven_infeasible(self) -> bool:
        """Whether no plan fits, by proof of the model."""
        if self.confirmed is not None:
            return self.confirmed.proven_infeasible
        return self.solution is not None and self.solution.status == "infeasible"


def budget_bytes(text: str | None, default: int | None, device: int | None = None) -> int:
    """A budget, e.g. ``"50%"`` of what XLA's default needs, or bytes.

    Args:
        text: None for what there is.
        default: what XLA's default needs; None where that is not known.
        device: bytes that there are; None where that is not known.

    Raises:
        BadInputError: it is neither, or nothing.
    """
    if text is None and device is not None:
        return device
    found = _BUDGET.fullmatch((text or "").strip())
    if found is not None and found[2] and default is None:
        raise BadInputError(f"XLA's default was not compiled, and what it needs is not known: {text} of it; give bytes")
    amount = 0 if found is None else int(found[1]) if found[1] else int((default or 0) * float(found[2]) / 100)
    if amount <= 0:
        raise BadInputError(f"{text!r} is no budget: give bytes, or a share of what XLA's default needs such as 50%")
    return amount


def fit(
    program: str | Build,
    target: str,
    budget: str | None,
    *,
    batch: int | None,
    host_state: Sequence[str] | None,
    solver: SolverName,
    time_limit: float,
    seed: int,
    compiles: int,
    link: str | os.PathLike[str] | None,
    cache: str | os.PathLike[str],
    progress: Progress,
) -> Fitted:
    """Find what to keep, offload and recompute; see ``mallocgame.api.fit``."""
    between = checked_link(target, link)
    device = program_hbm(get_target(target)) if target in TARGETS else between.device_bytes
    budget_bytes(budget, 2**40, device)
    if isinstance(program, str) and os.path.exists(program):
        return _of_file(program, target, between, budget, solver, time_limit, seed)
    if target in TARGETS:
        without_devices()  # the program may describe its own
    training = load_training(program, batch, tuple(host_state or ()))
    for note in flag_notes(os.environ) if target in TARGETS else ():
        progress(note)
    found = read_residuals(training, between)
    problem, names = found.problem, {tensor.decided_as for tensor in found.problem.tensors}
    progress(f"{training.name}: {len(problem.tensors)} residuals of {len(names)} names")
    if target not in TARGETS:
        made = _modelled(problem, training.name, target, budget, solver, time_limit, seed)
        return replace(made, idle=found.idle)

    def confirmed_with(state: tuple[str, ...], compiles: int) -> Confirmed:
        return confirm(
            problem,
            lambda default: budget_bytes(budget, default, device),
            compiler_of(replace(training, state=state), found.everywhere, target, between, cache),
            solver=solver,
            time_limit=time_limit,
            seed=seed,
            compiles=compiles,
            progress=progress,
            written=found.everywhere,
            state=state,
        )

    confirmed = confirmed_with(training.state, compiles)
    if confirmed.answer is None and host_state is None:
        compile_with = _Compilers(training, found, target, between, cache)
        state = _state_that_fits(compile_with, confirmed, progress)
        if state:
            further = confirmed_with(state, compiles)
            both = (*confirmed.candidates, *further.candidates)
            confirmed = replace(
                further, candidates=both, answer=quickest(both, confirmed.budget), budget=confirmed.budget
            )
    answer = None
    if confirmed.answer is not None:
        answer = answer_file(training, found.everywhere, target, confirmed.budget, confirmed.answer)
    return Fitted(answer, confirmed.problem, confirmed.budget, confirmed.solution, confirmed, found.idle)


@dataclass(frozen=True)
class _Compilers:
    """Who compiles a training step with state on the host."""

    training: Training
    found: Residuals
    target: str
    link: Link
    cache: str | os.PathLike[str]

    def with_state(self, state: tuple[str, ...]) -> CompileMoves:
        """The compiler of the step with these leaf groups on the host."""
        return compiler_of(
            replace(self.training, state=state), self.found.everywhere, self.target, self.link, self.cache
        )


def _state_that_fits(compilers: _Compilers, confirmed: Confirmed, progress: Progress) -> tuple[str, ...]:
    """The fewest of the largest leaf groups without which the leanest program fits; none where all do not help."""
    program, arguments, by_name = compilers.training.make()
    groups = [group.name for group in groups_of(program, arguments, by_name)]
    known = [one for one in confirmed.candidates if one.needed is not None and not one.options]
    leanest = min(known, key=lambda one: one.needed or 0, default=None)
    if leanest is None:
        return ()
    for count in range(1, len(groups) + 1):
        state = tuple(groups[:count])
        words = f"{leanest.label} with {', '.join(state)} on the host"
        found = compiled(words, leanest.moves, {}, None, state, compilers.with_state(state))
        progress(f"compiled {words}: {found.told}")
        if found.fits(confirmed.budget):
            return state
    return ()


def _modelled(
    problem: OffloadProblem,
    name: str,
    target: str,
    budget: str | None,
    solver: SolverName,
    time_limit: float,
    seed: int,
) -> Fitted:
    """By the model alone, where no compiler can be asked; a share is of what the model holds with everything kept."""
    kept = play(problem, keep_all(problem), 0)
    assert kept is not None, "to keep everything needs no copy"
    size = budget_bytes(budget, replay(problem, kept.plan).peak, problem.link.device_bytes)
    solution = solve(problem, size, solver=solver, time_limit=time_limit, seed=seed)
    answer = None
    if solution.plan is not None and solution.judged is not None:
        moves, judged = named_moves(problem, solution.plan.moves), solution.judged
        answer = MovesFile(name, target, size, moves, {}, {}, judged.peak, judged.seconds)
    return Fitted(answer, problem, size, solution, None)


def _of_file(
    path: str, target: str, link: Link, budget: str | None, solver: SolverName, time_limit: float, seed: int
) -> Fitted:
    """A capture, dump or HLO text: what offloading could do, by the model alone; nothing of it can be exported."""
    from mallocgame.problem.build import build_problem
    from mallocgame.programs.loading import load
    from xla_dump_parser import read_hlo

    whole = load(path, target).problem if target in TARGETS else build_problem(read_hlo(path), gpu_target(link))
    problem = module_problem(whole, link)
    found = _modelled(problem, path, target, budget, solver, time_limit, seed)
    return Fitted(None, found.problem, found.budget, found.solution, None)


def answer_file(training: Training, everywhere: bool, target: str, budget: int, candidate: Candidate) -> MovesFile:
    """The file of an answer that was compiled."""
    from mallocgame.compiler.versions import installed_versions

    assert candidate.read is not None, "an answer was compiled"
    return MovesFile(
        training.name,
        target,
        budget,
        candidate.moves,
        dict(candidate.options),
        installed_versions(),
        candidate.read.device_bytes,
        candidate.seconds,
        everywhere,
        candidate.state,
        training.batch,
    )
