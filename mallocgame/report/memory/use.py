"""What a program takes of each memory, as immutable records; sizes are bytes, times those of the final schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

Key = TypeVar("Key")

Kind = Literal["argument", "aliased", "output", "temporary", "constant", "thread-local"]
"""What a buffer is. Aliased: an argument whose buffer is given back as an output (it was donated)."""

Role = Literal[
    "weights",
    "optimizer state",
    "other inputs",
    "saved activations",
    "recomputed activations",
    "forward values",
    "gradients",
    "collective buffers",
    "other",
    "not known",
]
"""What part a buffer plays in the program, by the rules of docs/memory.md.

Saved activations: made in the forward pass and read in the backward pass. Recomputed: of the forward pass, done again
in the backward pass. Forward values: that the backward pass does not read. Gradients: all that the backward pass makes
beside, of activations and of weights.
"""


@dataclass(frozen=True, slots=True)
class SpaceUse:
    """One memory.

    Attributes:
        name: ``"HBM"``, ``"fast memory"``, ``"host"``, else as the compiler calls it.
        memory_space: n of S(n).
        total: of all allocations, as the compiler's memory-usage report has it.
        capacity: that a program may have of it; None where it is not known.
    """

    name: str
    memory_space: int
    total: int
    capacity: int | None

    @property
    def excess(self) -> int:
        """Bytes that do not fit; 0 where all do, or where the capacity is not known."""
        return 0 if self.capacity is None else max(0, self.total - self.capacity)


@dataclass(frozen=True, slots=True)
class Kinds:
    """The allocations of one memory by kind; each is counted once, so that they add up to the memory's total.

    ``jax.stages.Compiled.memory_analysis()`` counts aliased ones among arguments and among outputs. Its temporaries are
    another figure (docs/memory.md).

    Attributes:
        arguments: that are not aliased.
        aliased: arguments whose buffers are given back as outputs.
        outputs: that are not aliased, with the tables of tuples.
        temporaries: the one allocation that all values of the program's inside share.
        constants: of the program.
        thread_local: of computations that are no part of the schedule.
    """

    arguments: int
    aliased: int
    outputs: int
    temporaries: int
    constants: int
    thread_local: int


Why = Literal["read", "argument", "donated", "output", "constant"]


@dataclass(frozen=True, slots=True)
class Keeper:
    """Why a buffer is still there at the peak.

    Attributes:
        why: ``"read"`` for what goes at ``Buffer.live``'s end, else ``"argument"``, ``"donated"``, ``"output"``,
            ``"constant"``: these have their places throughout the program.
        instruction: that reads it last; of a donated argument that writes its new value, of an output that writes it.
            Empty where there is none.
        time: of that; None without.
        what: ``op_name`` of that, or of the first that computes with what it copies or slices.
        source: likewise.
        loop: the loop that carries it until the end of its live range, beyond its last reader; empty without.
    """

    why: Why
    instruction: str
    time: int | None
    what: str
    source: str | None
    loop: str


@dataclass(frozen=True, slots=True)
class Buffer:
    """A place in memory that holds something at the peak.

    Attributes:
        name: of the value that is there then, as an instruction with its tuple index, ``"fusion.2{1}"``.
        kind: what it is.
        shape: with layout, as HLO text.
        dtype: element type; empty for a tuple's table of addresses.
        size: with padding, as the compiler allocated it.
        plain_size: of the elements alone: dimensions times bits.
        opcode: of the instruction that makes it; of what a loop carries, of the last with a source line that shares its
            buffer, as for the next two.
        what: the instruction's ``op_name``: of an argument its path, such as ``"state['w']"``.
        source: ``file:line`` of the user's program; None where the text does not say.
        live: first and last time at which it holds something; None where only the compiler's message is known.
        role: what part it plays in the program.
        kept: who keeps it there; None where only the compiler's message is known, and for tables of tuples.
    """

    name: str
    kind: Kind
    shape: str
    dtype: str
    size: int
    plain_size: int
    opcode: str
    what: str
    source: str | None
    live: tuple[int, int] | None
    role: Role = "not known"
    kept: Keeper | None = None

    @property
    def padding(self) -> float:
        """Size by plain size; 1 for what has no elements."""
        return self.size / self.plain_size if self.plain_size else 1.0


def copy_of(what: str) -> str:
    """``Buffer.what`` of a copy that has no ``op_name`` of its own."""
    return f"copy of {what}"


@dataclass(frozen=True, slots=True)
class Peak:
    """One memory when most of it is in use.

    Attributes:
        memory_space: n of S(n).
        time: of the final schedule, the first one of the peak; None where only the compiler's message is known, which
            lists the largest allocations.
        instruction: at that time.
        buffers: that hold something then, largest first: each byte of an allocation is counted once. Allocations of
            arguments, outputs, constants and thread-local values are there throughout the program.
        rest: what the memory's total has beside them: bytes of the temporaries' allocation that hold nothing then,
            for gaps between buffers and for what other times need; of a message, what it does not list.
    """

    memory_space: int
    time: int | None
    instruction: str
    buffers: tuple[Buffer, ...]
    rest: int

    @property
    def live(self) -> int:
        """Bytes of all buffers; with ``rest``, the memory's total."""
        return sum(buffer.size for buffer in self.buffers)

    def by_kind(self) -> Mapping[Kind, int]:
        """Bytes by kind, most first."""
        return _totals((buffer.kind, buffer.size) for buffer in self.buffers)

    def by_role(self) -> Mapping[Role, int]:
        """Bytes by role, most first."""
        return _totals((buffer.role, buffer.size) for buffer in self.buffers)

    def by_source(self) -> Mapping[str | None, int]:
        """Bytes by source line, most first; under None what has none, such as arguments."""
        return _totals((buffer.source, buffer.size) for buffer in self.buffers)


