"""Is a text after memory space assignment taken back to the schedule before it?

    python -m benchmarks.reading.lifting CAPTURE... [--workloads NAME...] [--targets NAME...]

Each capture has both texts of one compile. Its final text alone is lifted (``mallocgame.problem.lifting``) and held
against the text before MSA. Captures are files or folders of files; ``--workloads`` and ``--targets`` are made where
out/captures lacks them.

same        the fingerprints are the same: every name, operand, shape and place
alike       the same problem: instructions that take time, in their order, with their costs; tensors with their sizes,
            definitions, readers, live ranges and buffers; XLA's placement and its seconds under E and M. Only what
            moves no bytes (parameters, constants, tuples, their elements, bitcasts) has another name or place, and
            copies and slices that MSA made asynchronous another name, or place among such: the final text does not
            say theirs.
refused     with the reason
different   anything else

Costs are analytic on both sides, as of a text that stands alone. Exit code 1 if any is different.
"""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path

from mallocgame.bench.store import CaptureStore
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture
from mallocgame.models.replay import replay_final
from mallocgame.models.replay.read_back import ReadBack, read_back
from mallocgame.plan.validate import validate
from mallocgame.problem.build import build_problem
from mallocgame.problem.lifting.lift import lift
from mallocgame.problem.placement import ON_HOST
from mallocgame.problem.schema import Instruction, Problem, Tensor
from mallocgame.problem.targets import get_target
from mallocgame.system.errors import BadInputError, MallocgameError
from xla_dump_parser import HloModule, parse_hlo

KEPT = Path(__file__).parents[2] / "out" / "captures"
VIEWS = frozenset({"tuple", "get-tuple-element", "bitcast"})
GIVEN = frozenset({"parameter", "constant"})
REPLACED = frozenset({"copy", "slice", "dynamic-slice"})

UNORDERED = frozenset({"copy", "slice"})
"""What the text has in no order where several follow one another."""

ADDRESSES = frozenset({"overlap", "alias offsets differ", "misaligned", "beyond capacity"})
"""Causes that a plan without addresses has."""

Fact = tuple[object, ...]


@dataclass(frozen=True)
class Judged:
    """What became of one text: one of the four words, and what there is to say."""

    verdict: str
    reason: str = ""


def judge(before: HloModule, final: HloModule, target_name: str) -> Judged:
    """Lift the final text and hold it against the one before MSA."""
    target = get_target(target_name)
    original = build_problem(before, target, final=final)
    try:
        lifted = build_problem(lift(final, target).module, target, final=final)
    except BadInputError as error:
        return Judged("refused", str(error))
    reason = difference(original, lifted, final)
    if reason:
        return Judged("different", reason)
    return Judged("same" if original.fingerprint == lifted.fingerprint else "alike")


def difference(original: Problem, lifted: Problem, final: HloModule) -> str:
    """The first thing in which two problems differ beyond names and places of what moves no bytes; empty if nothing."""
    names = _names(original, lifted)
    if isinstance(names, str):
        return names
    one, other = _View(original, {}), _View(lifted, names)
    viewed = one.viewed() | other.viewed()
    for what, ours, theirs in (
        ("instruction", one.timed(), other.timed()),
        ("tensor", one.tensors(), other.tensors()),
        ("placement", one.placement(final, viewed), other.placement(final, viewed)),
    ):
        for fact in sorted(map(repr, (ours - theirs) + (theirs - ours))):
            return f"{what}: {fact}"
    for model in ("E", "M"):
        seconds = [replay_final(problem, final, model).total for problem in (original, lifted)]
        if not isclose(*seconds, rel_tol=1e-9):
            return f"{model} of XLA's placement: {seconds[0]} and {seconds[1]}"
    return ""


