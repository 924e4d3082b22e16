"""A text after memory space assignment, taken back to the schedule before it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mallocgame.problem.dataflow import analyse
from mallocgame.problem.lifting.legality import Clashes, clashes_of
from mallocgame.problem.lifting.loops import without_added_elements
from mallocgame.problem.lifting.marks import check_liftable
from mallocgame.problem.lifting.order import in_place, takes_time
from mallocgame.problem.lifting.rebuild import rebuilt, restored_name
from mallocgame.problem.lifting.records import Body, Module
from mallocgame.problem.lifting.transfers import Transfer, transfers_of
from mallocgame.problem.schedule import flatten, scheduled_computations
from mallocgame.problem.schema import Target
from mallocgame.system.errors import BadInputError
from xla_dump_parser import hlo


@dataclass(frozen=True)
class Lifted:
    """A schedule before memory space assignment.

    Attributes:
        module: the schedule.
        copies: how many copies were taken out.
        restored: names in ``module`` of the synchronous copies and slices that were put back for some of them.
    """

    module: hlo.HloModule
    copies: int
    restored: tuple[str, ...]


def lift(module: hlo.HloModule, target: Target) -> Lifted:
    """Take the copies of memory space assignment out of a scheduled text.

    What takes time keeps its name and order, and every array its readers. What moves no bytes (tuples and their
    elements, bitcasts, parameters) may have another name or place than before MSA: the compiler makes those anew after
    it, and says nowhere what was there.

    Args:
        module: the text.
        target: whose compiler made it.

    Raises:
        BadInputError: the module is not scheduled or does not hold together, or something in it that MSA may have made
            cannot be taken back.
    """
    analyse(flatten(module), module.source)
    check_liftable(module, scheduled_computations(module), target)
    return _Lifting(module, target.fast_space).run()


class _Lifting:
    def __init__(self, module: hlo.HloModule, fast: int) -> None:
        self.module = module
        self.fast = fast
        self.bodies = {body.name: body for body in scheduled_computations(module)}
        self.transfers = {name: transfers_of(module, body, fast) for name, body in self.bodies.items()}

    def run(self) -> Lifted:
        every = [transfer for found in self.transfers.values() for transfer in found]
        restored = {transfer.done for transfer in every if transfer.changes}
        clashes = clashes_of(self._without(restored))
        if clashes.groups:
            restored |= self._needed(restored, _sources_in(clashes, every))
        module = self._without(restored)
        names = tuple(restored_name(transfer.done) for transfer in every if transfer.done in restored)
        for name, found in self.transfers.items():
            for transfer in found:
                if transfer.done in restored:
                    self._check_place(module.computations[name], transfer, names)
        return Lifted(module, len(every), names)

    def _without(self, restored: Collection[str]) -> Module:
        """The module without the copies, synchronous ones put back for some."""
        bodies = {name: self._rebuilt(body, restored) for name, body in self.bodies.items()}
        return Module.of(self.module, without_added_elements(self.bodies, bodies))

    def _rebuilt(self, body: hlo.Computation, restored: Collection[str]) -> Body:
        found = self.transfers[body.name]
        bare = rebuilt(body, found, restored, self.fast)
        first = body.instructions[:2]
        starts = {start: transfer.source for transfer in found for start in transfer.starts}
        ahead = [first[0].name] if body.is_entry and starts.get(first[-1].name) == first[0].name else []
        return in_place(bare, ahead, [restored_name(transfer.done) for transfer in found if transfer.done in restored])

    def _check_place(self, body: hlo.Computation, transfer: Transfer, restored: Collection[str]) -> None:
        """Refuse what was synchronous and may have stood before or after something that takes time.

        It stood anywhere between what it reads and its first reader. The compiler schedules slices directly before
        their first readers, other copies and slices aside (112 of 120 in 57 programs, all 7 that MSA had replaced among
        them; libtpu 0.0.52), so these are put there.
        """
        if transfer.opcode == "slice":
            return
        end = restored_name(transfer.done)
        steps = body.instructions
        places = {step.name: place for place, step in enumerate(steps)}
        beginning = max(places[operand] for operand in body.by_name[end].operands)
        between = [
            step for step in steps[beginning + 1 : places[end]] if step.name not in restored and takes_time(step)
        ]
        if between:
            step = self.bodies[body.name].by_name[transfer.starts[0]]
            raise BadInputError(
                f"{self.module.source}:{step.line}: {step.name} stands for a synchronous {transfer.opcode} from before "
                f"memory space assignment, and the text does not say where: before or after {between[-1].name}"
            )

    def _needed(self, restored: Collection[str], candidates: Sequence[Transfer]) -> set[str]:
        """The copies without which a buffer would hold two arrays at once: they were there before MSA.

        The compiler leaves a synchronous copy in a program only where it needs one.
        """
        needed = {transfer.done for transfer in candidates}
        if not self._holds({*restored, *needed}):
            raise self._refused(candidates, "a buffer holds two arrays at once whatever they are taken for")
        for transfer in candidates:
            if self._holds({*restored, *needed} - {transfer.done}):
                needed.remove(transfer.done)
        for transfer in candidates:
            if transfer.done not in needed and any(
                self._holds(({*restored, *needed} - {one}) | {transfer.done}) for one in needed
            ):
                raise self._refused([transfer], "either it or another one of the same array was there before")
        return needed

    def _holds(self, restored: Collection[str]) -> bool:
        return not clashes_of(self._without(restored)).groups

    def _refused(self, transfers: Sequence[Transfer], reason: str) -> BadInputError:
        first = transfers[0] if transfers else None
        body = next(body for body in self.bodies.values() if first is None or first.done in body.by_name)
        step = body.root if first is None else body.by_name[first.starts[0]]
        return BadInputError(
            f"{self.module.source}:{step.line}: {step.name}: what of the copies here memory space assignment made, and "
            f"what was there before it, cannot be told: {reason}"
        )


def _sources_in(clashes: Clashes, transfers: Sequence[Transfer]) -> list[Transfer]:
    """The copies of arrays that are in a buffer that cannot be, copies of their copies among them."""
    members = {number for group in clashes.groups for number in group}
    sources = {transfer.done: transfer.source for transfer in transfers}
    found = []
    for transfer in transfers:
        name = transfer.source
        while clashes.values.get(name) is None and name in sources:
            name = sources[name]
        if clashes.values.get(name) in members:
            found.append(transfer)
    return found
