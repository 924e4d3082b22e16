"""Makes the get-tuple-elements of a schedule visible again, at the times that they have in the compiler.

Some versions of libtpu (0.0.50) write ``%fusion.1#0`` for an operand and leave the get-tuple-element out of the text.
It still has a name and a time in memory space assignment, and the times of overrides count it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mallocgame.system.errors import BadInputError
from xla_dump_parser import Computation, HloModule, Instruction, format_shape, parse_hlo

_HIDDEN = re.compile(r"%([\w.\-]+)((?:#\d+)+)")
_HEADER = re.compile(r"(?:ENTRY )?%([\w.\-]+) \(.*\{$")


def show_elements(text: str, sequence: Sequence[tuple[str, str]]) -> str:
    """The text of a schedule with every get-tuple-element written out.

    Args:
        text: of the schedule before memory space assignment.
        sequence: (computation, instruction) at each time, from the compile log. It has the hidden ones by the names of
            the compiler; which is which it does not say, so each is taken to be the one that is read first of those
            that can stand there.

    Raises:
        BadInputError: the sequence is of another schedule.
    """
    if _HIDDEN.search(text) is None:
        return text
    module = parse_hlo(text, "before_msa")
    orders: dict[str, list[str]] = {}
    for computation, name in sequence:
        orders.setdefault(computation, []).append(name)
    lines = text.split("\n")
    out: list[str] = []
    place = 0
    while place < len(lines):
        header = _HEADER.match(lines[place])
        out.append(lines[place])
        place += 1
        if header is None or header[1] not in orders:
            continue
        end = lines.index("}", place)
        out += _shown(module, module.computations[header[1]], orders[header[1]], lines[place:end])
        place = end
    return "\n".join(out)


def _shown(module: HloModule, computation: Computation, order: Sequence[str], lines: Sequence[str]) -> list[str]:
    """The lines of one computation in the compiler's order."""
    written = {_name(line): line for line in lines if " = " in line}
    hidden = [step for step in computation.instructions if step.name not in written]
    names = _match(computation, hidden, [name for name in order if name not in written], order)
    elements = {(step.operands[0], step.attributes["index"]): step.name for step in hidden}

    def shown(found: re.Match[str]) -> str:
        name = found[1]
        for index in found[2].split("#")[1:]:
            name = elements[name, index]
        return "%" + names[name]

    by_new = {new: computation.by_name[old] for old, new in names.items()}
    result = []
    for name in order:
        if name in written:
            result.append(_HIDDEN.sub(shown, written[name]))
        else:
            step = by_new[name]
            operand = names.get(step.operands[0], step.operands[0])
            shape = format_shape(step.shape)
            result.append(f"  %{name} = {shape} get-tuple-element(%{operand}), index={step.attributes['index']}")
    if len(result) != len(written) + len(hidden):
        raise BadInputError(f"{module.source}: the log is of another schedule of {computation.name}")
    return result


def _match(
    computation: Computation, hidden: Sequence[Instruction], slots: Sequence[str], order: Sequence[str]
) -> Mapping[str, str]:
    """The compiler's name for each hidden instruction: at each slot the one needed first of those that can be there."""
    if len(slots) != len(hidden):
        raise BadInputError(f"the log is of another schedule: {computation.name} has {len(slots)} instructions unknown")
    time = {name: number for number, name in enumerate(order)}
    pending = {step.name for step in hidden}
    needed = {step.name: _first_read(computation, step.name, time, pending) for step in hidden}
    names: dict[str, str] = {}
    for slot in slots:
        ready = [
            name
            for name in sorted(pending, key=lambda name: (needed[name], name))
            if time.get(
                names.get(computation.by_name[name].operands[0], computation.by_name[name].operands[0]), len(order)
            )
            < time[slot]
        ]
        if not ready or needed[ready[0]] < time[slot]:
            raise BadInputError(f"the log is of another schedule: nothing of {computation.name} fits {slot}")
        names[ready[0]] = slot
        pending.remove(ready[0])
    return names


def _first_read(computation: Computation, name: str, time: Mapping[str, int], hidden: set[str]) -> int:
    """Time of the first known reader, through hidden ones; the end where there is none."""
    reads = [
        _first_read(computation, user, time, hidden) if user in hidden else time.get(user, len(time))
        for user in computation.users.get(name, ())
    ]
    return min(reads, default=len(time))


def _name(line: str) -> str:
    return line.split(" = ", 1)[0].removeprefix("  ").removeprefix("ROOT ").lstrip("%")
