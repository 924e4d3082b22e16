"""Captures: one compile by XLA's default, with everything that solving and recompiling need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mallocgame.plan.compiler_options import split_of
from mallocgame.problem.given import Given

if TYPE_CHECKING:
    from mallocgame.models.cycles.table import CycleTable
    from mallocgame.problem.schema import Problem
    from xla_dump_parser.hlo import HloModule


@dataclass(frozen=True)
class Capture:
    """What one compile with XLA's own memory space assignment left behind.

    Attributes:
        target: name, e.g. ``"v5p"``.
        topology: of the program's devices, e.g. ``"v5p:2x2x1"`` (``mallocgame.problem.topologies``).
        function: ``MODULE:FUNCTION``, or the name of the function that was given.
        options: compiler options of the compile.
        versions: of python, jax, jaxlib, libtpu and mallocgame.
        seconds: wall time of the compile.
        peak_hbm: bytes of HBM that the program needs, by the compiler's memory-usage report.
        lowered: StableHLO text, for recompiling.
        before_msa: scheduled HLO before memory space assignment, with all of its instructions.
        schedule: fingerprint of that schedule as the compiler dumped it; a recompile has to have the same.
        final: HLO after code generation.
        log: the compile log, reduced to what ``parse_compile_log`` reads.
        buffer_assignment: the buffer-assignment text.
        memory_usage: the memory-usage-report text.
        peak_memory: most resident bytes of the compiling process; 0 in captures of before it was kept.
        code_bytes: of machine code; 0 in captures of before it was kept.
        init_args: words of ``LIBTPU_INIT_ARGS`` of the compile.
        observed: what calibrating compiles showed (``mallocgame.models.replay.observe``); empty without any.
        kernels: what its kernels cost (``mallocgame.problem.costs.kernels.encode``); empty without any, and in captures
            of before it was kept: these are read anew, where JAX is installed.
        given: what the user says of it; not kept in files.
    """

    target: str
    topology: str
    function: str
    options: Mapping[str, str]
    versions: Mapping[str, str]
    seconds: float
    peak_hbm: int
    schedule: str
    lowered: str
    before_msa: str
    final: str
    log: str
    buffer_assignment: str
    memory_usage: str
    peak_memory: int = 0
    code_bytes: int = 0
    init_args: tuple[str, ...] = ()
    observed: str = ""
    kernels: str = ""
    given: Given = field(default_factory=Given)

    @property
    def scoped_vmem_kib(self) -> int | None:
        """The memory split that was asked for; None for the compiler's default."""
        return split_of(self.options)

    def problem(self) -> Problem:
        """The problem of the captured schedule, with the costs of its log."""
        return self._problem

    @cached_property
    def module(self) -> HloModule:
        """The scheduled text before memory space assignment, read."""
        from xla_dump_parser import parse_hlo

        return parse_hlo(self.before_msa, "before_msa")

    @cached_property
    def _problem(self) -> Problem:
        from mallocgame.compiler.kernels.reading import kernel_costs
        from mallocgame.problem.build import build_problem
        from mallocgame.problem.costs.kernels import decode
        from mallocgame.problem.targets import get_target
        from xla_dump_parser import parse_hlo
        from xla_dump_parser.compile_log import parse_compile_log

        problem = build_problem(
            self.module,
            get_target(self.target),
            parse_compile_log(self.log),
            parse_hlo(self.final, "final"),
            decode(self.kernels, "kernels") or kernel_costs(self.module),
            self.topology,
        )
        return self.given.applied_to(problem)

    def cycles(self) -> CycleTable:
        """A table of the emitter's cycles that has seen the capture's own compile and its calibrating compiles.

        Another one at each call: to observe a compile changes a table.

        Raises:
            BadInputError, xla_dump_parser.ParseError: the capture's texts do not hold together.
        """
        from mallocgame.models.cycles.products import products_of
        from mallocgame.models.cycles.table import CycleTable
        from mallocgame.models.replay.observe import observations_of, observe_final
        from xla_dump_parser import parse_hlo

        problem = self.problem()
        table = CycleTable(problem, products_of(problem, self.module))
        observe_final(problem, parse_hlo(self.final, "final"), table)
        for seen in observations_of(self.observed, problem):
            table.observe(seen.masks, seen.cycles)
        return table
