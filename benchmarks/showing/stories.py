"""Each program's story on each target, for the site's page of results: the default, the answer, and what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import workloads
from benchmarks.showing.gains import ROOT, ROWS, Gain
from mallocgame.bench.programs import TriedProgram
from mallocgame.bench.rows import FLAG_TUNING, MSA_OFF, BenchRow
from mallocgame.bench.statistics import closed, ratios

Story = dict[str, Any]


def stories(gains: Sequence[Gain]) -> list[Story]:
    """One for each gain. Times are seconds, ratios XLA's default / other, memory bytes; None is not known."""
    return [_story(gain) for gain in gains]


def _story(gain: Gain) -> Story:
    row, workload = gain.row, workloads.find(gain.program)
    return {
        "program": gain.program,
        "target": gain.target,
        "family": workload.family,
        "phase": workload.phase,
        "about": workload.about,
        "hard": workload.hard,
        "source": workload.source,
        "faster": [gain.faster_e, gain.faster_m],
        "verdict": row.verdict or "failed",
        "kind": row.kind,
        "failure": row.failure,
        "default": [row.default_e, row.default_m],
        "answer": [row.e_seconds, row.m_seconds],
        "stall": [row.e_stall, row.m_stall],
        "bound": [row.bound_e, row.bound_m],
        "proven": row.proven_m,
        "closed": closed(row),
        "split": row.scoped_vmem_kib,
        "fast": row.peak_fast,
        "hbm": row.peak_hbm,
        "honoured": [row.honoured, row.sites],
        "off": _beside(gain.methods.get(MSA_OFF)),
        "tuned": _beside(gain.methods.get(FLAG_TUNING)),
        "tried": [_tried(program, row) for program in row.programs],
        "compiles": row.compiles,
        "search": row.options.get("time_limit"),
        "seconds": row.seconds,
        "versions": {name: row.versions.get(name) for name in ("jax", "libtpu", "mallocgame")},
        "replay": f"mallocgame bench --replay {ROWS.relative_to(ROOT)}:{gain.line}",
    }


def _beside(row: BenchRow | None) -> list[float] | None:
    pair = None if row is None else ratios(row)
    return None if pair is None else list(pair)


def _tried(program: TriedProgram, row: BenchRow) -> Story:
    faster = [
        None if not (seconds and default) else default / seconds
        for default, seconds in ((row.default_e, program.e_seconds), (row.default_m, program.m_seconds))
    ]
    return {
        "about": program.about,
        "faster": faster,
        "verdict": program.verdict,
        "honoured": [program.honoured, program.sites],
        "compiles": program.compiles,
        "failure": program.failure,
    }
