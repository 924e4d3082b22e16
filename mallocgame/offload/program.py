"""A user's training step: found at MODULE:FUNCTION, and made and lowered anew for each candidate."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mallocgame.compiler.stages import Lowering, in_one_line, lowering_of, parts_of
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.standing_in import following, policy
from mallocgame.offload.state import with_state_on_host
from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line
from mallocgame.system.reference import named_by

Remat = Callable[[Callable[..., Any]], Callable[..., Any]]
Build = Callable[..., Any]
"""A user's program: a function that gives a step and its abstract arguments; see ``Training``."""

BATCH = "batch"
"""Name of the argument that a function has that makes its step for any batch."""


@dataclass(frozen=True)
class Training:
    """A training step that can be made again and again.

    Attributes:
        name: for people.
        build: gives the step and its abstract arguments. It takes nothing; or first what to wrap each block in; or
            ``batch``; or both.
        batch: what it is given as batch; None where it is given none.
        state: leaf groups of the step's arguments that live in host memory (``mallocgame.offload.state``).
    """

    name: str
    build: Build = field(repr=False)
    batch: int | None = None
    state: tuple[str, ...] = ()

    @property
    def takes_remat(self) -> bool:
        """Whether it takes what to wrap each block in."""
        return any(each.name != BATCH and each.default is each.empty for each in _positional(self.build))

    @property
    def takes_batch(self) -> bool:
        """Whether it takes a batch."""
        return BATCH in inspect.signature(self.build).parameters

    def make(self) -> tuple[Any, Sequence[Any], Mapping[str, Any]]:
        """The step, its arguments and those by name, by the user's code as it is called now.

        Raises:
            BadInputError: the user's code fails, or gives something else.
        """
        try:
            return self._made()
        except BadInputError as error:
            raise BadInputError(f"{self.name}: {error}") from None
        except Exception as error:
            said = f"{type(error).__name__}: {one_line(error, 400)}"
            raise BadInputError(f"{self.name}: {said}; see docs/fit.md for what it takes") from None

    def _made(self) -> tuple[Any, Sequence[Any], Mapping[str, Any]]:
        if self.batch is not None and not self.takes_batch:
            raise BadInputError(f"takes no argument {BATCH!r}; see docs/fit.md")
        named = {} if self.batch is None else {BATCH: self.batch}
        program, arguments, by_name = parts_of(self.build(*([_remat] if self.takes_remat else []), **named))
        if self.state:
            program, arguments = with_state_on_host(program, arguments, by_name, self.state)
            by_name = {}
        return program, arguments, by_name


def _remat(block: Callable[..., Any]) -> Callable[..., Any]:
    import jax

    checkpointed: Callable[..., Any] = jax.checkpoint(block, policy=policy)
    return checkpointed


def _positional(build: Build) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in inspect.signature(build).parameters.values() if each.kind in kinds]


def load_training(program: str | Build, batch: int | None = None, state: tuple[str, ...] = ()) -> Training:
    """The training step at ``MODULE:FUNCTION``, or of a function at hand.

    Raises:
        BadInputError: there is none.
    """
    if not isinstance(program, str):
        return Training(getattr(program, "__name__", "program"), program, batch, state)
    try:
        found = named_by(program)
    except BadInputError:
        raise
    except Exception as error:
        raise BadInputError(f"{program}: cannot be loaded: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise BadInputError(f"{program}: is no function")
    return Training(program, found, batch, state)


def lower_training(training: Training, moves: NamedMoves, everywhere: bool, target: str) -> Lowering:
    """The lowered module of a training step whose blocks make these moves.

    Args:
        training: the step.
        moves: of its blocks.
        everywhere: whether all blocks make them, and not only those under ``mallocgame.policy``.
        target: e.g. ``"v5e"``.

    Raises:
        BadInputError: it cannot be lowered.
    """
    with following(moves, everywhere):
        program, arguments, by_name = training.make()
        try:
            return lowering_of(program, arguments, by_name, target, places=False)
        except Exception as error:
            raise BadInputError(f"{training.name}: {in_one_line(error)}") from None
