"""Arguments that are whole, or the same part of them, on several devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mallocgame.report.memory.asked import Asked
from mallocgame.report.memory.use import Buffer, Finding
from mallocgame.report.units import size
from xla_dump_parser import ArrayShape, parse_shape

Over = tuple[int, tuple[str, ...]]
"""How many devices have the same, and the mesh's axes that tell them apart; none where they are not known."""


def replicated(buffers: Sequence[Buffer], numbers: Mapping[str, int], asked: Asked) -> list[Finding]:
    """One finding for all that is replicated over the same axes.

    Args:
        buffers: live at the peak.
        numbers: of the entry's parameters, by name.
        asked: what the program asks for them.
    """
    same: dict[Over, list[Buffer]] = {}
    for buffer in buffers:
        number = numbers.get(buffer.name) if buffer.kind in ("argument", "aliased") else None
        shape = parse_shape(buffer.shape)
        if number is None or not isinstance(shape, ArrayShape):
            continue
        copies = asked.copies(number, shape.dims)
        if copies > 1:
            same.setdefault((copies, _axes(number, asked, copies)), []).append(buffer)
    return [_finding(over, found) for over, found in same.items()]


def _axes(number: int, asked: Asked, copies: int) -> tuple[str, ...]:
    """The axes that an argument is not sharded over, where they make up its copies."""
    axes = asked.arguments[number].axes
    if axes is None:
        return ()
    others = tuple(name for name, count in asked.mesh.items() if name not in axes and count > 1)
    count = 1
    for name in others:
        count *= asked.mesh[name]
    return others if count == copies else ()


def _finding(over: Over, same: Sequence[Buffer]) -> Finding:
    copies, axes = over
    whole, first = sum(buffer.size for buffer in same), same[0]
    roles = " and ".join(dict.fromkeys(buffer.role for buffer in same if buffer.role != "not known"))
    named = f"{first.what or first.name} {first.shape}"
    several = f"{len(same)} arguments, the largest {named}, are" if len(same) > 1 else f"{named} is"
    where = f"axis {' and '.join(axes)} of the mesh" if axes else "the mesh"
    each = f"{size(whole)} on each" + (f" ({roles})" if roles else "")
    return Finding(
        "replicated",
        whole - whole // copies,
        f"{several} the same on {copies} devices of {where}: {each}, {size(whole // copies)} if sharded over them",
        f"shard {'them' if len(same) > 1 else 'it'} over {' and '.join(axes) if axes else 'these devices'} too "
        "(NamedSharding; FSDP, ZeRO): the compiler gathers what it needs where it needs it",
    )
