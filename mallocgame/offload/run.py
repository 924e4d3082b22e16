"""The command's whole way: a program, a device and a budget in; the answer, as moves of names, out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mallocgame.offload.compiled import ReadBack, read_back
from mallocgame.offload.confirm import Candidate, CompileMoves, Confirmed, confirm
from mallocgame.offload.judge import replay
from mallocgame.offload.links import LINKS, get_link, read_link
from mallocgame.offload.module_problem import gpu_target, module_problem
from mallocgame.offload.moves_file import MovesFile
from mallocgame.offload.policy import NamedMoves, named_moves
from mallocgame.offload.problem import OffloadProblem
from mallocgame.offload.program import load_program, lower_program
from mallocgame.offload.residuals import Build, read_residuals
from mallocgame.offload.rules import keep_all, play
from mallocgame.offload.solve import OffloadSolution, solve
from mallocgame.offload.solver_name import SolverName
from mallocgame.problem.chips import Link
from mallocgame.problem.targets import TARGETS, get_target
from mallocgame.programs.environment import flag_notes, init_args_of
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from mallocgame.system.progress import Progress

_BUDGET = re.compile(r"(\d{1,18})|(\d{1,3}(?:\.\d{1,3})?)\s?%")


@dataclass(frozen=True)
class Offloaded:
    """What came out.

    Attributes:
        answer: as a file has it; None where nothing fits.
        problem: the model.
        budget: bytes.
        solution: of the last solve that had a plan.
        confirmed: what the compiler made of it; None where there is no compiler for the target here.
    """

    answer: MovesFile | None
    problem: OffloadProblem
    budget: int
    solution: OffloadSolution | None
    confirmed: Confirmed | None

    @property
    def only_modelled(self) -> bool:
        """Whether there is a plan that nothing can be told to follow: the model's, for a compiled module."""
        return self.answer is None and self.confirmed is None and self.solution is not None and bool(self.solution.plan)

    @property
    def proven_infeasible(self) -> bool:
        """Whether no plan fits, by proof of the model."""
        if self.confirmed is not None:
            return self.confirmed.proven_infeasible
        return self.solution is not None and self.solution.status == "infeasible"


def budget_bytes(text: str, default: int) -> int:
    """A budget, e.g. ``"50%"`` of what XLA's default needs, or bytes.

    Raises:
        BadInputError: it is neither, or nothing.
    """
    found = _BUDGET.fullmatch(text.strip())
    amount = 0 if found is None else int(found[1]) if found[1] else int(default * float(found[2]) / 100)
    if amount <= 0:
        raise BadInputError(f"{text!r} is no budget: give bytes, or a share of what XLA's default needs such as 50%")
    return amount


def choose_link(target: str, link: str | os.PathLike[str] | None) -> Link:
    """The link of a target: from a file, or of the table.

    Raises:
        BadInputError: neither is known.
    """
    return get_link(target) if link is None else read_link(link)


def offload(
    program: str | Build,
    target: str,
    budget: str,
    *,
    solver: SolverName,
    time_limit: float,
    seed: int,
    compiles: int,
    link: str | os.PathLike[str] | None,
    cache: str | os.PathLike[str],
    progress: Progress,
) -> Offloaded:
    """Find what to keep, offload and recompute; see ``mallocgame.api.offload``."""
    budget_bytes(budget, 2**40)
    if target not in TARGETS and target not in LINKS and link is None:
        known = dict.fromkeys([*TARGETS, *LINKS])
        raise BadInputError(f"unknown target {target!r}; known: {', '.join(map(repr, known))}")
    between = choose_link(target, link)
    if isinstance(program, str) and os.path.exists(program):
        return _of_file(program, target, between, budget, solver, time_limit, seed)
    name = program if isinstance(program, str) else getattr(program, "__name__", "program")
    build = load_program(program) if isinstance(program, str) else program
    for note in flag_notes(os.environ) if target in TARGETS else ():
        progress(note)
    problem = read_residuals(build, between, name)
    progress(f"{name}: {len(problem.tensors)} residuals of {len({t.decided_as for t in problem.tensors})} names")
    if target not in TARGETS:
        return _modelled(problem, name, target, budget, solver, time_limit, seed)
    confirmed = confirm(
        problem,
        lambda default: budget_bytes(budget, default),
        compiler_of(build, target, between, cache),
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        compiles=compiles,
        progress=progress,
    )
    answer = None
    if confirmed.answer is not None:
        answer = _file(name, target, confirmed.budget, confirmed.answer)
    return Offloaded(answer, confirmed.problem, confirmed.budget, confirmed.solution, confirmed)


