"""Rows of the benchmark: one program by one method on one target, with all that is needed to compile it again.

A row is one line of JSON. Its figures are those of a compile with ``compiler_options``, replayed as game.md says: with
the costs of XLA's default capture, or of the compile's own log where the memory split or the schedule is another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, get_args

from mallocgame.bench.programs import TriedProgram, program, with_verdict
from mallocgame.plan.compiler_options import decode_options
from mallocgame.plan.verdict import Kind, Verdict
from mallocgame.system.checked_json import (
    Decoder,
    Scalar,
    bad,
    boolean,
    each,
    mapping,
    natural,
    one_of,
    optional,
    parse_json,
    record,
    scalar,
    text,
)
from mallocgame.system.errors import BadInputError

FORMAT = "mallocgame-bench-row"
VERSION = 1

XLA_DEFAULT: Final = "xla default"
MSA_OFF: Final = "msa off"
AUTO: Final = "auto"
FLAG_TUNING: Final = "flag tuning"
FIXED_METHODS = (XLA_DEFAULT, MSA_OFF, FLAG_TUNING)
"""The methods that are no solvers."""

Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One program by one method on one target. Either there are all figures, or ``failure`` says why there are none.

    Attributes:
        workload: name in the catalogue.
        target: e.g. ``"v5p"``.
        method: ``"xla default"``, ``"msa off"``, ``"flag tuning"`` or the name of a solver.
        seed: of the method's random choices.
        options: of the method: time limit in seconds, budget of compiles.
        versions: of python, jax, jaxlib, libtpu and mallocgame.
        module_sha256: of the lowered module, without its source locations; None where it did not lower.
        fingerprint: of the problem that the row's split gives; None where there is none.
        compiler_options: all that the compile needs beside the module.
        scoped_vmem_kib: the memory split; None for the compiler's default.
        e_seconds: total under E.
        e_stall: seconds of it that wait for copies.
        m_seconds: total under M.
        m_stall: likewise.
        peak_fast: most bytes of fast memory occupied at one time.
        peak_hbm: bytes of HBM that the program needs, by the compiler's report.
        fits: whether that is within the device's capacity.
        default_e: E of XLA's default, seconds.
        default_m: M of XLA's default, seconds.
        bound_e: relaxed bound under E (an estimate), seconds.
        bound_m: relaxed bound under M, seconds.
        split_m: M of XLA's own placement at the row's memory split, seconds; None in rows made before it was kept.
        proven_m: proven bound under M at the row's memory split, seconds; None where none was asked for.
        verdict: against XLA's default by game.md's rule.
        kind: what the row's program is, whatever method found it.
        honoured: definitions, uses and copies that are as planned; None where there is no plan.
        sites: how many were planned; None where there is no plan.
        proposer: which part of the loop found the program; None for other methods.
        programs: all that the loop tried, in order; empty for other methods.
        compiles: how many compiles the method took.
        seconds: of the method and its compiles. A cached compile counts as long as it took.
        peak_memory: resident bytes of the largest compiling process; 0 where it was not measured.
        failure: why there are no figures, in one line, or None.
    """

    workload: str
    target: str
    method: str
    seed: int
    options: Mapping[str, Scalar]
    versions: Mapping[str, str]
    module_sha256: str | None = None
    fingerprint: str | None = None
    compiler_options: Mapping[str, str] = field(default_factory=dict)
    scoped_vmem_kib: int | None = None
    e_seconds: float | None = None
    e_stall: float | None = None
    m_seconds: float | None = None
    m_stall: float | None = None
    peak_fast: int | None = None
    peak_hbm: int | None = None
    fits: bool | None = None
    default_e: float | None = None
    default_m: float | None = None
    bound_e: float | None = None
    bound_m: float | None = None
    split_m: float | None = None
    proven_m: float | None = None
    verdict: Verdict | None = None
    kind: Kind | None = None
    honoured: int | None = None
    sites: int | None = None
    proposer: str | None = None
    programs: tuple[TriedProgram, ...] = ()
    compiles: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    failure: str | None = None

    @property
    def key(self) -> Key:
        """What the row is about: workload, target, method and seed. A table has one row for each key."""
        return self.workload, self.target, self.method, self.seed


