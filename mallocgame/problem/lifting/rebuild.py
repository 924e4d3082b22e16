"""A computation of a text after memory space assignment, without the copies that it made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from mallocgame.problem.lifting.records import Body, Step
from mallocgame.problem.lifting.transfers import Transfer, without_space
from xla_dump_parser import hlo
from xla_dump_parser.shapes import format_shape

_VIEWS = frozenset({"bitcast", "get-tuple-element", "tuple"})
"""Opcodes that move no bytes: the compiler makes them anew, one for each reader, after MSA."""


def rebuilt(body: hlo.Computation, transfers: Sequence[Transfer], restored: Collection[str], fast: int) -> Body:
    """The computation without transfers.

    Args:
        body: the computation of the text.
        transfers: its copies.
        restored: names of the ends of copies that stand for synchronous instructions, which are put back.
        fast: memory space that shapes lose.
    """
    return _Rebuilding(body, transfers, restored, fast).run()


def restored_name(done: str) -> str:
    """Name of what is put back for a copy; its own is lost, and this one is in no text."""
    return f"{done}.synchronous"


def view_name(view: str) -> str:
    """Name of what moves no bytes and was made anew for a copy; its own is lost, and this one is in no text.

    Such a bitcast or element reads and gives what it does in the text only because of the copy.
    """
    return f"{view}.uncopied"


class _Rebuilding:
    def __init__(
        self,
        body: hlo.Computation,
        transfers: Sequence[Transfer],
        restored: Collection[str],
        fast: int,
    ) -> None:
        self.body = body
        self.ends = {transfer.done: transfer for transfer in transfers}
        self.gone = {name for transfer in transfers for name in (*transfer.starts, *transfer.waits)}
        self.restored = restored
        self.fast = fast
        self.names: dict[str, str] = {}
        self.made: dict[str, Step] = {}
        self.views: dict[tuple[str, ...], str] = {}

    def run(self) -> Body:
        for step in self.body.instructions:
            transfer = self.ends.get(step.name)
            if transfer is not None:
                self._end(step, transfer)
            elif step.name not in self.gone:
                self._keep(step)
        root = self.names[self.body.root.name]
        steps = _alive(self.body, list(self.made.values()), root)
        body = Body(
            self.body.name, self.body.is_entry, tuple(replace(step, is_root=step.name == root) for step in steps)
        )
        return body.renamed({name: view_name(name) for name in self._anew(steps, root)})

    def _anew(self, steps: Sequence[Step], root: str) -> set[str]:
        """Names of bitcasts and elements that the compiler made anew because of a copy of what they read or give."""
        found: set[str] = set()
        for step in steps:
            if step.opcode == "bitcast" and (step.written.operands[0] in self.ends or step.operands[0] in found):
                found.add(step.name)
        if self.made[root].opcode == "get-tuple-element" and self.body.root.name in self.ends:
            found.add(root)
        return found

    def _end(self, step: hlo.Instruction, transfer: Transfer) -> None:
        source = self.names[transfer.source]
        if step.name not in self.restored:
            self.names[step.name] = source
            return
        name = restored_name(step.name)
        start = self.body.by_name[transfer.starts[0]]
        operands = tuple(self.names[operand] for operand in start.operands)
        shape = without_space(step.shape, self.fast)
        self.names[step.name] = name
        self.made[name] = Step(transfer.made, name, transfer.opcode, shape, operands, False)

    def _keep(self, step: hlo.Instruction) -> None:
        shape = without_space(step.shape, self.fast)
        kept = Step(step, step.name, step.opcode, shape, tuple(self.names[name] for name in step.operands), False)
        known = self._same(kept)
        self.names[step.name] = known or step.name
        if known is None:
            self.made[step.name] = kept

    def _same(self, step: Step) -> str | None:
        """Name of what is there already and is the same as this one, which moves no bytes."""
        if step.opcode not in _VIEWS:
            return None
        if step.opcode == "get-tuple-element":
            whole = self.made[step.operands[0]]
            if whole.opcode == "tuple":
                return whole.operands[int(step.attributes["index"])]
        if step.opcode == "tuple" and step.operands != step.written.operands:
            whole_name = self._taken_apart(step)
            if whole_name is not None:
                return whole_name
        key = (step.opcode, format_shape(step.shape), step.attributes.get("index", ""), *step.operands)
        known = self.views.setdefault(key, step.name)
        return None if known == step.name else known

    def _taken_apart(self, step: Step) -> str | None:
        """What a tuple is of whose elements are those of one instruction, in their order."""
        wholes = set()
        for number, name in enumerate(step.operands):
            element = self.made[name]
            if element.opcode != "get-tuple-element" or element.attributes["index"] != str(number):
                return None
            wholes.add(element.operands[0])
        whole = self.made[wholes.pop()] if len(wholes) == 1 else None
        return whole.name if whole is not None and whole.shape == step.shape else None


def _alive(body: hlo.Computation, steps: Sequence[Step], root: str) -> list[Step]:
    """The instructions without those that move no bytes and whose readers have all gone."""
    read = {root}
    kept: list[Step] = []
    for step in reversed(steps):
        had_readers = bool(body.users.get(step.name))
        if step.opcode not in _VIEWS or step.name in read or not had_readers:
            kept.append(step)
            read.update(step.operands)
    return kept[::-1]
