"""What the page, the pictures, the trace and ``explain`` show: a plan beside XLA's default, both replayed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from mallocgame.models.replay import Model, ReadBack, Replay, read_back, relaxed_bound, replay_final, replay_plan
from mallocgame.plan.named_plan import NamedPlan, check_plan
from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.programs.answered import split_words
from mallocgame.report.memory_map import Panel, Slices
from mallocgame.report.units import duration
from mallocgame.system.errors import BadInputError

if TYPE_CHECKING:
    from mallocgame.compiler.confirm import Confirmed
    from mallocgame.compiler.verification import Verification
    from mallocgame.plan.options_file import ProgramOptions
    from mallocgame.programs.loaded import Loaded
    from xla_dump_parser.hlo import HloModule

MODELS: tuple[Model, ...] = ("E", "M")

Source = Literal["compiler", "plan"]
"""What was replayed: the final text of a compile, or a plan that nothing has confirmed."""

DEFAULT = "XLA's default"
ALL_HBM = "everything in HBM"
PLAN = "the plan"


@dataclass(frozen=True, slots=True)
class Moved:
    """What an asynchronous copy moves.

    Attributes:
        name: of the tensor; of the copy's starting instruction where the problem does not have the tensor.
        size: bytes.
    """

    name: str
    size: int


@dataclass(frozen=True)
class Side:
    """One of the two placements.

    Attributes:
        name: ``DEFAULT``, ``ALL_HBM`` or ``PLAN``.
        source: what was replayed.
        plan: the placement.
        slices: of the prefetches that the compiler has cut.
        replays: under both models.
        copies: for the key of each flight of the replays, what it moves.
    """

    name: str
    source: Source
    plan: Plan
    replays: Mapping[Model, Replay]
    copies: Mapping[Hashable, Moved]
    slices: Slices = field(default_factory=dict)

    def panel(self, title: str) -> Panel:
        """The side as a memory map."""
        return Panel(title, self.plan, self.slices)


ROUNDING = 1e-9
"""Share by which sums of the same seconds in another order may differ."""


@dataclass(frozen=True)
class Comparison:
    """Two placements of one program.

    Attributes:
        problem: the program.
        answer: the plan, or the options of an answer that is none.
        file: that the program was read from.
        versions: of what captured the program.
        before: XLA's own placement of this schedule; everything in HBM where it is not known.
        after: the answer.
        estimates: seconds of ``relaxed_bound`` under each model; ``bound`` says whether one is a bound.
        verification: of the answer, where it has been compiled.
        notes: what a reader should know of the figures, one line each.
    """

    problem: Problem
    answer: NamedPlan | ProgramOptions
    file: str
    versions: Mapping[str, str]
    before: Side
    after: Side
    estimates: Mapping[Model, float]
    verification: Verification | None
    notes: tuple[str, ...]

    @property
    def confirmed(self) -> bool:
        """Whether the plan's figures are those of a compile."""
        return self.after.source == "compiler"

    def bound(self, model: Model) -> float | None:
        """Seconds that nothing can beat under a model, as far as is known; None where a side that is shown beats them.

        Under E the relaxed bound is an estimate, for other placements have other cycles.
        """
        least = min(side.replays[model].total for side in (self.before, self.after))
        return self.estimates[model] if least >= self.estimates[model] * (1 - ROUNDING) else None


def compare(
    named: NamedPlan, loaded: Loaded, verification: Verification | None = None, notes: tuple[str, ...] = ()
) -> Comparison:
    """Replay a plan beside XLA's default.

    Args:
        named: the plan.
        loaded: the file of its program.
        verification: of the plan; its side is then what the compiler made of it.
        notes: what a reader should know, a line each.

    Raises:
        BadInputError: the plan is for another program, schedule or memory split.
    """
    problem = loaded.problem
    if named.scoped_vmem_kib != loaded.scoped_vmem_kib:
        raise BadInputError(
            f"{loaded.source}: has {split_words(loaded.scoped_vmem_kib)}, the plan is for "
            f"{split_words(named.scoped_vmem_kib)}: give a capture, which can be compiled with that"
        )
    check_plan(named, problem)
    before, told = _before(loaded)
    notes += told
    if verification is None:
        cycles, _ = loaded.model_e()
        if not any(instruction.cycles for instruction in problem.instructions):
            notes += ("the file has no cycles of the emitter, so E is M",)
        elif cycles is None:
            notes += ("E takes the cycles of XLA's default placement, whatever the plan changes",)
        after = _planned(
            PLAN, problem, named.plan, {model: replay_plan(problem, named.plan, model, cycles) for model in MODELS}
        )
    else:
        from xla_dump_parser import parse_hlo

        final = parse_hlo(verification.final, "final of the plan")
        after = _compiled(PLAN, problem, final, verification.buffer_assignment)
        notes += verification.notes
    if verification is not None and verification.rows[1].name == "split":
        before = replace(before, name=f"XLA's own placement at {split_words(named.scoped_vmem_kib)}")
    return _comparison(problem, named, loaded, (before, after), verification, notes)