def _names(original: Problem, lifted: Problem) -> dict[str, str] | str:
    """Original names of what was put back, by the lifted ones; or why there are none."""
    names: dict[str, str] = {}
    ours, theirs = _runs(original), _runs(lifted)
    our_copies, their_copies = _copied(original), _copied(lifted)
    for one, other in zip(ours, theirs, strict=False):
        lost = [step for step in one if step.name not in {step.name for step in other}]
        new = [step for step in other if step.name not in {step.name for step in one}]
        if [step.opcode for step in lost] != [step.opcode for step in new] or any(
            step.opcode not in REPLACED for step in new
        ):
            return f"{[step.name for step in one]} has other instructions in its place: {[step.name for step in other]}"
        names.update({step.name: step.name for step in other})
        new.sort(key=lambda step: their_copies.get(step.name, []))
        lost.sort(key=lambda step: our_copies.get(step.name, []))
        names.update(zip((step.name for step in new), (step.name for step in lost), strict=True))
    return names if len(ours) == len(theirs) else f"{len(ours)} instructions that take time, and {len(theirs)}"


def _copied(problem: Problem) -> dict[str, list[str]]:
    """For each copy or slice, what it reads and what reads it: which of several in a row it is."""
    found: dict[str, list[str]] = {}
    for tensor in problem.tensors:
        reads = [(problem.instructions[use.time], use.operands) for use in tensor.uses]
        for step, _ in reads:
            if step.opcode in REPLACED:
                found.setdefault(step.name, []).append(f"{tensor.instruction} {tensor.index}")
        if problem.instructions[tensor.time].opcode in REPLACED:
            readers = [f"{step.name} {operands}" for step, operands in reads if step.opcode not in VIEWS]
            found.setdefault(tensor.instruction, []).extend(readers)
    return found


def _runs(problem: Problem) -> list[list[Instruction]]:
    """Instructions that take time, in order; copies and slices that follow one another are in no order."""
    timed = [step for step in problem.instructions if not _is_still(step)]
    runs: list[list[Instruction]] = []
    for step in timed:
        if runs and step.opcode in UNORDERED and runs[-1][0].opcode in UNORDERED:
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs


def _is_still(step: Instruction) -> bool:
    return step.opcode in VIEWS or step.opcode in GIVEN


