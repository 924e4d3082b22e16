"""How long kernels take by the user's word."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from mallocgame.problem.schema import Instruction, Problem
from mallocgame.problem.uncounted import NOT_COUNTED, READ, bytes_at, uncounted_note
from mallocgame.system.errors import BadInputError

_NUMBER = re.compile(r"\.\d+$")


def with_seconds(problem: Problem, seconds: Mapping[str, float]) -> Problem:
    """The problem where kernels take these seconds, and read and write the whole of what they access at least once.

    Args:
        problem: that has the kernels; those that it does not have are passed over.
        seconds: by name of an instruction, or by what is before its number: then of all kernels of this name. It goes
            before everything else that is known of them.
    """
    found = {time: _given(problem.instructions[time].name, seconds) for time, _ in problem.kernels}
    given = {time: value for time, value in found.items() if value is not None}
    if not given:
        return problem
    new = replace(
        problem,
        instructions=tuple(
            _lasting(problem, time, step, given[time]) if time in given else step
            for time, step in enumerate(problem.instructions)
        ),
        kernels=tuple((time, "user" if time in given else source) for time, source in problem.kernels),
    )
    stale = NOT_COUNTED if any(source == "kernel" for _, source in new.kernels) else (NOT_COUNTED, READ)
    notes = [note for note in problem.notes if not note.startswith(stale)]
    return replace(new, notes=(*notes, *uncounted_note(new)))


def check_seconds(problem: Problem, seconds: Mapping[str, float]) -> None:
    """Refuse what is no time, or of no kernel of the problem.

    Raises:
        BadInputError: one is.
    """
    names = [problem.instructions[time].name for time, _ in problem.kernels]
    for name, value in seconds.items():
        if not (math.isfinite(value) and value > 0):
            raise BadInputError(f"the seconds of kernel {name} have to be a positive number, not {value!r}")
        if all(_given(own, {name: value}) is None for own in names):
            there = f"it has {', '.join(names[:8])}" if names else "it has none"
            raise BadInputError(f"the program has no kernel {name}: {there}")


def _given(name: str, seconds: Mapping[str, float]) -> float | None:
    return seconds.get(name, seconds.get(_NUMBER.sub("", name)))


def _lasting(problem: Problem, time: int, step: Instruction, seconds: float) -> Instruction:
    total = max(step.total_bytes, bytes_at(problem, time))
    return replace(step, compute_seconds=seconds, total_bytes=total, cycles=None)
