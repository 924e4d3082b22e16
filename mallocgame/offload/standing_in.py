"""The policy that stands in: ``jax.checkpoint(block, policy=mallocgame.policy)`` does what an answer says.

What a policy decides is fixed while a gradient is traced. So there is one answer at a time: of ``applied``, or of
``fit`` for each candidate; else of the file that the environment variable ``MALLOCGAME_POLICY`` names; else none, and
the policy is JAX's own default, which saves nothing. JAX is imported when the policy is asked, and not before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mallocgame.offload.moves_file import load_moves
from mallocgame.offload.policy import NamedMoves

if TYPE_CHECKING:
    from mallocgame.offload.blocks import Block, Policy

VARIABLE = "MALLOCGAME_POLICY"
"""Environment variable: the path of a file that ``fit`` has written."""

_answers: list[Callable[..., Any]] = []
"""Policies of the contexts that are entered, the innermost last."""


def policy(primitive: Any, *avals: Any, **parameters: Any) -> Any:
    """What JAX does with a value of a checkpointed block, by the answer at hand.

    Raises:
        BadInputError: the file that ``MALLOCGAME_POLICY`` names cannot be read.
    """
    if _answers:
        return _answers[-1](primitive, *avals, **parameters)
    path = os.environ.get(VARIABLE, "")
    if path:
        return _kept(path, os.stat(path).st_mtime_ns if os.path.exists(path) else 0)(primitive, *avals, **parameters)
    return _by_default()(primitive, *avals, **parameters)


@lru_cache(maxsize=8)
def _kept(path: str, changed: int) -> Callable[..., Any]:
    """The policy of a file, which is read again when it has changed."""
    return load_moves(path).moves.policy


@lru_cache(maxsize=1)
def _by_default() -> Callable[..., Any]:
    import jax

    nothing: Callable[..., Any] = jax.checkpoint_policies.nothing_saveable
    return nothing


@contextmanager
def applied(answer: str | os.PathLike[str]) -> Iterator[None]:
    """In this context what is traced does what the answer of a file says, without a change of its code.

    Of a program with blocks under ``policy=mallocgame.policy`` these do; where ``fit`` found none, all blocks under
    ``jax.checkpoint``, whatever their policies. JAX's caches are cleared before and after: what was traced without the
    answer would be taken for what is traced with it. State on the host is left to the user.

    Args:
        answer: a file that ``fit`` has written.

    Raises:
        BadInputError: the file cannot be used, or this JAX cannot be told.
    """
    content = load_moves(answer)
    with following(content.moves, content.everywhere):
        yield


@contextmanager
def following(moves: NamedMoves, everywhere: bool) -> Iterator[None]:
    """The same for moves.

    Args:
        moves: that blocks make.
        everywhere: whether all blocks do, and not only those under ``policy``.

    Raises:
        BadInputError: this JAX cannot be told.
    """
    from mallocgame.offload.blocks import taken_over, unchecked

    chosen = unchecked if moves.unchecked else moves.policy

    def treat(block: Block) -> Policy | None:
        return None if moves.as_written or not (everywhere or block.policy is policy) else chosen

    _answers.append(chosen)
    try:
        with taken_over(treat):
            yield
    finally:
        _answers.pop()
