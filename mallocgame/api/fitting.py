"""The offload game: a training step made to fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mallocgame.api.arguments import PathLike, check_time_limit
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.offload.largest import Largest
    from mallocgame.offload.program import Build
    from mallocgame.offload.run import Fitted
    from mallocgame.offload.solver_name import SolverName
    from mallocgame.offload.verified import Verified


def fit(
    program: str | Build,
    *,
    target: str,
    budget: str | None = None,
    batch: int | None = None,
    host_state: Sequence[str] | None = None,
    solver: SolverName = "exact",
    time_limit: float = 30.0,
    seed: int = 0,
    compiles: int = 16,
    link: PathLike | None = None,
    out: PathLike | None = None,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> Fitted:
    """Which named residuals of a JAX program to keep, to offload to the host and to recompute, for a memory budget.

    JAX is imported in this process, for tracing, and its caches are cleared. For a TPU target the compiler confirms the
    answer, in a child process: the quickest program under M that it fits into the budget. For other devices the answer
    is the model's.

    Args:
        program: ``MODULE:FUNCTION`` of a training step, or the function itself (docs/fit.md). Or a file that ``solve``
            takes, for GPUs an HLO text: then there is a ``solution`` by the model, and no ``answer`` to be exported.
        target: a TPU target, or a device of ``mallocgame.offload.links.LINKS``.
        budget: bytes of device memory, or a share of what XLA's default needs, e.g. ``"50%"``; None for all that the
            compiler lets a program have.
        batch: for a function that takes one.
        host_state: leaf groups of the step's state that live on the host, e.g. ``["1[0].mu"]``; None for the largest,
            where nothing fits else.
        solver: one of ``mallocgame.offload.solver_name.SOLVERS``.
        time_limit: seconds of each solve.
        seed: of random choices.
        compiles: how many, XLA's default included; as many again with state on the host.
        link: a file of measured rates (`mallocgame.offload.links.read_link`) instead of the table.
        out: where to write the answer.
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
    found = run.fit(
        program,
        target,
        budget,
        batch=batch,
        host_state=host_state,
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


def fit_largest(
    program: str | Build,
    *,
    target: str,
    budget: str | None = None,
    step: int = 1,
    host_state: Sequence[str] | None = None,
    compiles: int = 48,
    link: PathLike | None = None,
    out: PathLike | None = None,
    cache: PathLike = "out/compiles",
    progress: Progress | None = None,
) -> Largest:
    """The largest batch of a training step that fits, and its time per sample beside that of a few smaller ones.

    Args:
        program: ``MODULE:FUNCTION``, or a function, that takes ``batch`` (docs/fit.md).
        target: a TPU target.
        budget: bytes of device memory; None for what the compiler lets a program have.
        step: only its multiples are batches.
        host_state: leaf groups of the step's state that live on the host.
        compiles: at most so many.
        link: as ``fit`` takes it.
        out: likewise; the answer is the policy of the largest batch.
        cache: as ``fit`` takes it.
        progress: likewise.

    Raises:
        BadInputError: the program takes no batch, or an argument cannot be used.
        NoAnswerError: not one sample fits.
    """
    from mallocgame.offload import largest
    from mallocgame.offload.moves_file import save_moves

    if out is not None:
        check_writable(out)
    found = largest.largest_batch(
        program,
        target,
        budget,
        step=step,
        host_state=tuple(host_state or ()),
        compiles=compiles,
        link=link,
        cache=cache,
        progress=progress or silent,
    )
    if out is not None:
        save_moves(found.answer, out)
    return found


def verify_fit(
    plan: PathLike,
    program: str | Build | None = None,
    *,
    link: PathLike | None = None,
    cache: PathLike = "out/compiles",
) -> Verified:
    """Compile a program under an answer of ``fit``, and read back its host copies and its device memory.

    Args:
        plan: the file of the answer.
        program: None for the ``MODULE:FUNCTION`` that the answer was found for.
        link: as ``fit`` takes it.
        cache: likewise.

    Raises:
        BadInputError: a damaged plan, or a program that cannot be used.
        CompilerRefusedError: the compiler refused the plan.
    """
    from mallocgame.offload.moves_file import load_moves
    from mallocgame.offload.verified import verify

    content = load_moves(plan)
    return verify(content, content.program if program is None else program, link=link, cache=cache)
