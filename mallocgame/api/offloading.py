"""The offload game."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mallocgame.api.arguments import PathLike, check_time_limit
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.offload.residuals import Build
    from mallocgame.offload.run import Offloaded, Verified
    from mallocgame.offload.solver_name import SolverName


def offload(
    program: str | Build,
    *,
    target: str,
    budget: str,
    solver: SolverName = "exact",
    time_limit: float = 30.0,
    seed: int = 0,
    compiles: int = 8,
    link: PathLike | None = None,
    out: PathLike | None = None,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> Offloaded:
    """Which named residuals of a JAX program to keep, to offload to the host and to recompute, for a memory budget.

    JAX is imported in this process, for tracing. For a TPU target the compiler confirms the answer, in a child process:
    the quickest program under M that it fits into the budget. For other devices the answer is the model's.

    Args:
        program: ``MODULE:FUNCTION`` of a builder, or the builder itself (docs/offload.md): it takes what to wrap each
            block in, and returns (step, abstract arguments). Or a file that ``solve`` takes, for GPUs an HLO text: then
            there is a ``solution`` by the model, and no ``answer`` that could be exported.
        target: a TPU target, or a device of ``mallocgame.offload.links.LINKS``.
        budget: bytes of device memory, or a share of what XLA's default needs, e.g. ``"50%"``.
        solver: one of ``mallocgame.offload.solver_name.SOLVERS``.
        time_limit: seconds of each solve.
        seed: of random choices.
        compiles: how many, XLA's default included.
        link: a file of measured rates (`mallocgame.offload.links.read_link`) instead of the table.
        out: where to write the plan.
        cache: folder of finished compiles.
        progress: called with one line at each step.

    Returns:
        ``answer.moves.policy`` is the policy for ``jax.checkpoint``; without an answer nothing is written.

    Raises:
        BadInputError: the program, the target, the budget or a file cannot be used.
        CompilerRefusedError, NoAnswerError: there is no compiler, or a compile takes too long.
    """
    from mallocgame.offload import run
    from mallocgame.offload.moves_file import save_moves

    check_time_limit(time_limit)
    if out is not None:
        check_writable(out)
    found = run.offload(
        program,
        target,
        budget,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        compiles=compiles,
        link=link,
        cache=cache,
        progress=progress or silent,
    )
    if out is not None and found.answer is not None:
        save_moves(found.answer, out)
    return found


def verify_offload(
    plan: PathLike, program: str | Build, *, link: PathLike | None = None, cache: PathLike = "out/compiles"
) -> Verified:
    """Compile a program under a plan of ``offload``, and read back its host copies and its device memory.

    Raises:
        BadInputError: a damaged plan, or a program that cannot be used.
        CompilerRefusedError: the compiler refused the plan.
    """
    from mallocgame.offload import run
    from mallocgame.offload.moves_file import load_moves

    return run.verify(load_moves(plan), program, link=link, cache=cache)
