"""What part a buffer plays in a program: weights, what the backward pass needs, gradients. Rules: docs/memory.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from mallocgame.report.memory.flow import Flow, Origin, Use
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.passes import Pass, op_name_of, pass_of
from mallocgame.report.memory.use import Kind, Role
from xla_dump_parser import ArrayShape, AssignedValue
from xla_dump_parser.hlo import HloModule, Instruction

Shaped = tuple[str, tuple[int, ...]]
"""Element type and dimensions."""

_ALIAS = re.compile(r"\{([\d, ]*)\}\s*:\s*\(\s*(\d{1,9})\s*,")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NAMED: tuple[tuple[frozenset[str], Role], ...] = (
    (
        frozenset({"opt_state", "optimizer_state", "optimizer", "opt", "mu", "nu", "momentum", "velocity"}),
        "optimizer state",
    ),
    (frozenset({"grad", "grads", "gradients"}), "gradients"),
    (
        frozenset({"params", "param", "parameters", "weights", "weight", "kernel", "bias", "scale", "embedding"}),
        "weights",
    ),
)
"""Words of an argument's path, as optax, flax and haiku name what they keep; the first that is met counts."""


def named_role(path: str) -> Role | None:
    """The role that an argument's path says; None where it says none."""
    words = frozenset(word.lower() for word in _WORD.findall(path))
    return next((role for names, role in _NAMED if words & names), None)


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
        self._entry: dict[int, Instruction] = {}
        for step in module.entry.instructions:
            literal = (step.literal or "").strip()
            if step.opcode == "parameter" and literal.isdigit():
                self._entry[int(literal)] = step
        self._new_values = new_values(module, lives)
        self._outputs, self._gradients = self._of_outputs()
        self._arguments: dict[int, Role] = {}

    def of(self, value: AssignedValue, kind: Kind) -> Role:
        """The role of a value that is a buffer of this kind."""
        number = self._lives.number_of(value)
        if kind in ("constant", "thread-local") or not isinstance(value.shape, ArrayShape):
            return "other"
        if number is None:
            return "not known"
        origins = self._flow.origins(number)
        if not origins:  # constants as yet: what a loop writes into them counts
            carried = (self._flow.origins(one) for one in self._flow.carried(number))
            origins = next((found for found in carried if found), origins)
        if not origins:
            return "other"
        roles = {self._of_origin(origin, number) for origin in origins}
        if kind == "output" and self._flow.trains and roles == {"other"}:
            return "not known"  # the new value of some state that is not donated, or a result
        if len(roles) > 1:
            roles.discard("inputs")  # the first of a stack of what layers begin with is the input itself
        return roles.pop() if len(roles) == 1 else "not known"

    def _of_origin(self, origin: Origin, number: int) -> Role:
        if origin.kind == "collective":
            return "collective buffers"
        if origin.argument is not None:
            return self._of_argument(origin.argument)
        if origin.part is None:
            return "not known"
        if origin.part == "forward":
            read = any(use.part in ("backward", "recomputed") for use in self._flow.uses(number))
            return "saved activations" if read else "forward values"
        if origin.part == "backward":
            return "gradients" if _has_gradients(self._lives.dataflow.values[number].shape) else "other"
        return "recomputed activations" if origin.part == "recomputed" else "other"

    def _of_outputs(self) -> tuple[Counter[Shaped], Counter[Shaped]]:
        """Of the program's outputs, and of those that its backward pass makes."""
        numbers = self._lives.dataflow.at[self._lives.schedule.entry_root].values()
        shapes = [(number, _shaped(self._lives.dataflow.values[number].shape)) for number in numbers]
        backward = (shaped for number, shaped in shapes if self._parts(number) == {"backward"})
        return Counter(shaped for _, shaped in shapes), Counter(backward)

    def _parts(self, number: int | None) -> set[Pass | None]:
        if number is None:
            return set()
        return {origin.part for origin in self._flow.origins(number)}

    def _of_argument(self, number: int) -> Role:
        role = self._arguments.get(number)
        if role is None:
            role = self._arguments[number] = self._argument(number)
        return role

    def _argument(self, number: int) -> Role:
        step = self._entry[number]
        named = named_role(op_name_of(step))
        if not self._flow.trains or not isinstance(step.shape, ArrayShape):
            return named or "inputs"
        uses = list(self._flow.uses(self._lives.dataflow.at[self._lives.schedule.times[step.name]][()]))
        if any(use.part is None for use in uses):
            return named or "not known"
        passes = {use.part for use in uses}
        updated = self._is_updated(number, step.shape, uses)
        if updated and passes == {"outside"}:
            return "optimizer state"
        if updated and _has_gradients(step.shape) and self._parts(self._new_values.get(number)) != {"forward"}:
            return "weights"
        return named or self._with_gradient(step.shape)

    def _with_gradient(self, shape: ArrayShape) -> Role:
        """Of an argument that both passes read: weights where a gradient of its shape is given back for each."""
        same = sum(
            isinstance(one.shape, ArrayShape) and _shaped(one.shape) == _shaped(shape) for one in self._entry.values()
        )
        given = self._gradients[_shaped(shape)]
        if not given or not _has_gradients(shape):
            return "inputs"
        return "weights" if same <= given else "not known"

    def _is_updated(self, number: int, shape: ArrayShape, uses: list[Use]) -> bool:
        """Whether the program gives back a new value of an argument.

        It takes the argument's place; or an output has its shape, and something of its shape outside of both passes
        reads it.
        """
        if number in self._new_values:
            return True
        written = any(use.part == "outside" and use.dims == shape.dims for use in uses)
        return written and _shaped(shape) in self._outputs


def new_values(module: HloModule, lives: Lives) -> dict[int, int]:
    """Of each parameter that is given back as an output, the number of the value that is."""
    given = lives.dataflow.at[lives.schedule.entry_root]
    found = {}
    for match in _ALIAS.finditer(module.header.get("input_output_alias", "")):
        value = given.get(tuple(int(part) for part in match[1].split(",") if part.strip()))
        if value is not None:
            found[int(match[2])] = value
    return found


def _shaped(shape: ArrayShape) -> Shaped:
    return shape.dtype, shape.dims


def _has_gradients(shape: ArrayShape) -> bool:
    """Whether arrays of this type have gradients: floating-point and complex ones."""
    return shape.dtype.startswith(("f", "bf", "c"))
