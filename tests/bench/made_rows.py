"""Rows of the benchmark with made-up figures: XLA's default takes 1 ms under E and 2 ms under M."""

from __future__ import annotations

from typing import Any

from mallocgame.bench.programs import TriedProgram
from mallocgame.bench.rows import XLA_DEFAULT, BenchRow
from mallocgame.compiler.verification import Row
from mallocgame.plan.verdict import Kind, Verdict, verdict

VERSIONS = {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52", "mallocgame": "0.1.0", "python": "3.11.7"}


def row(
    workload: str,
    method: str,
    e: float = 1.0,
    m: float = 1.0,
    target: str = "v5p",
    kind: str | None = None,
    **more: Any,
) -> BenchRow:
    """A row that is ``e`` and ``m`` times as fast as XLA's default."""
    default = Row("xla default", 1e-3, 0.0, 2e-3, 0.0, 0, 0, (), True)
    found = Row("plan", 1e-3 / e, 0.0, 2e-3 / m, 0.0, 0, 0, (), True)
    fixed = method in ("xla default", "msa off")
    chosen: Any = kind or (method if fixed else "split" if method == "flag tuning" else "plan")
    values: dict[str, Any] = {
        "workload": workload,
        "target": target,
        "method": method,
        "seed": 0,
        "options": {} if fixed else {"compiles": 6},
        "versions": VERSIONS,
        "e_seconds": found.e_seconds,
        "e_stall": 1e-4,
        "m_seconds": found.m_seconds,
        "m_stall": 0.0,
        "peak_fast": 4096,
        "peak_hbm": 8192,
        "fits": True,
        "default_e": default.e_seconds,
        "default_m": default.m_seconds,
        "bound_e": 0.9e-3,
        "bound_m": 1.5e-3,
        "verdict": verdict(found, default, split_changed=chosen == "split"),
        "kind": chosen,
        "compiles": 1 if method == XLA_DEFAULT else 3,
        "seconds": 12.5,
        "peak_memory": 3 * 2**29,
    }
    return BenchRow(**{**values, **more})


def failed(workload: str, method: str, reason: str, target: str = "v5p") -> BenchRow:
    """A row without figures."""
    return BenchRow(workload, target, method, 0, {}, VERSIONS, failure=reason)


def program(proposer: str, e_seconds: float, m_seconds: float, how: Verdict) -> TriedProgram:
    """What the loop tried; the first compile was of XLA's default."""
    kind: Kind = "xla default" if proposer == "xla default" else "plan"
    compiles = int(proposer != "xla default")
    return TriedProgram(
        proposer, kind, proposer, None, e_seconds, m_seconds, None, None, how, None, None, compiles, None
    )
