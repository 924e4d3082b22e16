"""What an HLO text says, as immutable records. Reading is in ``hlo_reader``; this module knows no syntax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Layout:
    """The ``{1,0:T(8,128)(2,1)S(1)}`` of an array shape.

    Attributes:
        minor_to_major: dimension numbers, fastest varying first.
        tiles: e.g. ``((8, 128), (2, 1))``; a ``*`` (combine dimensions) is -1.
        memory_space: n of S(n); 0 where absent.
        element_bits: E(n), bits an element takes in memory where it differs from the type's; 0 where absent.
        other: the remaining layout fields as text, unparsed (``"L(512)"``, ``"D(D,C)"``), for round trips.
    """

    minor_to_major: tuple[int, ...]
    tiles: tuple[tuple[int, ...], ...] = ()
    memory_space: int = 0
    element_bits: int = 0
    other: str = ""


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """``bf16[8,128]{...}``. ``dynamic[i]`` tells whether dimension i was written ``<=n``; empty where none is.

    ``buffer`` tells whether it was written ``b(bf16[8,128])``, XLA's buffer type.
    """

    dtype: str
    dims: tuple[int, ...]
    layout: Layout | None = None
    dynamic: tuple[bool, ...] = ()
    buffer: bool = False


@dataclass(frozen=True, slots=True)
class TupleShape:
    """``(shape, shape, ...)``."""

    elements: tuple[Shape, ...]


Shape = ArrayShape | TupleShape
"""Tokens and opaque values are ArrayShapes with dtype ``"token"`` / ``"opaque"`` and no dims."""


class Instruction(Protocol):
    """One instruction; fields beyond the first line are read from the text when first asked for.

    Attributes:
        name: without ``%``.
        opcode: e.g. ``"fusion"``, ``"copy-start"``, ``"async-start"``.
        shape: of the result.
        operands: names without ``%``, in order; empty for constants and parameters.
        called: names of called computations in the order written (calls=, to_apply=, condition=, body=,
            branch_computations=, true_computation=, ...).
        attributes: top-level attributes after the operands, raw text by name, in the order written
            (``"kind": "kLoop"``, ``"metadata": "{op_name=...}"``, ``"backend_config": "{...}"``).
        backend_config: the backend_config attribute's JSON, read; empty where there is none or it is not JSON.
        literal: what is between the parentheses of a constant or parameter, as text; else None.
        is_root: written with ``ROOT``.
        line: 1-based line in the text.
    """

    @property
    def name(self) -> str: ...
    @property
    def opcode(self) -> str: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def operands(self) -> tuple[str, ...]: ...
    @property
    def called(self) -> tuple[str, ...]: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...
    @property
    def backend_config(self) -> Mapping[str, Any]: ...
    @property
    def literal(self) -> str | None: ...
    @property
    def is_root(self) -> bool: ...
    @property
    def line(self) -> int: ...


class Computation(Protocol):
    """A computation; its instructions are read when first asked for.

    Attributes:
        name: without ``%``.
        is_entry: written with ``ENTRY``.
        instructions: in the order written, which is the schedule of a scheduled module.
        root: the ROOT instruction, else the last.
        by_name: instructions by name.
        users: name -> names of the instructions that read it, each once, in order.
    """

    @property
    def name(self) -> str: ...
    @property
    def is_entry(self) -> bool: ...
    @property
    def instructions(self) -> tuple[Instruction, ...]: ...
    @property
    def root(self) -> Instruction: ...
    @property
    def by_name(self) -> Mapping[str, Instruction]: ...
    @property
    def users(self) -> Mapping[str, tuple[str, ...]]: ...

    def renamed(self, names: Mapping[str, str]) -> Computation:
        """The same computation with other names, by the present ones, for some of its instructions."""


class HloModule(Protocol):
    """A module.

    Attributes:
        name: of the module.
        is_scheduled: whether the header says so.
        header: header attributes, raw text by name (``"input_output_alias"``, ``"entry_computation_layout"``, ...).
        computations: by name, in the order written.
        entry: the entry computation.
        tables: texts of what stands outside computations, FileNames, FunctionNames, FileLocations, StackFrames and
            others, as written.
        source: file name, or ``"<string>"``; for error messages.
    """

    @property
    def name(self) -> str: ...
    @property
    def is_scheduled(self) -> bool: ...
    @property
    def header(self) -> Mapping[str, str]: ...
    @property
    def computations(self) -> Mapping[str, Computation]: ...
    @property
    def entry(self) -> Computation: ...
    @property
    def tables(self) -> tuple[str, ...]: ...
    @property
    def source(self) -> str: ...
