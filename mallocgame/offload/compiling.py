"""Who compiles a training step's candidates for a TPU."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mallocgame.offload.candidates import CompileMoves, DoesNotFitError
from mallocgame.offload.compiled import ReadBack, read_back
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.program import Training, lower_training
from mallocgame.problem.chips import Link
from mallocgame.problem.targets import get_target
from mallocgame.programs.environment import init_args_of


def compiler_of(
    training: Training, everywhere: bool, target: str, link: Link, cache: str | os.PathLike[str]
) -> CompileMoves:
    """Who compiles a program for a target, under the flags of ``LIBTPU_INIT_ARGS``.

    Finished compiles are kept in the folder ``cache``.

    Args:
        training: the program.
        everywhere: whether all checkpointed blocks make the moves, and not only those under ``mallocgame.policy``.
        target: of the compiler.
        link: between device and host.
        cache: the folder.
    """
    from mallocgame.compiler.cache import CompileCache
    from mallocgame.compiler.capturing import peak_hbm
    from mallocgame.compiler.child import QUIET_VMODULE, Request
    from mallocgame.compiler.failures import OutOfMemoryError

    compiles = CompileCache(cache)
    flags = init_args_of(os.environ)[0]

    def compile(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
        lowering = lower_training(training, moves, everywhere, target)
        every = {**lowering.options, **options}
        request = Request(
            lowering.topology, lowered=lowering.text, options=every, init_args=flags, vmodule=QUIET_VMODULE
        )
        try:
            return read_back(compiles(request), get_target(target), link)
        except OutOfMemoryError as error:
            if error.left is None:
                raise
            raise DoesNotFitError(str(error), peak_hbm(error.left.memory_usage)) from None

    return compile