def compare_options(answer: ProgramOptions, loaded: Loaded, verification: Verification, found: Confirmed) -> Comparison:
    """An answer that is no plan beside XLA's default, if both have one schedule; else beside everything in HBM.

    Args:
        answer: the options.
        loaded: the file of its program.
        verification: of the answer.
        found: its compile.
    """
    problem = found.problem
    after = _compiled(answer.about, problem, found.final, found.compiled.buffer_assignment)
    notes = verification.notes
    if problem.fingerprint == loaded.problem.fingerprint:
        before, told = _before(loaded)
        notes += told
    else:
        plan = Plan(problem.fingerprint)
        before = _planned(ALL_HBM, problem, plan, {model: replay_plan(problem, plan, model) for model in MODELS})
        notes += ("the compiler schedules another program with these options: places are beside everything in HBM",)
    return _comparison(problem, answer, loaded, (before, after), verification, notes)


def _comparison(
    problem: Problem,
    answer: NamedPlan | ProgramOptions,
    loaded: Loaded,
    sides: tuple[Side, Side],
    verification: Verification | None,
    notes: tuple[str, ...],
) -> Comparison:
    if any(len(slices) > 1 for side in sides for slices in side.slices.values()):
        notes += (
            "the compiler does not tell the addresses of a copy's slices: they are drawn in the order of their starts",
        )
    return Comparison(
        problem=problem,
        answer=answer,
        file=loaded.source,
        versions=loaded.versions,
        before=sides[0],
        after=sides[1],
        estimates={model: relaxed_bound(problem, model) for model in MODELS},
        verification=verification,
        notes=(*problem.notes, *notes),
    )


def _before(loaded: Loaded) -> tuple[Side, tuple[str, ...]]:
    """XLA's default as far as the file has it, and notes."""
    problem, default = loaded.problem, loaded.default
    if loaded.final is not None:
        return _compiled(DEFAULT, problem, loaded.final, loaded.buffer_assignment), ()
    if default is None or default.plan is None:
        why = "the file does not have it" if default is None else default.no_plan
        plan, name = Plan(problem.fingerprint), ALL_HBM
        notes = [f"XLA's default cannot be shown ({why}): the plan is compared with everything in HBM"]
        if default is not None:
            notes.append(
                f"XLA's default takes {duration(default.e_seconds)} under E, {duration(default.m_seconds)} under M"
            )
    else:
        plan, name, notes = default.plan, DEFAULT, []
        if default.addresses != "compiler":
            notes.append("the addresses of XLA's default are not the compiler's own: its placement was packed anew")
    return _planned(name, problem, plan, {model: replay_plan(problem, plan, model) for model in MODELS}), tuple(notes)


def _planned(name: str, problem: Problem, plan: Plan, replays: Mapping[Model, Replay]) -> Side:
    """A placement that is a plan."""
    copies: dict[Hashable, Moved] = {
        copy: Moved(problem.tensors[copy.tensor].name, problem.tensors[copy.tensor].size) for copy in plan.copies
    }
    return Side(name, "plan", plan, replays, copies)


def _compiled(name: str, problem: Problem, final: HloModule, buffer_assignment: str) -> Side:
    """A placement that was read back from what the compiler made."""
    found = placed(problem, final, buffer_assignment)
    copies: dict[Hashable, Moved] = {}
    for copy in found.copies:
        for start, (_, size) in zip(copy.starts, copy.slices, strict=True):
            copies[start] = Moved(start if copy.tensor is None else problem.tensors[copy.tensor].name, size)
    return Side(
        name=name,
        source="compiler",
        plan=found.to_plan(),
        replays={model: replay_final(problem, final, model) for model in MODELS},
        copies=copies,
        slices=slices_of(found),
    )


def placed(problem: Problem, final: HloModule, buffer_assignment: str) -> ReadBack:
    """The placements of a final text with the addresses of its buffer-assignment text; empty for none."""
    from xla_dump_parser.buffer_assignment import parse_buffer_assignment

    allocations = parse_buffer_assignment(buffer_assignment, "buffer assignment") if buffer_assignment else None
    return read_back(problem, final, allocations)


def slices_of(found: ReadBack) -> Slices:
    """The slices of each copy, for a memory map."""
    return {(copy.tensor, copy.after + 1): copy.slices for copy in found.copies if copy.tensor is not None}
