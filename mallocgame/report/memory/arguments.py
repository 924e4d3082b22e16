"""What part each argument of a program plays: by who reads it, what is given back for it, and its name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

from mallocgame.report.memory.flow import Flow
from mallocgame.report.memory.graph import dims_of, number_of_parameter
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.passes import Pass, has_gradients, op_name_of, pass_of
from mallocgame.report.memory.use import Role
from xla_dump_parser import ArrayShape
from xla_dump_parser.hlo import HloModule, Instruction

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
"""Words of an argument's path, as optax, flax and others name what they keep; the first row that has one counts."""

_ALIAS = re.compile(r"\{([\d, ]*)\}\s*:\s*\(\s*(\d{1,9})\s*,")
Shaped = tuple[str, tuple[int, ...]]
"""Element type and dimensions."""


def named_role(path: str) -> Role | None:
    """The role that an argument's path says; None where it says none."""
    words = frozenset(word.lower() for word in _WORD.findall(path))
    return next((role for names, role in _NAMED if words & names), None)


class Arguments:
    """The roles of a module's arguments, and of what is given back for them.

    Args:
        module: after memory space assignment.
        lives: of the module.
        flow: likewise.
    """

    def __init__(self, module: HloModule, lives: Lives, flow: Flow) -> None:
        self._lives, self._flow = lives, flow
        self._entry: dict[int, Instruction] = {}
        for step in module.entry.instructions:
            number = number_of_parameter(step) if step.opcode == "parameter" else None
            if number is not None:
                self._entry[number] = step
        self._new_values = _new_values(module, lives)
        self._known: dict[int, Role] = {}
        self._sources_of: dict[int, frozenset[int]] = {}

    @cached_property
    def trains(self) -> bool:
        """Whether the program takes a gradient: it has instructions of a backward pass."""
        return any(pass_of(op_name_of(step)) == "backward" for step in self._lives.schedule.steps)

    def role(self, number: int) -> Role:
        """Of an argument, by its number."""
        role = self._known.get(number)
        if role is None:
            role = self._known[number] = self._role(self._entry[number])
        return role

    def role_of_new(self, value: int) -> Role:
        """Of an output that is computed outside of both passes: the role of the argument that it is the new value of.

        That is one of those of its dimensions that it is computed from element by element. A new weight is computed
        from all that its optimizer keeps; so that of several outputs from one weight, the one from most is the weight.
        """
        sources = self._sources(value)
        if len(sources) == 1:
            return self.role(*sources)
        weights = [number for number in sources if self.role(number) == "weights"]
        if len(weights) != 1 or {self.role(number) for number in sources} != {"weights", "optimizer state"}:
            return "not known"
        rivals = [self._sources(one) for one in self._made_from[weights[0]] if one != value]
        if all(one < sources for one in rivals):
            return "weights"
        return "optimizer state" if any(sources < one for one in rivals) else "not known"

    @cached_property
    def _made_from(self) -> Mapping[int, Sequence[int]]:
        """Of each argument the outputs that are computed from it."""
        found: dict[int, list[int]] = {number: [] for number in self._entry}
        for value in self._outputs:
            for number in self._sources(value):
                found[number].append(value)
        return found

    def _sources(self, value: int) -> frozenset[int]:
        found = self._sources_of.get(value)
        if found is None:
            dims = self._flow.graph.dims(value)
            found = frozenset(one for one in self._flow.arguments(value) if dims_of(self._entry[one]) == dims)
            self._sources_of[value] = found
        return found

    @cached_property
    def _outputs(self) -> frozenset[int]:
        return frozenset(self._lives.dataflow.at[self._lives.schedule.entry_root].values())

    @cached_property
    def _taken(self) -> frozenset[int]:
        """The outputs that take arguments' places."""
        return frozenset(self._new_values.values())

    @cached_property
    def _gradients(self) -> Counter[Shaped]:
        """Of the outputs that the backward pass makes."""
        values = self._lives.dataflow.values
        return Counter(_shaped(values[one].shape) for one in self._outputs if self._parts(one) == {"backward"})

    def _parts(self, value: int) -> set[Pass | None]:
        return {origin.part for origin in self._flow.origins(value)}

    def _role(self, step: Instruction) -> Role:
        named, number = named_role(op_name_of(step)), number_of_parameter(step)
        if not self.trains or not isinstance(step.shape, ArrayShape):
            return named or "other inputs"
        value = self._lives.dataflow.at[self._lives.schedule.times[step.name]][()]
        passes = self._flow.passes(value)
        if None in passes and passes <= {None, "outside"}:
            return named or "not known"
        if number is not None and self._is_given_back(number):
            if passes == {"outside"} and not self._flow.is_for_a_pass(value):
                return "optimizer state"
            if has_gradients(step.shape) and self._is_computed_anew(number):
                return "weights"
        return named or self._with_gradient(step.shape)

    def _with_gradient(self, shape: ArrayShape) -> Role:
        """Of an argument that both passes read: weights where as many gradients of its shape are given back."""
        given = self._gradients[_shaped(shape)] if has_gradients(shape) else 0
        if not given:
            return "other inputs"
        shapes = (step.shape for step in self._entry.values())
        same = sum(isinstance(one, ArrayShape) and _shaped(one) == _shaped(shape) for one in shapes)
        return "weights" if same <= given else "not known"

    def _is_given_back(self, number: int) -> bool:
        """Whether an output takes an argument's place, or takes none and is computed from it."""
        return number in self._new_values or not self._taken.issuperset(self._made_from[number])

    def _is_computed_anew(self, number: int) -> bool:
        """Whether an output is computed from an argument, outside of both passes.

        Which output takes its place does not say so: JAX pairs donated arguments with outputs of their shapes. Where
        nothing is known to be computed from it, one of unknown sources, that the forward pass does not make, will do.
        """
        new = self._new_values.get(number)
        if self._made_from[number] or new is None:
            return True
        return not self._sources(new) and self._parts(new) != {"forward"}


def _new_values(module: HloModule, lives: Lives) -> dict[int, int]:
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
