"""An answer of ``fit``, compiled anew."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from mallocgame.offload.compiled import ReadBack
from mallocgame.offload.compiling import compiler_of
from mallocgame.offload.links import choose_link
from mallocgame.offload.moves_file import MovesFile
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.program import Build, load_training
from mallocgame.problem.targets import TARGETS
from mallocgame.system.errors import BadInputError, CompilerRefusedError


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
    """Compile the program under a file's plan and read it back; see ``mallocgame.api.verify_fit``."""
    if content.target not in TARGETS:
        raise BadInputError(
            f"no compiler for {content.target} here: only TPU targets can be verified without the device"
        )
    between = choose_link(content.target, link)
    training = load_training(program, content.batch, content.state)
    planned = compiler_of(training, content.everywhere, content.target, between, cache)(content.moves, content.options)
    plain = compiler_of(replace(training, state=()), content.everywhere, content.target, between, cache)
    try:
        default = plain(NamedMoves(None), {})
    except CompilerRefusedError:
        default = None
    return Verified(content, planned, default)
