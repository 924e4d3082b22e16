"""What FILE of a command holds, once it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mallocgame.problem.given import Given
from mallocgame.programs.target_choice import ASKED

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable
    from mallocgame.plan.problem_file import Default
    from mallocgame.problem.backend import Backend
    from mallocgame.problem.schema import Problem
    from xla_dump_parser.hlo import HloModule


@dataclass(frozen=True)
class Loaded:
    """What a FILE holds.

    Attributes:
        problem: the schedule before MSA, as a problem.
        source: the path as given.
        module: the text of that schedule, where the file has it.
        final: the compiled module with XLA's own placement, where the file has it.
        default: XLA's own placement with its figures, where the file has these instead.
        versions: of what compiled it, e.g. ``{"libtpu": "0.0.52"}``, as far as the file says.
        scoped_vmem_kib: the memory split it was compiled with; None for the compiler's default.
        buffer_assignment: text with the addresses of ``final``; empty where the file does not have it.
        memory_usage: the compiler's report of what ``final`` takes in each memory; likewise.
        lowered: StableHLO text of what was compiled; likewise.
        code_bytes: of the machine code of ``final``; 0 where the file does not have it.
        backend: that compiled it, where it is not a TPU's; there are no plans for it then.
        target_why: why it is for the problem's target, in words of ``target_choice``.
        given: what the user says of it, which the problem has already.
    """

    problem: Problem
    source: str
    module: HloModule | None = None
    final: HloModule | None = None
    default: Default | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    scoped_vmem_kib: int | None = None
    buffer_assignment: str = ""
    memory_usage: str = ""
    lowered: str = ""
    code_bytes: int = 0
    backend: Backend | None = None
    target_why: str = ASKED
    given: Given = field(default_factory=Given)

    def default_seconds(self) -> float | None:
        """Seconds under M of XLA's own placement, where the file has it."""
        from mallocgame.models.replay import replay_final

        if self.default is not None:
            return self.default.m_seconds
        return None if self.final is None else replay_final(self.problem, self.final, "M").total

    def compiled_bytes(self) -> dict[int, int] | None:
        """Bytes that XLA's default takes of each memory, by its memory space; None where there is no report of it.

        Raises:
            xla_dump_parser.ParseError: the report is damaged.
        """
        from xla_dump_parser import parse_memory_usage_report

        if not self.memory_usage:
            return None
        spaces = parse_memory_usage_report(self.memory_usage, f"{self.source} (memory usage)")
        return {space.memory_space: space.total_bytes for space in spaces}

    def products(self) -> frozenset[int]:
        """Times of the problem that multiply matrices, as far as the text of the schedule says."""
        from mallocgame.models.cycles.products import products_of

        return frozenset() if self.module is None else products_of(self.problem, self.module)

    def model_e(self) -> tuple[CycleTable | None, tuple[float, float] | None]:
        """What E is predicted from, and seconds of XLA's own placement under E and M; where the file has its text."""
        from mallocgame.models.cycles.table import CycleTable
        from mallocgame.models.replay import replay_final
        from mallocgame.models.replay.observe import observe_final

        if self.final is None:
            return None, None
        table = CycleTable(self.problem)
        observe_final(self.problem, self.final, table)
        e, m = (replay_final(self.problem, self.final, model).total for model in ("E", "M"))
        return table, (e, m)
