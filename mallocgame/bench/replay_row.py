"""Compiles a row again, without any cache, and compares every figure to the last digit."""

from __future__ import annotations

from dataclasses import dataclass

from mallocgame.bench.rows import BenchRow
from mallocgame.bench.store import CaptureStore, check_versions, module_sha256
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import recapture
from mallocgame.compiler.child import Compile, Limits, compile_in_child
from mallocgame.compiler.confirm import confirm, confirm_other
from mallocgame.compiler.verification import Row, replayed
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, Stage
from xla_dump_parser import parse_hlo

COMPARED = ("e_seconds", "e_stall", "m_seconds", "m_stall", "peak_fast", "peak_hbm", "fits")


@dataclass(frozen=True)
class Compared:
    """A replayed row.

    Attributes:
        row: as it was read.
        figures: of the new compile.
        fingerprint: of the problem that these rest on.
    """

    row: BenchRow
    figures: Row
    fingerprint: str

    @property
    def differences(self) -> tuple[str, ...]:
        """Names of the figures that differ, in any digit."""
        found = [name for name in COMPARED if getattr(self.row, name) != getattr(self.figures, name)]
        return (*found, *(["fingerprint"] if self.fingerprint != self.row.fingerprint else []))


def replay_row(
    row: BenchRow,
    store: CaptureStore,
    progress: Progress,
    limits: Limits | None = None,
    compile: Compile = compile_in_child,
) -> Compared:
    """Compile the row's program with its options, and replay it as it was when the row was made.

    Raises:
        BadInputError: the row has no figures, was made by other versions of jax, jaxlib or libtpu, or its workload
            has changed since.
        CompilerRefusedError, NoAnswerError: as ``compile_in_child``.
    """
    name = f"{row.workload} for {row.target}, {row.method}"
    if row.failure is not None:
        raise BadInputError(f"the row of {name} has no figures to compare: {row.failure}")
    check_versions(row.versions, f"the row of {name}")
    kept = store.get(row.workload, row.target)
    if module_sha256(kept.lowered) != row.module_sha256:
        raise BadInputError(
            f"the row of {name} is of another module than {store.path(row.workload, row.target)}: the workload has "
            "changed since one of them was made"
        )
    progress(Stage(f"{name}: compiling"))
    problem, figures = _again(row, kept, limits, compile)
    return Compared(row, figures, problem.fingerprint)


def _again(row: BenchRow, kept: Capture, limits: Limits | None, compile: Compile) -> tuple[Problem, Row]:
    options = row.compiler_options
    if row.kind == "xla default":
        fresh = recapture(kept, options, limits=limits, compile=compile)
        final = parse_hlo(fresh.final, "final of XLA's default")
        return fresh.problem(), replayed("xla default", fresh.problem(), final, fresh.peak_hbm)
    if row.kind in ("plan", "soft plan", "msa off"):
        if row.scoped_vmem_kib != kept.scoped_vmem_kib:
            split = {SCOPED_VMEM: str(row.scoped_vmem_kib)}
            kept = recapture(kept, {**kept.options, **split}, limits=limits, compile=compile)
        found = confirm(kept, row.kind, options, compile, limits)
    else:
        found = confirm_other(kept, row.kind or "global flags", options, compile, limits)
    return found.problem, found.row
