"""A named plan as ``xla_tpu_msa_tensor_overrides`` and ``xla_tpu_msa_sort_order_overrides``.

What can be expressed, and why exactly these overrides do it, is told in docs/expressibility.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import NamedTuple

from mallocgame.compiler.export import text
from mallocgame.plan.named_plan import NamedPlan, NamedTensor, NamedUse
from mallocgame.problem.schema import ShapeIndex
from mallocgame.system.errors import BadInputError


class InexpressibleError(BadInputError):
    """No override can say this.

    Attributes:
        tensor: what it is about.
    """

    def __init__(self, tensor: NamedTensor, reason: str) -> None:
        super().__init__(f"this plan cannot be exported: {reason}")
        self.tensor = tensor


KEEP = "keep_in_default_memory{}"
PIN = "pin_in_alternate_memory{}"
FIRST = "override_options{assign_first:1}"

LONG = 200
"""Characters of a pattern: a longer one is cut by size where that is possible, and gets bounds of size; all orders get
them. The compiler makes a regular expression anew each time that it holds a value against it, which it does most often
for orders, after it has compared index and size: that took 37 % of the compile of a plan for Gemma 3 1B, now 17 %."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The alias groups of a plan by what happens to them; each group is a tuple of its tensors.

    Attributes:
        pinned: all definitions and uses in fast memory.
        evicted: as pinned but for an entry result, which an eviction brings to HBM for the entry's root, and perhaps an
            entry parameter, which is prefetched for the first in-place update; or one product, in fast memory for its
            first uses, that an eviction brings to HBM for the next one, and perhaps prefetches back.
        copied: defined in HBM, some uses served by prefetches.
        in_hbm: no definition or use in fast memory.
    """

    pinned: tuple[tuple[NamedTensor, ...], ...]
    evicted: tuple[tuple[NamedTensor, ...], ...]
    copied: tuple[tuple[NamedTensor, ...], ...]
    in_hbm: tuple[tuple[NamedTensor, ...], ...]

    @property
    def moved(self) -> tuple[tuple[NamedTensor, ...], ...]:
        """All but those in HBM."""
        return (*self.pinned, *self.evicted, *self.copied)


def classify(named: NamedPlan) -> Groups:
    """Sort the groups of a plan.

    Raises:
        InexpressibleError: the plan asks for something that no override can express (an eviction in a group without an
            entry result, a group that is only partly in fast memory, a fast use that nothing serves).
    """
    evictions = {copy.tensor: copy.before for copy in named.plan.copies if copy.kind == "eviction"}
    members: dict[int, list[NamedTensor]] = {}
    for tensor in named.tensors:
        members.setdefault(tensor.group, []).append(tensor)
    pinned, evicted, copied, in_hbm = [], [], [], []
    for tensors in map(tuple, members.values()):
        if any(tensor.id in evictions for tensor in tensors):
            if len(tensors) == 1:
                _check_product(tensors[0])
            else:
                _check_evicted(tensors, evictions)
            evicted.append(tensors)
        elif any(tensor.fast_definition for tensor in tensors):
            _check_pinned(tensors)
            pinned.append(tensors)
        elif any(use.fast or use.copy_after is not None for tensor in tensors for use in tensor.uses):
            for tensor in tensors:
                _check_copied(tensor)
            copied.append(tensors)
        else:
            in_hbm.append(tensors)
    return Groups(tuple(pinned), tuple(evicted), tuple(copied), tuple(in_hbm))


def tensor_overrides(groups: Groups, evicted: Collection[int]) -> str:
    """The text of ``xla_tpu_msa_tensor_overrides``; what is to be done alike is one override.

    Where a whole group is in HBM its first tensor alone is told: the compiler keeps the others with it.

    Args:
        groups: of the plan.
        evicted: ids of the tensors that the plan evicts. They get no pin: it would mark the program's result as one in
            fast memory, and keep a product there for good. The compiler leaves them where the rest of the group is, or
            where they are produced while there is room, and evicts them because the result, or the next use of a
            product, which is never the root's, has to be in HBM.

    Raises:
        InexpressibleError: an output that the plan wants in fast memory, or what a loop gives back, would be kept in
            HBM together with a use.
    """
    everything = [tensor for tensors in (*groups.moved, *groups.in_hbm) for tensor in tensors]
    root = max((use.time for tensor in everything for use in tensor.uses), default=0)
    alone = [tensors[0] for tensors in groups.evicted if len(tensors) == 1]
    read = [replace(tensor, uses=tuple(use for use in tensor.uses if use.time != root)) for tensor in alone]
    prefetched = [tensor for tensors in (*groups.evicted, *groups.copied) for tensor in tensors if _is_copied(tensor)]
    kept = [tensors[0] for tensors in groups.in_hbm]
    kept += [tensor for tensors in groups.copied for tensor in tensors if not tensor.is_fast]
    pinned = [tensor for tensors in (*groups.pinned, *groups.evicted) for tensor in tensors if tensor.fast_definition]
    outputs: dict[tuple[str, ShapeIndex], list[NamedTensor]] = {}
    for tensor in everything:
        if tensor.is_fast or tensor.hinted:
            outputs.setdefault((tensor.instruction, tensor.index), []).append(tensor)
    copied = (*prefetched, *read)
    return text.join(
        [
            *_by_position([tensor for tensor in kept if not tensor.hinted], KEEP),
            *_by_position([tensor for tensor in pinned if tensor.id not in evicted], PIN),
            *_kept_uses([site for tensor in copied for site in _kept_of(tensor, outputs)], outputs),
            *_prefetches([use for tensor in copied for use in tensor.uses], everything),
        ]
    )


def sort_order_overrides(levels: Iterable[Sequence[NamedTensor]]) -> str:
    """The text of ``xla_tpu_msa_sort_order_overrides`` that has these tensors allocated first, level by level."""
    return text.join([one for tensors in levels for one in _by_position(tensors, FIRST, bounded=True)])


class _Site(NamedTuple):
    """One operand of an instruction: its number, and the tuple index and padded bytes of what it reads."""

    instruction: str
    operand: int
    tuple_index: ShapeIndex
    size: int


def _kept_of(tensor: NamedTensor, outputs: Mapping[tuple[str, ShapeIndex], Sequence[NamedTensor]]) -> Iterator[_Site]:
    """Where a keep is needed for a use in HBM.

    A keep also keeps outputs of that instruction that look like the operand, with all of their uses. Where the plan has
    something of them in fast memory, the keep is left out unless a fast use precedes: the compiler copies nothing by
    itself, but it would hold on to a copy. So it is at a loop that passes the tensor on to a later fast use: that one
    reads what the loop gives back, and would be kept in HBM with it; where a fast use precedes the loop, nothing can
    say that. Beyond reach it holds on to nothing.
    """
    previous = None
    first_fast = next(number for number, use in enumerate(tensor.uses) if use.fast)
    for number, use in enumerate(tensor.uses):
        for operand, index in use.operands if not use.fast else ():
            if index and number < first_fast:
                continue
            if use.loop and any(later.fast for later in tensor.uses[number:]):
                raise InexpressibleError(
                    tensor,
                    f"keeping {tensor.name} in HBM for {use.instruction} also keeps there what that loop gives back",
                )
            alike = [out for out in outputs.get((use.instruction, index), ()) if out.size == tensor.size]
            output = next((out for out in alike if out.is_fast), None)
            if output is None:
                yield _Site(use.instruction, operand, index, tensor.size)
            elif previous is not None and previous.fast and not use.far:
                raise InexpressibleError(
                    tensor, f"keeping {tensor.name} in HBM for {use.instruction} also keeps {output.name} there"
                )
        previous = use


def _kept_uses(
    sites: Sequence[_Site], outputs: Mapping[tuple[str, ShapeIndex], Sequence[NamedTensor]]
) -> Iterator[str]:
    """Their size is told where it tells them from an output of the instruction that must not be kept."""
    alike: dict[tuple[int, ShapeIndex, int | None], list[str]] = {}
    for name, operand, index, size in sites:
        told = size if (name, index) in outputs else None
        alike.setdefault((operand, index, told), []).append(name)
    for (operand, index, told), names in alike.items():
        for pattern in text.patterns(names):
            yield text.override(text.use(pattern, operand, index, told, told), KEEP)


def _prefetches(uses: Iterable[NamedUse], tensors: Iterable[NamedTensor]) -> Iterator[str]:
    """Prefetches of the uses that ask for one; those that start at the same time as few overrides as can be."""
    wanted: dict[int, set[_Operand]] = {}
    for use in uses:
        if use.copy_after is not None:
            wanted.setdefault(use.copy_after, set()).add((use.instruction, *use.operands[0]))
    sites: dict[str, list[_Site]] = {}
    for tensor in tensors:
        for use in tensor.uses:
            of = sites.setdefault(use.instruction, [])
            of += [_Site(use.instruction, number, index, tensor.size) for number, index in use.operands]
    for time, asked in sorted(wanted.items()):
        action = f"prefetch{{logical_time:{time},strict_timing:1}}"
        users = {name: sites[name] for name in sorted({name for name, _, _ in asked})}
        left = asked
        while left:
            found = [(one, *_met(one, users, asked, left)) for one in _filters(users, left)]
            chosen, names, met = max(found, key=lambda it: len(it[2]))
            for pattern in text.patterns(names):
                yield text.override(text.use(pattern, *chosen), action)
            left = left - met


_Operand = tuple[str, int, ShapeIndex]
"""An operand of an instruction: its number, and the tuple index within it."""

_Filter = tuple[int | None, ShapeIndex | None, int | None, int | None]
"""Operand number, tuple index, least and most bytes; None where any will do."""


def _filters(users: Mapping[str, Sequence[_Site]], asked: Collection[_Operand]) -> Iterator[_Filter]:
    """What may tell the sites asked for from all others of their instructions, the shortest first; the last does.

    Sizes are bounds between which the compiler's own size of a value is, too: it is half of ours for some vectors.
    """
    yield None, None, None, None
    yield from ((operand, None, None, None) for operand in sorted({operand for _, operand, _ in asked}))
    sizes = sorted({one.size for sites in users.values() for one in sites if one[:3] in asked})
    yield from ((None, None, None, size) for size in sizes)
    yield from ((None, None, size // 2, None) for size in sizes)
    yield from ((operand, index, None, None) for operand, index in sorted({site[1:] for site in asked}))


def _met(
    one: _Filter,
    users: Mapping[str, Sequence[_Site]],
    asked: Collection[_Operand],
    left: Collection[_Operand],
) -> tuple[list[str], set[_Operand]]:
    """The instructions of which a filter meets nothing but what is asked for, and some of what is left; and that."""
    operand, index, least, most = one
    names: list[str] = []
    met: set[_Operand] = set()
    for name, sites in users.items():
        fitting = [one for one in sites if operand in (None, one.operand) and index in (None, one.tuple_index)]
        bounds = 0 if least is None else least, 2**63 if most is None else most
        perhaps = {one[:3] for one in fitting if bounds[0] <= one.size and one.size // 2 <= bounds[1]}
        surely = {one[:3] for one in fitting if bounds[0] <= one.size // 2 and one.size <= bounds[1]}
        if perhaps.issubset(asked) and not surely.isdisjoint(left):
            names.append(name)
            met |= surely
    return names, met


def _by_position(tensors: Sequence[NamedTensor], action: str, bounded: bool = False) -> Iterator[str]:
    found: dict[ShapeIndex, list[NamedTensor]] = {}
    for tensor in tensors:
        found.setdefault(tensor.index, []).append(tensor)
    for index in sorted(found):
        for alike in _alike(sorted(found[index], key=lambda tensor: tensor.size)):
            least, most = alike[0].size // 2, alike[-1].size
            for pattern in text.patterns(tensor.instruction for tensor in alike):
                bounds = (least, most) if bounded or len(pattern) > LONG else (None, None)
                yield text.override(text.position(pattern, index, *bounds), action)


def _alike(tensors: Sequence[NamedTensor]) -> Iterator[Sequence[NamedTensor]]:
    """Tensors by ascending size, cut where the sizes are furthest apart, as long as the pattern of a part is long."""
    cuts = [(other.size / max(1, one.size), number) for number, (one, other) in enumerate(pairwise(tensors), 1)]
    apart, cut = max(cuts, default=(0.0, 0))
    if apart > 2 and sum(map(len, text.patterns(tensor.instruction for tensor in tensors))) > LONG:
        yield from _alike(tensors[:cut])
        yield from _alike(tensors[cut:])
    else:
        yield tensors


def _check_pinned(tensors: Sequence[NamedTensor]) -> None:
    for tensor in tensors:
        in_hbm = not tensor.fast_definition or any(not use.fast for use in tensor.uses)
        if in_hbm or any(use.copy_after is not None for use in tensor.uses):
            raise InexpressibleError(
                tensor,
                f"{tensor.name} and what it shares a buffer with are partly in HBM and partly written to fast memory",
            )


def _check_evicted(tensors: Sequence[NamedTensor], evictions: Mapping[int, int]) -> None:
    """One tensor is evicted, its only HBM use follows; of the others only the first may be defined in HBM."""
    evicted = [tensor for tensor in tensors if tensor.id in evictions]
    before = evictions[evicted[0].id]
    for tensor in tensors[1:] if _is_copied(tensors[0]) else tensors:
        late = tensor is evicted[0] and bool(tensor.uses) and tensor.uses[-1].time >= before
        slow = [use for use in tensor.uses if not use.fast]
        asked = any(use.copy_after is not None for use in tensor.uses)
        if len(evicted) > 1 or not tensor.fast_definition or asked or slow != list(tensor.uses[-1:] if late else ()):
            raise InexpressibleError(
                tensor, f"it evicts {evicted[0].name}, and {tensor.name} is not in fast memory all the time before"
            )
    if _is_copied(tensors[0]):
        _check_copied(tensors[0])
        if not tensors[0].uses[-1].fast:
            raise InexpressibleError(evicted[0], f"it evicts {evicted[0].name}, and nothing brings it to fast memory")


def _check_product(tensor: NamedTensor) -> None:
    """Its first uses are fast, the next one is in HBM or reads a copy, and the rest is as of what is defined in HBM."""
    first = next((n for n, use in enumerate(tensor.uses) if not use.fast or use.copy_after is not None), 0)
    if not tensor.fast_definition or not first:
        raise InexpressibleError(
            tensor, f"it evicts {tensor.name}, which is not in fast memory for its first uses and then in HBM"
        )
    _check_copied(replace(tensor, uses=tensor.uses[first:]))


def _is_copied(tensor: NamedTensor) -> bool:
    return not tensor.fast_definition and any(use.fast or use.copy_after is not None for use in tensor.uses)


def _check_copied(tensor: NamedTensor) -> None:
    """Each run of fast uses needs a prefetch. It need not be the first use: one for a loop comes after its body's."""
    for fast, run in groupby(tensor.uses, key=lambda use: use.fast):
        uses = list(run)
        copied = [use for use in uses if use.copy_after is not None]
        if copied and not fast:
            raise InexpressibleError(tensor, f"{copied[0].instruction} has a prefetch of {tensor.name} but reads HBM")
        if fast and not copied:
            raise InexpressibleError(tensor, f"nothing brings {tensor.name} to fast memory for {uses[0].instruction}")
