"""Problem files (.mgp): what solvers and training need of a capture, without HLO texts; read without trust.

One gzip member of one JSON document (``zcat x.mgp`` shows it): tables are objects of columns, so that it is small and
quick to read. Its bytes depend on the content alone.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from mallocgame.plan.plan import Copy, CopyKind, Plan, Stay
from mallocgame.problem.columns import Table
from mallocgame.problem.problem_json import problem_from_json, problem_to_json
from mallocgame.problem.schema import Problem
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import read_bytes, write_atomically

FORMAT = "mallocgame-problem"
VERSION = 1
SUFFIX = ".mgp"
MAX_FILE_BYTES = 1 << 24
MAX_TEXT_BYTES = 1 << 26

_GZIP = 31
"""zlib's window bits for a gzip header."""

Addresses = Literal["compiler", "best fit"]
"""Where a plan's offsets come from: the compiler's buffer assignment, or found anew."""


@dataclass(frozen=True)
class Default:
    """What XLA's own memory space assignment made of a program, replayed from the final text.

    Attributes:
        e_seconds: under E, stalls included.
        e_stall: the part of it that waits for copies.
        m_seconds: under M, stalls included.
        m_stall: the part of it that waits for copies.
        peak_hbm: bytes of HBM that the program needs.
        plan: the placement as a valid plan; None where it is none: XLA may have a loop's buffers in fast memory in
            part, and copy in slices where there is no room for the whole.
        addresses: of the plan's stays; None without a plan.
        no_plan: why there is no plan, in one line; None with one.
    """

    e_seconds: float
    e_stall: float
    m_seconds: float
    m_stall: float
    peak_hbm: int
    plan: Plan | None
    addresses: Addresses | None
    no_plan: str | None = None


@dataclass(frozen=True)
class ProblemFile:
    """A problem, XLA's own answer to it, and where both come from.

    Attributes:
        problem: the problem.
        default: XLA's own placement.
        workload: name in the catalogue, e.g. ``"gpt2"``; None for a program that is not in it.
        family: of the workload, e.g. ``"gpt"``.
        phase: of the workload, e.g. ``"prefill"``.
        function: ``MODULE:FUNCTION`` that was compiled.
        module_sha256: hex digest of the lowered module, as ``mallocgame.bench`` has it in its rows.
        scoped_vmem_kib: the memory split; None for the compiler's default.
        compile_seconds: wall time of the compile.
        versions: of python, jax, jaxlib, libtpu and mallocgame, of the compile.
    """

    problem: Problem
    default: Default
    workload: str | None
    family: str | None
    phase: str | None
    function: str
    module_sha256: str
    scoped_vmem_kib: int | None
    compile_seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)


def save_problem(content: ProblemFile, path: str | os.PathLike[str]) -> None:
    """Write a problem file atomically.

    Raises:
        BadInputError: ``content`` holds what the loader would refuse or not give back, or ``path`` cannot be written.
    """
    write_atomically(path, to_bytes(content, str(path)))


def to_bytes(content: ProblemFile, source: str = "<bytes>") -> bytes:
    """The bytes of a problem file.

    Raises:
        BadInputError: as ``save_problem``; ``source`` begins the message.
    """
    value = _to_json(content)
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    if from_json(checked.parse_json(text, source), source) != content:
        raise BadInputError(f"{source}: this problem cannot be written without loss")
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    data = packer.compress(text) + packer.flush()
    if len(text) > MAX_TEXT_BYTES or len(data) > MAX_FILE_BYTES:
        raise BadInputError(f"{source}: this problem is too large for a problem file")
    return data


def load_problem(path: str | os.PathLike[str]) -> ProblemFile:
    """Read a problem file; nothing in it is trusted.

    Raises:
        BadInputError: it cannot be read, is damaged, too large, of another format or version, or contradicts itself.
    """
    return from_bytes(read_bytes(path, MAX_FILE_BYTES), str(path))


