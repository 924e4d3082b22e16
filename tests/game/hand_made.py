"""Small problems written by hand: one line an instruction, so that a reader can follow every second of them.

HBM moves 1000 bytes a microsecond, fast memory 10000, both ways; alignment 256.
"""

from __future__ import annotations

from dataclasses import dataclass

from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Target, Tensor, Use

US = 1e-6


@dataclass
class Step:
    """An instruction: ``makes`` and ``reads`` are names of values; bytes accessed are the sizes of the values."""

    compute_us: float = 0.0
    makes: str = ""
    reads: tuple[str, ...] = ()
    other_bytes: float = 0.0
    opcode: str = "fusion"
    computation: int = 0


def problem(
    steps: list[Step],
    sizes: dict[str, int],
    fast_bytes: int = 1024,
    groups: tuple[tuple[str, ...], ...] = (),
    computations: tuple[Computation, ...] | None = None,
    copy_after: dict[tuple[str, int], int] | None = None,
) -> Problem:
    """The problem of these steps. Parameters have to be in HBM; uses in the definition's computation are copyable.

    What a last step with the opcode tuple reads are entry results; it reads no bytes.

    Args:
        steps: in order.
        sizes: bytes of each value.
        fast_bytes: capacity.
        groups: values that alias; the others are alone.
        computations: if not only an entry.
        copy_after: for (value, time of use), where not the time of the definition.
    """
    made = {step.makes: time for time, step in enumerate(steps) if step.makes}
    names = list(made)
    members = [*groups, *((name,) for name in names if not any(name in group for group in groups))]
    group_of = {name: number for number, group in enumerate(members) for name in group}
    root = len(steps) - 1 if steps[-1].opcode == "tuple" else -1
    tensors = []
    for id, name in enumerate(names):
        reads = [time for time, step in enumerate(steps) if name in step.reads]
        uses = tuple(
            Use(
                time,
                ((steps[time].reads.index(name), ()),),
                0.0 if time == root else float(sizes[name]),
                (copy_after or {}).get((name, time), made[name])
                if steps[time].computation == steps[made[name]].computation and time != root
                else None,
            )
            for time in reads
        )
        parameter = steps[made[name]].opcode == "parameter" and steps[made[name]].computation == 0
        live = (made[name], max([made[name], *reads]))
        written = 0.0 if parameter else float(sizes[name])
        hbm = "entry parameter" if parameter else "entry result" if root in reads else None
        tensors.append(
            Tensor(id, name, (), sizes[name], made[name], live, written, uses, group_of[name], hbm_definition=hbm)
        )
    instructions = []
    for time, step in enumerate(steps):
        free = step.opcode != "fusion"
        total = step.other_bytes + sum(sizes[name] for name in (*step.reads, *([step.makes] if step.makes else [])))
        name = step.makes or f"{step.opcode}.{time}"
        instructions.append(
            Instruction(name, step.opcode, step.computation, step.compute_us * US, 0.0 if free else total, free)
        )
    return Problem(
        "hand made",
        "hand_made",
        Target("toy", 1, fast_bytes, 256, 1e9, 1e10, 1e10, 1e-9, 2**30),
        computations or (Computation("entry", 0, len(steps) - 1, "entry", None, 1),),
        tuple(instructions),
        tuple(tensors),
        tuple(Group(tuple(names.index(name) for name in group), max(sizes[n] for n in group)) for group in members),
        "analytic",
    )
