"""The blocks of a program under ``jax.checkpoint``: seen, and told another policy, while the program is traced.

``jax.checkpoint``, ``jax.remat``, flax's ``remat`` and those of other libraries all end in one primitive of JAX. To
stand there reaches blocks that were wrapped when their module was imported, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mallocgame.system.errors import BadInputError

Policy = Callable[..., Any]


def unchecked(primitive: Any, *avals: Any, **parameters: Any) -> bool:
    """In place of a policy: the block is not checkpointed. It saves everything wherever it is asked."""
    return True


@dataclass(frozen=True, eq=False)
class Block:
    """One call of a block.

    Attributes:
        jaxpr: what it computes; closed.
        arguments: their abstract values.
        policy: that the program gives it; None for JAX's default.
    """

    jaxpr: Any
    arguments: tuple[Any, ...]
    policy: Policy | None

    @property
    def function(self) -> Callable[..., Any]:
        """The block as a function of its flat arguments."""
        from jax.extend.core import jaxpr_as_fun

        function: Callable[..., Any] = jaxpr_as_fun(self.jaxpr)
        return function


@contextmanager
def taken_over(treat: Callable[[Block], Policy | None]) -> Iterator[None]:
    """In this context ``treat`` says under which policy each block is traced: ``unchecked`` for none, None for its own.

    JAX keeps what it has traced, and would answer with it: its caches are cleared before and after.

    Raises:
        BadInputError: this JAX has no place to stand.
    """
    import jax
    from jax import clear_caches
    from jax.extend import core

    try:
        from jax.extend.core.primitives import remat_p
    except ImportError:
        raise BadInputError(f"this jax ({jax.__version__}) does not say what jax.checkpoint ends in") from None
    primitive: Any = remat_p
    own, kept = primitive.bind, primitive.__dict__.get("bind")
    told: dict[int, Policy] = {}
    shaped: Any = jax.ShapeDtypeStruct
    closed: Any = vars(core)["ClosedJaxpr"]  # in newer JAX another name of Jaxpr, which types do not tell
    clear: Callable[[], None] = clear_caches

    def bind(*arguments: Any, **parameters: Any) -> Any:
        if parameters["differentiated"] or id(parameters["policy"]) in told:
            return own(*arguments, **parameters)  # of a block that was treated when it was bound first
        jaxpr = closed(parameters["jaxpr"], ())
        avals = tuple(shaped(each.shape, each.dtype) for each in jaxpr.in_avals)
        chosen = treat(Block(jaxpr, avals, parameters["policy"]))
        if chosen is None:
            return own(*arguments, **parameters)
        if chosen is unchecked:
            return core.jaxpr_as_fun(jaxpr)(*arguments)
        told[id(chosen)] = chosen
        return own(*arguments, **{**parameters, "policy": chosen})

    clear()
    primitive.bind = bind
    try:
        yield
    finally:
        if kept is None:
            del primitive.bind
        else:
            primitive.bind = kept
        clear()
