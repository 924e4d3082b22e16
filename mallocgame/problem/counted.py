"""What a problem's figures rest on: which share of its time and bytes is counted by whom, and what is assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.schema import Problem

COUNTED = "counted: "
"""Begins the note of shares."""

NOT_COUNTED = "not counted: "
"""Begins the note of kernels and collectives of which nothing is known."""

GUESSED = "guessed in reading kernels: "
"""Begins the note of what the modules of kernels do not tell."""

LINKS = "links: "
"""Begins the note of what collectives take of the links between chips."""

NETWORK = "links between chips: "
"""Begins the note of which links those are."""

LOOPS = "loops: "
"""Begins the note of loops whose trip count the program does not tell."""

SHOWN = 3
"""Names in a note."""

KERNEL = "custom-call"
"""Opcode of kernels."""

SOURCES = ("log", "analytic", "estimate", "kernel", "links", "user", "none")
"""Where costs come from, as the documents have it; all but the first two are those of kernels and collectives."""

_WORDS = {
    "log": "by the compiler's log",
    "analytic": "by formulas from the HLO alone",
    "estimate": "by authors' estimates",
    "kernel": "by reading kernels",
    "links": "by what the links between chips take at least",
    "user": "by the user's word",
    "none": "not at all",
}
_NOUNS = {"estimate": "kernel", "kernel": "kernel", "links": "collective"}
"""What is counted from a source; from any other, instructions."""

_LOOPS = {
    "assumed": "{trips} trips are assumed where nobody knows how many there are",
    "user": "{trips} trips by the user's word",
}


class Share(NamedTuple):
    """What is counted from one source.

    Attributes:
        time: share of the seconds under M with everything in HBM, all runs together; what is not counted has none.
        bytes: share of the bytes of all instructions, all runs together; of what is not counted, those of its operands
            and results.
        instructions: how many, those without time and bytes left out.
    """

    time: float
    bytes: float
    instructions: int


def shares(problem: Problem) -> dict[str, Share]:
    """By source, in the order of ``SOURCES``; only those that something is counted from."""
    kernels, target, runs = dict(problem.kernels), problem.target, problem.runs
    seconds, size, number = (dict.fromkeys(SOURCES, 0.0) for _ in range(3))
    for time, step in enumerate(problem.instructions):
        if step.free:
            continue
        source = kernels.get(time, problem.costs)
        known = source != "none"
        number[source] += 1
        size[source] += runs[step.computation] * (step.total_bytes if known else bytes_at(problem, time))
        if known:
            seconds[source] += runs[step.computation] * m_elapsed(target, step.least_seconds, step.total_bytes)
    return {
        source: Share(_part(seconds, source), _part(size, source), int(number[source]))
        for source in SOURCES
        if number[source]
    }


def shares_document(problem: Problem) -> dict[str, dict[str, float]]:
    """``shares`` as the JSON documents have it: by source ``time``, ``bytes`` and ``instructions``."""
    return {source: share._asdict() for source, share in shares(problem).items()}


def bytes_at(problem: Problem, time: int) -> float:
    """Bytes of what an instruction reads and writes, whatever is said of it in all."""
    read = sum(problem.tensors[tensor].uses[use].accessed_bytes for tensor, use in problem.uses_at[time])
    return read + sum(problem.tensors[tensor].defined_bytes for tensor in problem.definitions_at[time])


def counted_words(found: Mapping[str, Mapping[str, float]]) -> str:
    """``shares_document`` in words, e.g. ``"81 % of the time and 70 % of the bytes by the compiler's log, ..."``."""
    if len(found) == 1:
        source, share = next(iter(found.items()))
        return f"nothing ({_number(source, share)})" if source == "none" else f"all {_by(source, share)}"
    return ", ".join(
        f"{_time(source, share)}{_percent(share['bytes'])} of the bytes {_by(source, share)}"
        for source, share in found.items()
    )


def noted(problem: Problem, guesses: Iterable[str]) -> tuple[str, ...]:
    """What is told wherever figures are; nothing where all is counted from one source and no loop is assumed.

    Args:
        problem: that they are of.
        guesses: made in reading its kernels, each for itself.
    """
    found = shares_document(problem)
    notes = [] if len(found) == 1 and "none" not in found else [COUNTED + counted_words(found)]
    if problem.uncounted:
        names = [problem.instructions[time].name for time in problem.uncounted]
        kernels = sum(problem.instructions[time].opcode == KERNEL for time in problem.uncounted)
        kinds = [kind for kind, count in (("kernels", kernels), ("collectives", len(names) - kernels)) if count]
        notes.append(f"{NOT_COUNTED}{' and '.join(kinds)} of which nothing is known: {_listed(names)}")
    said = [f"{what} ({count})" for what, count in Counter(guesses).items()]
    return (*notes, *([GUESSED + "; ".join(said)] if said else []), *_link_notes(problem), *_loop_notes(problem))


def renewed(problem: Problem) -> tuple[str, ...]:
    """The notes of a problem after costs or trips of it have changed, guesses about its kernels as they were."""
    read = any(source == "kernel" for _, source in problem.kernels)
    waits = problem.uncounted or any(step.link_seconds for step in problem.instructions)
    stale = (COUNTED, NOT_COUNTED, LINKS, LOOPS, *(() if read else (GUESSED,)), *(() if waits else (NETWORK,)))
    return (*(note for note in problem.notes if not note.startswith(stale)), *noted(problem, ()))


def trips_of(problem: Problem, time: int) -> int:
    """Trips of the while loop at a time."""
    return problem.computations[problem.children[time][0]].trips


def _link_notes(problem: Problem) -> tuple[str, ...]:
    if not any(step.link_seconds for step in problem.instructions):
        return ()
    least = sum(problem.runs[step.computation] * step.link_seconds for step in problem.instructions)
    with_links, without = (1e6 * _all_hbm(problem, links) for links in (True, False))
    return (
        f"{LINKS}collectives take at least {1e6 * least:.4g} us of them; M in HBM is {with_links:.4g} us, without the "
        f"links {without:.4g} us",
    )


def _all_hbm(problem: Problem, links: bool) -> float:
    """Seconds under M with everything in HBM, all branches counted, with what the links take or without it."""
    return sum(
        problem.runs[step.computation]
        * m_elapsed(problem.target, step.least_seconds if links else step.compute_seconds, step.total_bytes)
        for step in problem.instructions
        if not step.free
    )


def _loop_notes(problem: Problem) -> tuple[str, ...]:
    found: dict[tuple[str, int], list[int]] = {}
    for time, source in problem.loops:
        found.setdefault((source, trips_of(problem, time)), []).append(time)
    return tuple(
        f"{LOOPS}{_LOOPS[source].format(trips=trips)}: {_listed([problem.instructions[time].name for time in times])} "
        f"({_percent(time_within(problem, times))} of the time)"
        for (source, trips), times in sorted(found.items())
    )


def time_within(problem: Problem, loops: Collection[int]) -> float:
    """Share of the seconds under M with everything in HBM that passes within these loops."""
    inside: set[int] = set()
    for number in sorted(range(len(problem.computations)), key=lambda it: -problem.computations[it].end):
        caller = problem.computations[number].caller
        if caller is not None and (caller in loops or problem.instructions[caller].computation in inside):
            inside.add(number)
    whole = part = 0.0
    for step in problem.instructions:
        if not step.free:
            seconds = m_elapsed(problem.target, step.least_seconds, step.total_bytes)
            seconds *= problem.runs[step.computation]
            whole += seconds
            part += seconds if step.computation in inside else 0.0
    return part / whole if whole else 0.0


def _time(source: str, share: Mapping[str, float]) -> str:
    return "" if source == "none" else f"{_percent(share['time'])} of the time and "


def _by(source: str, share: Mapping[str, float]) -> str:
    return _WORDS[source] if source in ("log", "analytic") else f"{_WORDS[source]} ({_number(source, share)})"


def _number(source: str, share: Mapping[str, float]) -> str:
    count, noun = share["instructions"], _NOUNS.get(source, "instruction")
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _part(of: Mapping[str, float], source: str) -> float:
    whole = sum(of.values())
    return of[source] / whole if whole else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
