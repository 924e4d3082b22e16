"""Compiles what is proposed, reads it back, and learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mallocgame.compiler.capturing import recapture
from mallocgame.compiler.child import Limits
from mallocgame.compiler.confirm import Confirmed, confirm, confirm_other
from mallocgame.compiler.meter import Meter, TooSlowError
from mallocgame.compiler.relax import Relaxation
from mallocgame.compiler.verification import Miss, Row
from mallocgame.compiler.verify import carry_out, judge_sites
from mallocgame.optimizer.knowledge.base import Base, base_of
from mallocgame.optimizer.knowledge.candidates import Candidate, Tried
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.plan.compiler_options import SCOPED_VMEM, split_of
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.verdict import verdict, verdict_words
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import CompilerRefusedError, MallocgameError
from mallocgame.system.printable import one_line
from mallocgame.system.progress import Progress
from xla_dump_parser import ParseError

REFUSALS = 4
"""Compiles of one plan, of which the last ones have less and less of it in fast memory (``relax.CUTS``)."""

ROOM = 0.93
"""Share of the fast memory that the next plan may fill, of what the one before might for which there was no room: the
compiler's allocator is foreseen by simulation, which is not exact."""


@dataclass
class Trials:
    """Carries candidates out.

    Attributes:
        known: learns what became of them.
        meter: compiles.
        compiles: how many, in all.
        limits: of each compile.
        begin: is told of each new schedule.
        progress: is told one line at each step.
    """

    known: Knowledge
    meter: Meter
    compiles: int
    limits: Limits | None
    begin: Callable[[Base], None]
    progress: Progress

    def carry_out(self, candidate: Candidate) -> None:
        """Compile, read back, learn; a kind of candidate that takes far too long is not proposed again."""
        before = self.meter.compiles
        known = self.known
        tried = Tried(
            proposer=candidate.proposer,
            kind=candidate.kind,
            about=candidate.about,
            options={**candidate.base.capture.options, **candidate.options},
            scoped_vmem_kib=(candidate.plan or candidate.base.capture).scoped_vmem_kib,
            fingerprint=candidate.base.problem.fingerprint,
            predicted=candidate.predicted,
            plan=candidate.plan,
        )
        try:
            tried = self._confirmed(candidate, tried)
        except (MallocgameError, ParseError) as error:
            tried = replace(tried, failure=one_line(error, 1000))
            dropped = f"; {candidate.proposer} are dropped" if isinstance(error, TooSlowError) else ""
            self.progress(f"{candidate.about}: {tried.failure}{dropped}")
            if dropped:
                known.dropped.add(candidate.proposer)
        tried = replace(tried, compiles=self.meter.compiles - before)
        known.compiles_left = self.meter.left(self.compiles)
        known.tried.append(tried)  # before it is told: Ctrl-C may follow at once
        if tried.row is not None:
            self.progress(f"{tried.about}: {against(tried.row, known.default)}, {verdict_words(tried.verdict)}")

    def _confirmed(self, candidate: Candidate, tried: Tried) -> Tried:
        if candidate.options.keys() == {SCOPED_VMEM}:
            return self._split(tried)
        if candidate.plan is not None:
            here = candidate.plan.scoped_vmem_kib == candidate.base.capture.scoped_vmem_kib
            return self._plan(candidate, tried) if here else self._plan_elsewhere(candidate.plan, candidate.base, tried)
        how = confirm_other if candidate.kind in ("global flags", "split") else confirm
        found = how(candidate.base.capture, candidate.kind, tried.options, self.meter, self.limits)
        if found.problem is candidate.base.problem:
            candidate.base.observe(found.final)
            if candidate.kind == "msa off":  # what everything costs in HBM may show other plans
                candidate.base.exhausted = False
        return self._judged(tried, found.row, found.options, found.problem.fingerprint)

    def _split(self, tried: Tried) -> Tried:
        capture = recapture(self.known.first.capture, tried.options, limits=self.limits, compile=self.meter)
        base = base_of(capture)
        self._refuse_offloading(base.problem)
        self.known.bases.append(base)
        for earlier in self.known.tried:
            if earlier.plan is not None and earlier.row is not None and self.known.base_of(earlier) is base:
                base.plan, base.rank, base.plans = earlier.plan.plan, self._rank(earlier.row, base), 1
        self.begin(base)
        row = replace(base.default, name="split")
        return self._judged(tried, row, tried.options, base.problem.fingerprint)

    def _plan(self, candidate: Candidate, tried: Tried) -> Tried:
        assert candidate.plan is not None
        base, relaxation = candidate.base, Relaxation(candidate.plan)
        base.plans += 1
        try:
            found = self._carry_out(relaxation, base)
        except MallocgameError:
            base.barred |= {*relaxation.first}
            raise
        finally:
            base.barred |= {entry.group for entry in relaxation.relaxed if not entry.cut}
            if relaxation.cuts or relaxation.first:
                base.room *= ROOM
        honoured, sites, misses = self._learn(candidate, base, relaxation, found)
        tried = self._judged(tried, found.row, found.options, base.problem.fingerprint)
        lines = tuple(map(str, misses))
        return replace(tried, plan=relaxation.named, honoured=honoured, sites=sites, misses=lines)

    def _plan_elsewhere(self, plan: NamedPlan, base: Base, tried: Tried) -> Tried:
        """A plan for a memory split that was not captured: if its schedule is another one, the names still count."""
        relaxation = Relaxation(plan)
        found = self._carry_out(relaxation, base)
        self._refuse_offloading(found.problem)
        tried = replace(self._judged(tried, found.row, found.options, found.problem.fingerprint), plan=None)
        if found.problem.fingerprint != plan.fingerprint:
            return tried
        honoured, sites, misses = judge_sites(found.problem, relaxation, plan.plan, found.final)
        lines = tuple(map(str, misses))
        return replace(tried, plan=relaxation.named, honoured=honoured, sites=sites, misses=lines)

    def _carry_out(self, relaxation: Relaxation, base: Base) -> Confirmed:
        found, _ = carry_out(
            relaxation,
            base.capture,
            self.meter,
            limits=self.limits,
            max_compiles=min(REFUSALS, self.known.compiles_left),
            cut=True,
            progress=self.progress,
        )
        return found

    def _refuse_offloading(self, problem: Problem) -> None:
        """Refuse a split at which another core gets other work."""
        if _offloaded(problem) != _offloaded(self.known.first.problem):
            raise CompilerRefusedError("this split gives work to another core, whose time is in neither model")

    def _rank(self, row: Row, base: Base) -> tuple[bool, float]:
        return self.known.choice.rank(row, self.known.default, base is not self.known.first)

    def _learn(
        self, candidate: Candidate, base: Base, relaxation: Relaxation, found: Confirmed
    ) -> tuple[int, int, tuple[Miss, ...]]:
        """Cycles, what the compiler did otherwise, and the best plan."""
        assert candidate.plan is not None
        base.observe(found.final)
        honoured, sites, misses = judge_sites(base.problem, relaxation, candidate.plan.plan, found.final)
        groups = {tensor.name: tensor.group for tensor in base.problem.tensors}
        cut = {entry.group for entry in relaxation.relaxed if entry.cut}
        base.barred |= {groups[miss.tensor] for miss in misses if miss.planned != "HBM"} - cut
        rank = self._rank(found.row, base)
        if base.plan is None or rank < base.rank:
            base.plan, base.rank = relaxation.named.plan, rank
        return honoured, sites, misses

    def _judged(self, tried: Tried, row: Row, options: Mapping[str, str], fingerprint: str) -> Tried:
        default, split = self.known.default, split_of(options)
        changed = split != self.known.first.capture.scoped_vmem_kib
        return replace(
            tried,
            options=dict(options),
            scoped_vmem_kib=split,
            fingerprint=fingerprint,
            row=row,
            verdict=verdict(row, default, changed),
        )


def _offloaded(problem: Problem) -> int:
    """How many pieces of work a program gives to other cores (the SparseCore), asynchronously."""
    return sum(instruction.opcode == "async-start" for instruction in problem.instructions)


def against(row: Row, default: Row) -> str:
    """A program's time beside XLA's default, as text: ``"XLA's time -5.3 % (E), -2.1 % (M)"``."""
    pairs = ((row.e_seconds, default.e_seconds), (row.m_seconds, default.m_seconds))
    e, m = (f"{100 * (value / base - 1):+.1f} %" if base else "0 s" for value, base in pairs)
    return f"XLA's time {e} (E), {m} (M)"
