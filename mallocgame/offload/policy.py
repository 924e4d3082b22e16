"""What a plan tells JAX: a checkpoint policy by name, and the same as Python to paste.

A residual is kept, offloaded or recomputed by its name. Everything without a name is recomputed in the backward pass of
its block; what a block is given is kept by JAX itself unless the block names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mallocgame.offload.problem import Move, OffloadProblem

HOST = "pinned_host"
"""JAX's memory kind of host memory that a device can copy from and to."""

AS_WRITTEN = "as written"
"""The policies that the program itself has."""

READY = ("dots_saveable", "dots_with_no_batch_dims_saveable")
"""JAX's ready policies that people choose first."""


@dataclass(frozen=True)
class NamedMoves:
    """What checkpointed blocks do: the move of each named residual, one of JAX's ready policies, or no checkpointing.

    Attributes:
        moves: by name; None for XLA's default, which checkpoints nothing, and for ``ready``.
        ready: name of a policy of ``jax.checkpoint_policies``, or ``AS_WRITTEN``; empty for ``moves``.
    """

    moves: Mapping[str, Move] | None
    ready: str = ""

    @property
    def unchecked(self) -> bool:
        """Whether blocks are not checkpointed at all."""
        return self.moves is None and not self.ready

    @property
    def as_written(self) -> bool:
        """Whether blocks keep the policies that the program gives them."""
        return self.ready == AS_WRITTEN

    def names(self, move: Move) -> list[str]:
        """The names that make this move, in the order of the program."""
        return [name for name, made in (self.moves or {}).items() if made == move]

    @property
    def policy(self) -> Callable[..., Any]:
        """The policy for ``jax.checkpoint`` (also known as ``jax.remat``); JAX is imported here.

        Without moves everything is saved, as JAX does without ``jax.checkpoint``.
        """
        import jax

        if self.ready and not self.as_written:
            ready: Callable[..., Any] = getattr(jax.checkpoint_policies, self.ready)
            return ready
        if self.moves is None:
            everything: Callable[..., Any] = jax.checkpoint_policies.everything_saveable
            return everything
        policy: Callable[..., Any] = jax.checkpoint_policies.save_and_offload_only_these_names(
            names_which_can_be_saved=self.names("keep"),
            names_which_can_be_offloaded=self.names("offload"),
            offload_src="device",
            offload_dst=HOST,
        )
        return policy

    def remat(self, block: Callable[..., Any]) -> Callable[..., Any]:
        """The block under the policy, or as it is where there is no plan."""
        import jax

        if self.unchecked:
            return block
        checkpointed: Callable[..., Any] = jax.checkpoint(block, policy=self.policy)
        return checkpointed

    def to_python(self) -> str:
        """Python that a user can paste: ``policy`` and ``remat``."""
        if self.as_written:
            return "# The policies of the program stay as they are.\n"
        if self.ready:
            lines = ["import functools", "", "import jax", "", f"policy = jax.checkpoint_policies.{self.ready}"]
            return "\n".join([*lines, "remat = functools.partial(jax.checkpoint, policy=policy)"]) + "\n"
        if self.moves is None:
            return "# Everything fits: the blocks stay as they are.\n\n\ndef remat(block):\n    return block\n"
        kept, offloaded = self.names("keep"), self.names("offload")
        lines = [
            "import functools",
            "",
            "import jax",
            "",
            f"# Recomputed in the backward pass: {', '.join(self.names('recompute')) or 'no named residual'}.",
            "policy = jax.checkpoint_policies.save_and_offload_only_these_names(",
            f"    names_which_can_be_saved={kept!r},",
            f"    names_which_can_be_offloaded={offloaded!r},",
            '    offload_src="device",',
            f'    offload_dst="{HOST}",',
            ")",
            "remat = functools.partial(jax.checkpoint, policy=policy)",
        ]
        return "\n".join(lines) + "\n"


def named_moves(problem: OffloadProblem, moves: Sequence[Sequence[Move]]) -> NamedMoves:
    """What moves in the gaps of a problem of named residuals tell JAX."""
    decided = {tensor.decided_as: made[0] for tensor, made in zip(problem.tensors, moves, strict=True)}
    return NamedMoves({**dict.fromkeys((near.name for near in problem.near), "keep"), **decided})
