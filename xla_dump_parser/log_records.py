"""What a compile log says of memory space assignment (MSA), as immutable records. Reading is in ``compile_log``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xla_dump_parser.msa_tables import AllocationInfo, BufferInfo, OperandSite, ShapeIndex


@dataclass(frozen=True, slots=True)
class LoggedCost:
    """Costs of one instruction; bytes and seconds as printed, with 6 significant digits.

    Attributes:
        compute_seconds: time at peak rate without memory; None where not printed, as for the three below.
        total_bytes: bytes accessed, operands and outputs together.
        operand_bytes: bytes accessed by (operand number, shape index).
        output_bytes: bytes accessed by shape index of the result.
    """

    compute_seconds: float | None = None
    total_bytes: float | None = None
    operand_bytes: Mapping[tuple[int, ShapeIndex], float] = field(default_factory=dict)
    output_bytes: Mapping[ShapeIndex, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InitialResource:
    """Elapsed seconds of the instruction at ``time`` with everything in HBM; 0 for what only calls."""

    time: int
    seconds: float
    instruction: str


@dataclass(frozen=True, slots=True)
class Reduction:
    """A prefetch that MSA considered.

    Attributes:
        use: the operand that it is for.
        size: bytes to copy.
        copy_seconds: of the asynchronous copy, size / HBM bandwidth.
        seconds: what the use's instruction would save with that one operand in fast memory.
    """

    use: OperandSite
    size: int
    copy_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class PrefetchInterval:
    """Seconds of work that a copy should overlap with; multiples of the copy's own time, the largest of that of a copy
    of the whole fast memory."""

    minimum: float
    maximum: float
    preferred: float


@dataclass(frozen=True, slots=True)
class LoggedValue:
    """MSA's name of an HLO value: ``<79 while.2{1} (phi)>``."""

    id: int
    instruction: str
    index: ShapeIndex
    phi: bool


@dataclass(frozen=True, slots=True)
class LoggedBuffer:
    """A "Processing buffer" block: the value with the positions that hold it and the uses that read it."""

    value: LoggedValue
    positions: tuple[tuple[str, ShapeIndex], ...]
    uses: tuple[OperandSite, ...]


@dataclass(frozen=True, slots=True)
class RequiredAssignment:
    """A value that MSA requires in one memory (``"def"`` or ``"alt"``) at a time, with its reason."""

    value: LoggedValue
    space: str
    time: int
    message: str


@dataclass(frozen=True)
class CompileLog:
    """The records of one compile log; each collection is empty where the log says nothing.

    Attributes:
        costs: by (computation, instruction).
        resources: in order of time.
        reductions: in the order printed.
        intervals: each pair of bounds once.
        options: MSA's options by name (``max_size_in_bytes``, ``alignment_in_bytes``, ...), as text.
        sequence: (computation, instruction) at each time of the schedule before MSA.
        values: the processed values, each once.
        aliases: the values of each buffer of which a part is in fast memory, as far as printed.
        required: in the order printed.
        skips: (value, reason) of values that MSA left where they were.
        buffers: rows of the bufferinfo table.
        allocations: rows of the allocinfo table.
    """

    costs: Mapping[tuple[str, str], LoggedCost]
    resources: tuple[InitialResource, ...]
    reductions: tuple[Reduction, ...]
    intervals: tuple[PrefetchInterval, ...]
    options: Mapping[str, str]
    sequence: tuple[tuple[str, str], ...]
    values: tuple[LoggedBuffer, ...]
    aliases: tuple[tuple[LoggedValue, ...], ...]
    required: tuple[RequiredAssignment, ...]
    skips: tuple[tuple[LoggedValue, str], ...]
    buffers: tuple[BufferInfo, ...]
    allocations: tuple[AllocationInfo, ...]
