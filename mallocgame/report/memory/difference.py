"""What two programs take of each memory: what came, what went and what changed at each peak."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

from mallocgame.report.memory.use import Buffer, MemoryUse, Peak

Match = Literal[
    "name, operation, line and shape",
    "operation, line and shape",
    "operation and shape",
    "operation and line",
    "line and shape",
    "name and shape",
]
"""What two buffers that were found to be one have in common: see ``_MATCHES``."""

_NUMBER = re.compile(r"(\.\d+)+(?=\{|\Z)")


@dataclass(frozen=True, slots=True)
class Pair:
    """One buffer of both programs, with its bytes at each peak.

    Attributes:
        before, after: the buffer.
        by: what they have in common.
    """

    before: Buffer
    after: Buffer
    by: Match

    @property
    def change(self) -> int:
        """Bytes more after than before."""
        return self.after.size - self.before.size


@dataclass(frozen=True)
class PeakDiff:
    """One memory at the peaks of both programs.

    Attributes:
        memory_space: n of S(n).
        before, after: the peaks; None where the program has none in this memory.
        went: buffers of the peak before that are not at the one after, largest first.
        came: the other way round.
        pairs: the others, those first that changed most.
    """

    memory_space: int
    before: Peak | None
    after: Peak | None
    went: tuple[Buffer, ...]
    came: tuple[Buffer, ...]
    pairs: tuple[Pair, ...]

    @property
    def changed(self) -> tuple[Pair, ...]:
        """Pairs of another size or kind."""
        return tuple(pair for pair in self.pairs if pair.change or pair.before.kind != pair.after.kind)


@dataclass(frozen=True)
class MemoryDiff:
    """Two programs; what is live at each peak after is that before, less what went, more what came and changed.

    Attributes:
        before, after: what each takes of each memory.
        peaks: of each memory that has one in either program.
    """

    before: MemoryUse
    after: MemoryUse
    peaks: tuple[PeakDiff, ...]

    @property
    def code_known(self) -> bool:
        """Whether the size of the machine code is known of both."""
        return self.before.code_bytes > 0 and self.after.code_bytes > 0


def difference(before: MemoryUse, after: MemoryUse) -> MemoryDiff:
    """Hold two programs side by side."""
    peaks = [{peak.memory_space: peak for peak in use.peaks} for use in (before, after)]
    spaces = sorted(peaks[0].keys() | peaks[1].keys())
    return MemoryDiff(before, after, tuple(_peak(space, peaks[0].get(space), peaks[1].get(space)) for space in spaces))


def _peak(space: int, before: Peak | None, after: Peak | None) -> PeakDiff:
    went = [] if before is None else list(before.buffers)
    came = [] if after is None else list(after.buffers)
    pairs: list[Pair] = []
    for by, key in _MATCHES:
        found, went, came = _matched(went, came, by, key)
        pairs += found
    pairs.sort(key=lambda pair: (-abs(pair.change), -pair.after.size, pair.after.name))
    return PeakDiff(space, before, after, tuple(went), tuple(came), tuple(pairs))


def _matched(
    went: Iterable[Buffer], came: Iterable[Buffer], by: Match, key: Callable[[Buffer], Hashable | None]
) -> tuple[list[Pair], list[Buffer], list[Buffer]]:
    """Pairs of buffers with one key, and what is left of both; of several with one, the largest go together."""
    waiting: dict[Hashable, list[Buffer]] = {}
    for buffer in came:
        if (value := key(buffer)) is not None:
            waiting.setdefault(value, []).append(buffer)
    pairs, left = [], []
    for buffer in went:
        others = waiting.get(value) if (value := key(buffer)) is not None else None
        if others:
            pairs.append(Pair(buffer, others.pop(0), by))
        else:
            left.append(buffer)
    taken = {id(pair.after) for pair in pairs}
    return pairs, left, [buffer for buffer in came if id(buffer) not in taken]


def _stem(buffer: Buffer) -> str:
    """Its name without the numbers that a compiler puts behind names."""
    return _NUMBER.sub("", buffer.name)


_MATCHES: tuple[tuple[Match, Callable[[Buffer], Hashable | None]], ...] = (
    ("name, operation, line and shape", lambda it: (it.name, it.what, it.source, it.shape)),
    ("operation, line and shape", lambda it: (it.what, it.source, it.shape) if it.what and it.source else None),
    ("operation and shape", lambda it: (it.what, it.shape) if it.what else None),
    ("operation and line", lambda it: (it.what, it.source) if it.what else None),
    ("line and shape", lambda it: (it.source, it.shape) if it.source else None),
    ("name and shape", lambda it: None if it.what or it.source else (_stem(it), it.shape)),
)
"""Tried in this order, each on what those before left.

The operation is ``Buffer.what``. Each compile numbers names anew: the second goes without them. Lines move when a
program is changed: the third goes without them. The fourth finds another shape or layout, the fifth what another
transformation is around, and the last what has neither operation nor line, by its name without numbers.
"""
