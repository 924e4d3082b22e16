"""A module whose computations have been changed: records as ``xla_dump_parser.hlo`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from xla_dump_parser import hlo


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction that is another's with some fields changed; see ``hlo.Instruction``.

    Attributes:
        written: the instruction of the text that has the rest.
        index: of a get-tuple-element, where it is another than in the text.
    """

    written: hlo.Instruction
    name: str
    opcode: str
    shape: hlo.Shape
    operands: tuple[str, ...]
    is_root: bool
    index: int | None = None

    @property
    def called(self) -> tuple[str, ...]:
        """Names of the called computations."""
        return self.written.called

    @property
    def attributes(self) -> Mapping[str, str]:
        """Attributes, raw text by name."""
        return self.written.attributes if self.index is None else {**self.written.attributes, "index": str(self.index)}

    @property
    def backend_config(self) -> Mapping[str, Any]:
        """The backend_config attribute's JSON."""
        return self.written.backend_config

    @property
    def literal(self) -> str | None:
        """Of a constant or parameter."""
        return self.written.literal

    @property
    def line(self) -> int:
        """In the text."""
        return self.written.line


@dataclass(frozen=True)
class Body:
    """A computation of such instructions; see ``hlo.Computation``."""

    name: str
    is_entry: bool
    instructions: tuple[Step, ...]

    @cached_property
    def root(self) -> Step:
        """The ROOT instruction, else the last."""
        return next((step for step in self.instructions if step.is_root), self.instructions[-1])

    @cached_property
    def by_name(self) -> Mapping[str, Step]:
        """Instructions by name."""
        return {step.name: step for step in self.instructions}

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the instructions that read each instruction, each once, in order."""
        found: dict[str, list[str]] = {step.name: [] for step in self.instructions}
        for step in self.instructions:
            for operand in dict.fromkeys(step.operands):
                found[operand].append(step.name)
        return {name: tuple(names) for name, names in found.items()}

    def renamed(self, names: Mapping[str, str]) -> Body:
        """The same computation with other names for some of its instructions."""
        steps = (replace(step, name=names.get(step.name, step.name)) for step in self.instructions)
        return Body(self.name, self.is_entry, tuple(steps)).reading(names)

    def reading(self, names: Mapping[str, str]) -> Body:
        """The same computation with other operands in the place of some."""
        steps = (
            replace(step, operands=tuple(names.get(operand, operand) for operand in step.operands))
            for step in self.instructions
        )
        return Body(self.name, self.is_entry, tuple(steps))


@dataclass(frozen=True)
class Module:
    """A module some of whose computations are changed; see ``hlo.HloModule``."""

    name: str
    is_scheduled: bool
    header: Mapping[str, str]
    computations: Mapping[str, hlo.Computation]
    tables: tuple[str, ...]
    source: str
    entry: hlo.Computation = field(repr=False)

    @classmethod
    def of(cls, module: hlo.HloModule, changed: Mapping[str, Body]) -> Module:
        """The module with some of its computations changed."""
        return cls(
            name=module.name,
            is_scheduled=module.is_scheduled,
            header=module.header,
            computations={name: changed.get(name, body) for name, body in module.computations.items()},
            tables=module.tables,
            source=module.source,
            entry=changed.get(module.entry.name, module.entry),
        )