KINDS: Mapping[Kind, str] = {
    "argument": "arguments",
    "aliased": "donated arguments",
    "output": "outputs",
    "temporary": "temporaries",
    "constant": "constants",
    "thread-local": "thread-local values",
}
"""Their names, of several."""


def _totals(sizes: Iterable[tuple[Key, int]]) -> dict[Key, int]:
    totals: dict[Key, int] = {}
    for key, size in sizes:
        totals[key] = totals.get(key, 0) + size
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that takes memory and may not have to.

    Attributes:
        kind: ``"padding"``, ``"lost donation"`` (asked for and of no use), ``"missing donation"`` (an argument that
            nobody donated, of an output's shape), ``"replicated"`` (arguments that several devices have the same of),
            or ``"largest"`` (the source line with most at the peak).
        size: bytes that it is about: for ``"largest"`` what is live, for the others what could be saved at most.
        words: what was found.
        advice: what can be done.
    """

    kind: Literal["padding", "lost donation", "missing donation", "replicated", "largest"]
    size: int
    words: str
    advice: str


@dataclass(frozen=True)
class MemoryUse:
    """What a compiled program takes of each memory.

    Attributes:
        module: its name.
        target: that it was compiled for; empty where only the compiler's message is known.
        spaces: each memory, HBM first.
        kinds: of HBM; None where only the compiler's message is known.
        peaks: of HBM and, where it is used, of the host's memory.
        findings: those that save most first, then the largest contributors.
        scoped: bytes of the fast memory that the compiler keeps for fusions' own windows, beside what ``spaces`` has;
            None where it is not known.
        target_why: why it is for this target.
        code_bytes: of the program's machine code, which is in no memory's total; 0 where it is not known.
    """

    module: str
    target: str
    spaces: tuple[SpaceUse, ...]
    kinds: Kinds | None
    peaks: tuple[Peak, ...]
    findings: tuple[Finding, ...]
    scoped: int | None = None
    target_why: str = ""
    code_bytes: int = 0

    @property
    def fits(self) -> bool:
        """Whether each memory whose capacity is known is large enough."""
        return not any(space.excess for space in self.spaces)