FIGURES = (
    "e_seconds", "e_stall", "m_seconds", "m_stall", "peak_fast", "peak_hbm", "fits",
    "default_e", "default_m", "bound_e", "bound_m", "verdict", "kind",
)  # fmt: skip
"""Fields that are None in a row with a failure, and only there."""

ADDED: Mapping[str, Any] = {"split_m": None, "proven_m": None, "proposer": None, "programs": []}
"""What rows of version 1 did not have at first."""

_NAMES = tuple(attribute.name for attribute in fields(BenchRow))


def to_json(row: BenchRow) -> str:
    """One line of JSON, without a line break."""
    return json.dumps({"format": FORMAT, "version": VERSION, **asdict(row)}, allow_nan=False, separators=(",", ":"))


def from_json(line: bytes, where: str) -> BenchRow:
    """The row of one line.

    Args:
        line: of JSON.
        where: it stands, for messages, e.g. ``"rows.jsonl:3"``.

    Raises:
        BadInputError: it is no row, of another version, or has options that read or write files.
    """
    value = parse_json(line, where)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadInputError(f"{where}: not a row of mallocgame bench")
    if value.get("version") != VERSION:
        raise BadInputError(
            f"{where}: a row of version {str(value.get('version'))[:20]}; this mallocgame has {VERSION}"
        )
    checked = record({**ADDED, **with_verdict(value)}, where, ("format", "version", *_NAMES))
    decoded: dict[str, Any] = {name: _DECODERS[name](checked[name], f"{where}.{name}") for name in _NAMES}
    row = BenchRow(**decoded)
    _check(row, where)
    return row


def _check(row: BenchRow, where: str) -> None:
    missing = [name for name in FIGURES if getattr(row, name) is None]
    if row.failure is None and missing:
        raise BadInputError(f"{where}: neither {missing[0]} nor a failure")
    if row.failure is not None and len(missing) < len(FIGURES):
        raise BadInputError(f"{where}: a failure beside figures")
    if (row.honoured is None) != (row.sites is None) or (row.honoured or 0) > (row.sites or 0):
        raise BadInputError(f"{where}: honoured {row.honoured} of {row.sites}")


def _seconds(value: object, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    raise bad(where, "a number of seconds", value)


def _digest(value: object, where: str) -> str:
    found = text(value, where)
    if found and len(found) <= 64 and not set(found) - set("0123456789abcdef"):
        return found
    raise bad(where, "hexadecimal digits", value)


_DECODERS: Mapping[str, Decoder[Any]] = {
    "workload": text,
    "target": text,
    "method": text,
    "seed": natural,
    "options": mapping(scalar),
    "versions": mapping(text),
    "module_sha256": optional(_digest),
    "fingerprint": optional(_digest),
    "compiler_options": decode_options,
    "scoped_vmem_kib": optional(natural),
    **dict.fromkeys(
        (
            "e_seconds",
            "e_stall",
            "m_seconds",
            "m_stall",
            "default_e",
            "default_m",
            "bound_e",
            "bound_m",
            "split_m",
            "proven_m",
        ),
        optional(_seconds),
    ),
    **dict.fromkeys(("peak_fast", "peak_hbm", "honoured", "sites"), optional(natural)),
    "fits": optional(boolean),
    "verdict": optional(one_of(get_args(Verdict))),
    "kind": optional(one_of(get_args(Kind))),
    "proposer": optional(text),
    "programs": each(program),
    "compiles": natural,
    "seconds": _seconds,
    "peak_memory": natural,
    "failure": optional(text),
}
