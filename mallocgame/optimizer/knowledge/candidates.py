"""Programs that the loop tries: what is proposed, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mallocgame.compiler.verification import Row
from mallocgame.optimizer.knowledge.base import Base
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.verdict import Kind, Verdict


@dataclass(frozen=True)
class Candidate:
    """A program to compile.

    Attributes:
        proposer: name of who proposes it.
        kind: what it is.
        about: what it does, in a few words.
        base: the schedule that it is for; a split is for the first one.
        options: of the compile beside the base's own; those of a plan are exported when it is compiled.
        plan: the plan, where it is one.
        predicted: (E, M) in seconds, where there is a prediction.
    """

    proposer: str
    kind: Kind
    about: str
    base: Base
    options: Mapping[str, str]
    plan: NamedPlan | None = None
    predicted: tuple[float, float] | None = None


@dataclass(frozen=True)
class Tried:
    """A candidate after its compiles. Either there is a row, or ``failure`` says why there is none.

    Attributes:
        proposer: as the candidate's.
        kind: likewise.
        about: likewise.
        predicted: likewise.
        options: all of the last compile.
        scoped_vmem_kib: the memory split; None for the compiler's default.
        fingerprint: of the problem that the figures rest on.
        row: the confirmed figures.
        verdict: against XLA's default by game.md's rule.
        plan: as it was carried out, less what the compiler refused.
        honoured: definitions, uses and copies that are as planned; None where there is no plan.
        sites: how many were planned; None where there is no plan.
        misses: the sites that are otherwise, a line each.
        compiles: how many it took.
        failure: why there are no figures.
    """

    proposer: str
    kind: Kind
    about: str
    options: Mapping[str, str]
    scoped_vmem_kib: int | None
    fingerprint: str
    predicted: tuple[float, float] | None = None
    row: Row | None = None
    verdict: Verdict | None = None
    plan: NamedPlan | None = None
    honoured: int | None = None
    sites: int | None = None
    misses: tuple[str, ...] = ()
    compiles: int = 0
    failure: str | None = None
