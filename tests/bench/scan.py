"""A capture of a scanned matrix product for v5e, and compiles of it whose cycles are chosen."""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import schedule_of
from mallocgame.compiler.child import Compiled, Request
from tests.problem.captured import SCAN

CLOCK = 1.5e9
REDUCE = "to_apply=%region_2.6.clone, backend_config={"
REPORT = """Memory Space: default (color=0)
Total bytes: 4096 (4.0KiB)
"""


def final(cycles: int) -> str:
    """The final text with these cycles for %reduce, which runs once."""
    text = SCAN.text("after.txt")
    assert text.count(REDUCE) == 1
    return text.replace(REDUCE, REDUCE + f'"window_config":{{"estimated_cycles":"{cycles}"}},')


def a_capture(options: Mapping[str, str] | None = None) -> Capture:
    before = SCAN.text("before.txt")
    return Capture(
        target="v5e",
        topology="v5e:1x1",
        function="scan",
        options=options or {},
        versions={"libtpu": "0.0.52"},
        seconds=1.0,
        peak_hbm=4096,
        schedule=schedule_of(before),
        lowered="module {}",
        before_msa=before,
        final=final(150_000),
        log=SCAN.text("log"),
        buffer_assignment="",
        memory_usage=REPORT,
    )


def compiled(request: Request, cycles: int) -> Compiled:
    return Compiled(
        lowered=request.lowered or "",
        before_msa=SCAN.text("before.txt"),
        final=final(cycles),
        buffer_assignment="",
        memory_usage=REPORT,
        log=SCAN.text("log"),
        versions={"libtpu": "0.0.52"},
        seconds=2.0,
        peak_memory=cycles,
        topology=request.topology,
    )