def from_bytes(data: bytes, source: str) -> ProblemFile:
    """The content of a problem file; ``source`` begins every message.

    Raises:
        BadInputError: as ``load_problem``.
    """
    if len(data) > MAX_FILE_BYTES:
        raise BadInputError(f"{source}: larger than {MAX_FILE_BYTES} bytes")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        text = unpacker.decompress(data, MAX_TEXT_BYTES)
    except zlib.error as error:
        raise BadInputError(f"{source}: damaged, or not a problem file ({error})") from None
    if unpacker.unconsumed_tail:
        raise BadInputError(f"{source}: its text is larger than {MAX_TEXT_BYTES} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise BadInputError(f"{source}: damaged: cut off, or something follows its end")
    return from_json(checked.parse_json(text, source), source)


def is_problem_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is named as a problem file is."""
    return Path(path).suffix == SUFFIX


_KEYS = (
    "format", "version", "workload", "family", "phase", "function", "module_sha256", "scoped_vmem_kib",
    "compile_seconds", "versions", "default", "problem",
)  # fmt: skip
_FIGURES = ("e_seconds", "e_stall", "m_seconds", "m_stall")
_DEFAULT = (*_FIGURES, "peak_hbm", "plan", "addresses", "no_plan")


def _to_json(content: ProblemFile) -> dict[str, Any]:
    default = content.default
    return {
        "format": FORMAT,
        "version": VERSION,
        "workload": content.workload,
        "family": content.family,
        "phase": content.phase,
        "function": content.function,
        "module_sha256": content.module_sha256,
        "scoped_vmem_kib": content.scoped_vmem_kib,
        "compile_seconds": content.compile_seconds,
        "versions": dict(content.versions),
        "default": {
            **{name: getattr(default, name) for name in _DEFAULT},
            "plan": None if default.plan is None else _plan_to_json(default.plan),
        },
        "problem": problem_to_json(content.problem),
    }


def _plan_to_json(plan: Plan) -> dict[str, Any]:
    uses = sorted(plan.fast_uses)
    return {
        "definitions": {"tensor": sorted(plan.fast_definitions)},
        "uses": {"tensor": [tensor for tensor, _ in uses], "number": [number for _, number in uses]},
        "stays": {name: [getattr(stay, name) for stay in plan.stays] for name in _STAYS},
        "copies": {
            **{name: [getattr(copy, name) for copy in plan.copies] for name in _COPIES},
            "kind": [_COPY_KINDS.index(copy.kind) for copy in plan.copies],
        },
    }


_STAYS = ("tensor", "start", "end", "offset")
_COPIES = ("tensor", "kind", "after", "before")
_COPY_KINDS: tuple[CopyKind, ...] = get_args(CopyKind)


def from_json(value: object, source: str) -> ProblemFile:
    """The content that a JSON value says; ``source`` begins every message.

    Raises:
        BadInputError: as ``load_problem``.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadInputError(f'{source}: not a problem file (it has no "format": "{FORMAT}")')
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version != VERSION:
        raise checked.bad(f"{source}: version of the problem format", str(VERSION), version)
    top = checked.record(value, source, _KEYS)
    problem = problem_from_json(top["problem"], f"{source}: problem")
    name = checked.optional(checked.text)
    return ProblemFile(
        problem=problem,
        default=_default(top["default"], f"{source}: default", problem),
        workload=name(top["workload"], f"{source}: workload"),
        family=name(top["family"], f"{source}: family"),
        phase=name(top["phase"], f"{source}: phase"),
        function=checked.text(top["function"], f"{source}: function"),
        module_sha256=checked.name(top["module_sha256"], f"{source}: module_sha256"),
        scoped_vmem_kib=checked.optional(checked.natural)(top["scoped_vmem_kib"], f"{source}: scoped_vmem_kib"),
        compile_seconds=checked.non_negative(top["compile_seconds"], f"{source}: compile_seconds"),
        versions=checked.mapping(checked.text)(top["versions"], f"{source}: versions"),
    )


def _default(value: object, where: str, problem: Problem) -> Default:
    fields = checked.record(value, where, _DEFAULT)
    e_seconds, e_stall, m_seconds, m_stall = (
        checked.non_negative(fields[name], f"{where}.{name}") for name in _FIGURES
    )
    plan = None if fields["plan"] is None else _plan(fields["plan"], f"{where}.plan", problem)
    addresses = fields["addresses"]
    if addresses not in ((None,) if plan is None else get_args(Addresses)):
        raise checked.bad(f"{where}.addresses", "'compiler' or 'best fit', or null without a plan", addresses)
    no_plan = checked.optional(checked.text)(fields["no_plan"], f"{where}.no_plan")
    if (plan is None) != (no_plan is not None):
        raise BadInputError(f"{where}: expected either a plan or no_plan, the reason")
    return Default(
        e_seconds,
        e_stall,
        m_seconds,
        m_stall,
        checked.natural(fields["peak_hbm"], f"{where}.peak_hbm"),
        plan,
        addresses,
        no_plan,
    )


def _plan(value: object, where: str, problem: Problem) -> Plan:
    """A plan of this problem's ids and times; whether it is valid is ``validate``'s to say."""
    parts = checked.record(value, where, ("definitions", "uses", "stays", "copies"))
    tensors, times = len(problem.tensors), len(problem.instructions)
    definitions = Table(parts["definitions"], f"{where}.definitions", ("tensor",))
    uses = Table(parts["uses"], f"{where}.uses", ("tensor", "number"))
    stays = Table(parts["stays"], f"{where}.stays", _STAYS)
    copies = Table(parts["copies"], f"{where}.copies", _COPIES)
    most = max((len(tensor.uses) for tensor in problem.tensors), default=0)
    plan = Plan(
        fingerprint=problem.fingerprint,
        fast_definitions=frozenset(definitions.integers("tensor", tensors)),
        fast_uses=frozenset(zip(uses.integers("tensor", tensors), uses.integers("number", most), strict=True)),
        stays=tuple(
            map(
                Stay,
                stays.integers("tensor", tensors),
                stays.integers("start", times),
                stays.integers("end", times),
                stays.integers("offset"),
            )
        ),
        copies=tuple(
            map(
                Copy,
                copies.integers("tensor", tensors),
                copies.chosen("kind", _COPY_KINDS),
                copies.integers("after", times),
                copies.integers("before", times),
            )
        ),
    )
    for tensor, number in plan.fast_uses:
        if number >= len(problem.tensors[tensor].uses):
            raise BadInputError(f"{where}.uses: tensor {tensor} has no use {number}")
    return plan
