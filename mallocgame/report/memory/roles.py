"""What part a buffer plays in a program: weights, what the backward pass needs, gradients. Rules: docs/memory.md."""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.report.memory.arguments import Arguments, named_role
from mallocgame.report.memory.flow import Flow, Origin
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.passes import has_gradients, pass_of
from mallocgame.report.memory.use import Kind, Role
from xla_dump_parser import ArrayShape, AssignedValue
from xla_dump_parser.hlo import HloModule

_STATE: frozenset[Role] = frozenset({"weights", "optimizer state"})


def said_role(kind: Kind, op_name: str) -> Role:
    """Of a buffer of which nothing but its ``op_name`` is known, as a compiler's message has it."""
    if kind in ("argument", "aliased"):
        return named_role(op_name) or "not known"
    if kind != "temporary":
        return "other"
    found: Mapping[str | None, Role] = {"backward": "gradients", "recomputed": "recomputed activations"}
    return found.get(pass_of(op_name), "not known")


class Roles:
    """The roles of a module's buffers.

    Args:
        module: after memory space assignment.
        lives: of the module.
        flow: likewise.
    """

    def __init__(self, module: HloModule, lives: Lives, flow: Flow) -> None:
        self._lives, self._flow = lives, flow
        self._arguments = Arguments(module, lives, flow)

    def of(self, value: AssignedValue, kind: Kind) -> Role:
        """The role of a value that is a buffer of this kind."""
        number = self._lives.number_of(value)
        if kind in ("constant", "thread-local") or not isinstance(value.shape, ArrayShape):
            return "other"
        if number is None:
            return "not known"
        origins = self._flow.origins(number)
        if not origins:  # constants as yet: what a loop writes into them counts
            carried = (self._flow.origins(one) for one in self._flow.graph.carried(number))
            origins = next((found for found in carried if found), origins)
        roles = {self._of_origin(origin, number) for origin in origins} or {"other"}
        if kind == "output" and roles == {"other"} and origins and self._arguments.trains:
            return self._arguments.role_of_new(number)
        if len(roles) > 1:
            roles.discard("other inputs")  # the first of a stack of what layers begin with is the input itself
        if roles & _STATE:
            roles.discard("other")  # a loop carries an argument, and then its new value
        return roles.pop() if len(roles) == 1 else "not known"

    def _of_origin(self, origin: Origin, number: int) -> Role:
        if origin.kind == "collective":
            return "collective buffers"
        if origin.argument is not None:
            return self._arguments.role(origin.argument)
        if origin.part is None:
            return "not known"
        if origin.part == "forward":
            read = any(use.part in ("backward", "recomputed") for use in self._flow.uses(number))
            return "saved activations" if read else "forward values"
        if origin.part == "backward":
            return "gradients" if has_gradients(self._lives.dataflow.values[number].shape) else "other"
        return "recomputed activations" if origin.part == "recomputed" else "other"
