"""Proposes what an answer for another compiler, or for the program as it was, says of this one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mallocgame.compiler.export.options import SORT_ORDER, TENSOR_OVERRIDES
from mallocgame.optimizer.knowledge.base import Base, Outlook
from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.optimizer.proposers.plans import tellable
from mallocgame.optimizer.start import Start
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.plan.named_plan import NamedPlan, name_plan
from mallocgame.plan.options_file import ProgramOptions
from mallocgame.plan.plan import Plan
from mallocgame.problem.chips import CHIPS
from mallocgame.problem.schema import Problem
from mallocgame.solvers.annealing.fitting import fitted

PACKING_SECONDS = 1.0
"""For one try to find addresses, and for the choice of what has some if it fails."""

MUCH = 0.5
"""The share of an answer's gain, in logarithms, for which another split is not tried first."""

PROPOSER = "carried over"


@dataclass(frozen=True, slots=True)
class Carried:
    """What of an answer was found again.

    Attributes:
        candidate: to compile; None where there is nothing.
        about: what it is, in one line.
        found: alias groups in fast memory that are found again; None where the answer is no plan.
        groups: how many the answer has there.
        more: whether there is more to carry over once the candidate is compiled.
    """

    candidate: Candidate | None
    about: str
    found: int | None = None
    groups: int | None = None
    more: bool = False


def carried(known: Knowledge, start: Start) -> Carried:
    """What a search that starts from an answer compiles first: one compile tells what it is worth here."""
    if isinstance(start.answer, NamedPlan):
        return _plan(known, start.answer, start.name)
    return _options(known, start.answer, start.name)


def _plan(known: Knowledge, answer: NamedPlan, name: str) -> Carried:
    """What of a plan is found again and has room.

    At another memory split the schedule is foreseen to be the same where all of the plan is found again in XLA's own,
    so that no compile is spent on XLA's placement there. Else the compiler may refuse overrides: the plan is for XLA's
    own split if much is predicted for it there, or the split alone comes first.
    """
    own = known.first.capture.scoped_vmem_kib
    split = answer.scoped_vmem_kib or own
    captured = [base for base in known.bases if base.capture.scoped_vmem_kib == split]
    base = captured[0] if captured else known.first
    made = base.carried
    assert made is not None
    again = f"{made.found} of {made.groups} groups found again"
    if not captured and made.found < made.groups:
        named = _fitted(known, base, made.plan, own)
        if not _keeps_much(known, named, answer):
            about = f"memory split carried over from {name}: {split} KiB; at XLA's own {again}"
            candidate = Candidate(PROPOSER, "split", about, base, {SCOPED_VMEM: str(split)})
            return Carried(candidate, about, made.found, made.groups, more=True)
        split = own
    else:
        named = _fitted(known, base, made.plan, split)
    about = f"plan carried over from {name}: {again}" + ("" if split == own else f" at {split} KiB")
    if not named.plan.stays:
        return Carried(None, f"{about}, and nothing of it can be in fast memory here", made.found, made.groups)
    return Carried(Candidate(PROPOSER, "plan", about, base, {}, named), about, made.found, made.groups)


def _fitted(known: Knowledge, base: Base, plan: Plan, scoped_vmem_kib: int | None) -> NamedPlan:
    """What can be done of a plan without addresses, and told the compiler, on a schedule at a memory split."""
    problem = _at_split(base, scoped_vmem_kib)
    found = fitted(
        problem,
        plan,
        default_seconds=(base.default.e_seconds, base.default.m_seconds),
        cycles=base.cycles,
        time_limit=PACKING_SECONDS,
        seed=known.seed,
    )
    named, _ = tellable(
        name_plan(
            problem,
            found,
            solver="auto",
            seed=known.seed,
            options={"objective": known.choice.objective, "strict": known.choice.strict},
            versions=base.capture.versions,
            scoped_vmem_kib=scoped_vmem_kib,
        )
    )
    return named


def _keeps_much(known: Knowledge, named: NamedPlan, answer: NamedPlan) -> bool:
    """Whether a plan of XLA's own split is predicted to gain ``MUCH`` of what the answer gained at another one."""
    if answer.confirmation is None:
        return False
    figures = (answer.confirmation.default, answer.confirmation.answer)
    before, after = (known.choice.value(Outlook(answer, stated.e_seconds, stated.m_seconds)) for stated in figures)
    expected = known.choice.value(Outlook(named, *known.first.predict(named.plan)))
    return 0 < after < before and expected <= known.choice.value(known.default) * (after / before) ** MUCH


def _at_split(base: Base, scoped_vmem_kib: int | None) -> Problem:
    """The problem of a schedule at another memory split: the windows of fusions are taken from the same bytes."""
    splits, problem = CHIPS[base.capture.target].splits, base.problem
    if splits is None or scoped_vmem_kib is None:
        return problem
    more = scoped_vmem_kib - (base.capture.scoped_vmem_kib or splits.default)
    target = problem.target
    fast_bytes = max(target.alignment, target.fast_bytes - more * 1024)
    return replace(problem, target=replace(target, fast_bytes=fast_bytes))


def _options(known: Knowledge, answer: ProgramOptions, name: str) -> Carried:
    """The options that an answer has beside those of the program, but for overrides: they are by names."""
    own = known.first.capture.options
    by_name = answer.kind in ("plan", "soft plan") or TENSOR_OVERRIDES in answer.options
    options = {
        option: value
        for option, value in answer.options.items()
        if own.get(option) != value and option != SORT_ORDER and (not by_name or option == SCOPED_VMEM)
    }
    if not options:
        what = "it names instructions, and tells nothing else of them" if by_name else "it is XLA's default"
        return Carried(None, f"nothing carried over from {name}: {what}")
    about = f"options carried over from {name}: {answer.about}"
    if by_name:
        about = f"memory split carried over from {name}: {options[SCOPED_VMEM]} KiB"
    kind = "split" if SCOPED_VMEM in options else answer.kind
    return Carried(Candidate(PROPOSER, kind, about, known.first, options), about)