def _modelled(
    problem: OffloadProblem, name: str, target: str, budget: str, solver: SolverName, time_limit: float, seed: int
) -> Offloaded:
    """By the model alone, where no compiler can be asked; a share is of what the model holds with everything kept."""
    kept = play(problem, keep_all(problem), 0)
    assert kept is not None, "to keep everything needs no copy"
    size = budget_bytes(budget, replay(problem, kept.plan).peak)
    solution = solve(problem, size, solver=solver, time_limit=time_limit, seed=seed)
    answer = None
    if solution.plan is not None and solution.judged is not None:
        moves, judged = named_moves(problem, solution.plan.moves), solution.judged
        answer = MovesFile(name, target, size, moves, {}, {}, judged.peak, judged.seconds)
    return Offloaded(answer, problem, size, solution, None)


def _of_file(
    path: str, target: str, link: Link, budget: str, solver: SolverName, time_limit: float, seed: int
) -> Offloaded:
    """A capture, dump or HLO text: what offloading could do, by the model alone; nothing of it can be exported."""
    from mallocgame.problem.build import build_problem
    from mallocgame.programs.loading import load
    from xla_dump_parser import read_hlo

    whole = load(path, target).problem if target in TARGETS else build_problem(read_hlo(path), gpu_target(link))
    problem = module_problem(whole, link)
    found = _modelled(problem, path, target, budget, solver, time_limit, seed)
    return Offloaded(None, found.problem, found.budget, found.solution, None)


def _file(name: str, target: str, budget: int, candidate: Candidate) -> MovesFile:
    from mallocgame.compiler.versions import installed_versions

    assert candidate.read is not None, "an answer was compiled"
    read = candidate.read
    return MovesFile(
        name,
        target,
        budget,
        candidate.moves,
        dict(candidate.options),
        installed_versions(),
        read.device_bytes,
        read.seconds["M"],
    )


def compiler_of(build: Build, target: str, link: Link, cache: str | os.PathLike[str]) -> CompileMoves:
    """Who compiles a program for a target, under the flags of ``LIBTPU_INIT_ARGS``.

    Finished compiles are kept in the folder ``cache``.
    """
    from mallocgame.compiler.cache import CompileCache
    from mallocgame.compiler.child import QUIET_VMODULE, Request
    from mallocgame.compiler.devices import devices_of
    from mallocgame.problem.targets import topology_for

    compiles = CompileCache(cache)
    flags = init_args_of(os.environ)[0]

    def compile(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
        lowered = lower_program(build, moves, target)
        topology = topology_for(target, devices_of(lowered))
        request = Request(topology, lowered=lowered, options=dict(options), init_args=flags, vmodule=QUIET_VMODULE)
        return read_back(compiles(request), get_target(target), link)

    return compile


@dataclass(frozen=True)
class Verified:
    """A file's plan, compiled anew.

    Attributes:
        content: of the file.
        plan: what the compiler made of it.
        default: of XLA's default; None where it is refused.
    """

    content: MovesFile
    plan: ReadBack
    default: ReadBack | None

    @property
    def fits(self) -> bool:
        """Whether it needs no more than the budget."""
        return self.plan.device_bytes <= self.content.budget


def verify(
    content: MovesFile, program: str | Build, *, link: str | os.PathLike[str] | None, cache: str | os.PathLike[str]
) -> Verified:
    """Compile the program under a file's plan and read it back; see ``mallocgame.api.verify_offload``."""
    if content.target not in TARGETS:
        raise BadInputError(
            f"no compiler for {content.target} here: only TPU targets can be verified without the device"
        )
    between = choose_link(content.target, link)
    build = load_program(program) if isinstance(program, str) else program
    compile = compiler_of(build, content.target, between, cache)
    planned = compile(content.moves, content.options)
    try:
        default = compile(NamedMoves(None), {})
    except CompilerRefusedError:
        default = None
    return Verified(content, planned, default)