class _View:
    """A problem as a set of facts that names and places of what moves no bytes do not change."""

    def __init__(self, problem: Problem, names: Mapping[str, str]) -> None:
        self.problem = problem
        self.names = names
        opcodes = [(time, step.opcode) for time, step in enumerate(problem.instructions) if not _is_still(step)]
        self.timed_at = [time for time, _ in opcodes]
        before = ["", *(opcode for _, opcode in opcodes)]
        self.begins = [
            time for (time, opcode), last in zip(opcodes, before, strict=False) if not {opcode, last} <= UNORDERED
        ]

    def name(self, time: int) -> str:
        found = self.problem.instructions[time].name
        return self.names.get(found, found)

    def is_view(self, time: int) -> bool:
        return self.problem.instructions[time].opcode in VIEWS

    def rank(self, time: int) -> int:
        """How many instructions that take time are at or before a time, those in no order as one."""
        return bisect_right(self.begins, time)

    def timed(self) -> Counter[Fact]:
        steps = [(time, self.problem.instructions[time]) for time in self.timed_at]
        return Counter(
            (self.rank(time), self.name(time), step.opcode, self.problem.computations[step.computation].name,
             step.compute_seconds, step.total_bytes, step.free, None if step.opcode in REPLACED else step.cycles)
            for time, step in steps
        )  # fmt: skip

    def key(self, tensor: Tensor) -> Fact:
        return (self.name(tensor.time), tensor.index)

    def tensors(self) -> Counter[Fact]:
        groups = [
            tuple(sorted(repr(self.key(self.problem.tensors[id])) for id in group.tensors))
            for group in self.problem.groups
        ]
        return Counter(
            (*self.key(tensor), tensor.size, tensor.defined_bytes, self.rank(tensor.live[0]), self.rank(tensor.live[1]),
             groups[tensor.group], self.problem.groups[tensor.group].size, self.fixed(tensor), tensor.hbm_definition,
             tuple(sorted(self.uses(tensor), key=repr)))
            for tensor in self.problem.tensors
        )  # fmt: skip

    def fixed(self, tensor: Tensor) -> str | None:
        """Whether a tensor may never be in fast memory; why may differ: final texts leave out SparseCore memories."""
        return tensor.fixed if tensor.fixed in (None, ON_HOST) else "fixed"

    def uses(self, tensor: Tensor) -> Iterator[Fact]:
        for use in tensor.uses:
            if not self.is_view(use.time):
                after = None if use.copy_after is None else self.rank(use.copy_after)
                yield self.name(use.time), use.operands, use.accessed_bytes, after

    def viewed(self) -> set[Fact]:
        """Tensors that a bitcast or element reads: how long they stay before it depends on where that stands."""
        return {
            self.key(tensor) for tensor in self.problem.tensors if any(self.is_view(use.time) for use in tensor.uses)
        }

    def placement(self, final: HloModule, viewed: Collection[Fact]) -> Counter[Fact]:
        """XLA's own; ``viewed`` are tensors whose violations of the rules are not looked at."""
        found: ReadBack = read_back(self.problem, final)
        tensors = self.problem.tensors
        facts: Counter[Fact] = Counter(("defined", *self.key(tensors[id])) for id in found.fast_definitions)
        for id, number in found.fast_uses:
            use = tensors[id].uses[number]
            if not self.is_view(use.time):
                facts["read", *self.key(tensors[id]), self.name(use.time), use.operands] += 1
        for copy in found.copies:
            tensor: Fact = () if copy.tensor is None else self.key(tensors[copy.tensor])
            replaced: Fact = () if copy.replaces is None else self.key(tensors[copy.replaces])
            facts[
                copy.kind, tensor, replaced, copy.starts, copy.size, self.rank(copy.after), self.rank(copy.before)
            ] += 1
        plan = found.to_plan()
        for copy in plan.copies:
            facts[
                "planned", copy.kind, self.key(tensors[copy.tensor]), self.rank(copy.after), self.rank(copy.before)
            ] += 1
        violations = [
            violation
            for violation in validate(self.problem, plan)
            if violation.tensor is None or self.key(tensors[violation.tensor]) not in viewed
        ]
        causes = Counter(violation.cause for violation in violations)
        facts.update({("violation", cause): count for cause, count in causes.items() if cause not in ADDRESSES})
        return facts


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading.lifting")
    parser.add_argument("captures", nargs="*", type=Path)
    parser.add_argument("--workloads", nargs="*", default=[])
    parser.add_argument("--targets", nargs="*", default=["v4 lite", "v4", "v5e", "v5p", "v6e"])
    options = parser.parse_args(arguments)
    counts: dict[str, Counter[str]] = {}
    for name, capture in _captures(options.captures, options.workloads, options.targets):
        source = f"{name} (final)"
        try:
            found = judge(parse_hlo(capture.before_msa, name), parse_hlo(capture.final, source), capture.target)
        except MallocgameError as error:
            found = Judged("different", f"{type(error).__name__}: {error}")
        counts.setdefault(capture.target, Counter())[found.verdict] += 1
        print(f"{name}: {found.verdict}{': ' * bool(found.reason)}{found.reason[:1000]}", flush=True)
    for target, count in sorted(counts.items()):
        print(f"{target}: {_line(count)}")
    every = sum(counts.values(), Counter[str]())
    print(f"all: {_line(every)}")
    return int(every["different"] > 0)


def _line(count: Counter[str]) -> str:
    total = count.total()
    equal = count["same"] + count["alike"]
    words = ", ".join(f"{count[word]} {word}" for word in ("same", "alike", "refused", "different"))
    return f"{words}; equal {equal} of {total}" + (f" = {100 * equal / total:.1f} %" if total else "")


def _captures(paths: Sequence[Path], workloads: Sequence[str], targets: Sequence[str]) -> Iterator[tuple[str, Capture]]:
    """(name, capture), one at a time: a large one takes much memory."""
    for path in paths:
        for file in sorted(path.glob("*.mgz")) if path.is_dir() else [path]:
            yield file.stem, load_capture(file)
    store = CaptureStore(KEPT)
    for target in targets if workloads else ():
        for workload in workloads:
            yield store.path(workload, target).stem, store.get(workload, target)


if __name__ == "__main__":
    sys.exit(main())
