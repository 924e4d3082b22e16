"""Small real compiles, made with libtpu 0.0.52: the schedule before MSA, the reduced log and, of some, the oracles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mallocgame.problem.build import build_problem
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from xla_dump_parser import parse_hlo, read_text
from xla_dump_parser.compile_log import CompileLog, parse_compile_log
from xla_dump_parser.hlo import HloModule

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Captured:
    """One compile. ``after`` and ``live_range`` exist for some only."""

    name: str
    target: str

    def text(self, part: str) -> str:
        return read_text(DATA / f"{self.name}.{part}.gz")

    @cached_property
    def module(self) -> HloModule:
        return parse_hlo(self.text("before.txt"), self.name)

    @cached_property
    def log(self) -> CompileLog:
        return parse_compile_log(self.text("log"))

    @cached_property
    def problem(self) -> Problem:
        return build_problem(self.module, get_target(self.target), self.log)

    def __str__(self) -> str:
        return self.name


SCAN = Captured("scan-v5e", "v5e")
"""A scanned matrix product, then a conditional."""

LSTM = Captured("lstm-v4lite", "v4 lite")
"""An LSTM over 64 steps, its outputs stacked in place."""

DONATED = Captured("donated-v4", "v4")
"""Updates of a donated cache in place."""

BRANCHES = Captured("branches-v5p", "v5p")
"""Branches and loops in a loop."""

EMBEDDING = Captured("embedding-v5e", "v5e")
"""Gather, scatter, cumulative sum, sorts, top-k."""

SPARSE = Captured("sparse-v6e", "v6e")
"""Rows added to a table by the SparseCore in a loop: asynchronous updates; the live ranges alone."""

SLICES = Captured("slices-v6e", "v6e")
"""Scans by halves, with asynchronous slices; the live ranges alone."""

ALL = (SCAN, LSTM, DONATED, BRANCHES, EMBEDDING)
WITH_LIVE_RANGES = (SCAN, DONATED, BRANCHES, SPARSE, SLICES)
