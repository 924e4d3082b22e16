"""The bytes at the peak of HBM as a profile that ``pprof`` opens: gzipped ``profile.proto``, by source frame.

Field numbers are those of https://github.com/google/pprof/blob/main/proto/profile.proto.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence

from mallocgame.report.memory.use import KINDS, Buffer, MemoryUse
from xla_dump_parser import SourceLine

SAMPLES = (("buffers", "count"), ("elements", "bytes"), ("space", "bytes"))
"""(type, unit) of each value of a sample; elements are without padding. ``space`` is shown if nothing else is asked."""


def to_pprof(use: MemoryUse, frames: Mapping[str, tuple[SourceLine, ...]]) -> bytes:
    """A sample for each buffer at the peak, with its name, kind, role, shape and operation as labels.

    Outermost frames that all buffers share are left out, and a line that is called by itself is there once. A buffer
    without a source line has its kind in place of frames, and on it what it is.

    Args:
        use: of a program; without a peak the profile has no samples.
        frames: of the user's program, innermost first, by the buffers' names; may lack some.
    """
    buffers = use.peaks[0].buffers if use.peaks else ()
    stacks = [_once(frames.get(buffer.name) or _of_source(buffer.source)) for buffer in buffers]
    shared = _shared([stack for stack in stacks if stack])
    profile = _Profile(use.module)
    for buffer, stack in zip(buffers, stacks, strict=True):
        places = stack[: len(stack) - shared] or _unplaced(buffer)
        labels = {"buffer": buffer.name, "kind": buffer.kind, "role": buffer.role, "shape": buffer.shape}
        labels |= {"what": buffer.what}
        profile.add(places, (1, buffer.plain_size, buffer.size), labels)
    return gzip.compress(profile.encoded(), mtime=0)


def _of_source(source: str | None) -> tuple[SourceLine, ...]:
    if source is None:
        return ()
    file, _, line = source.rpartition(":")
    return (SourceLine(file, source, int(line) if line.isdecimal() else 0),)


def _unplaced(buffer: Buffer) -> tuple[SourceLine, ...]:
    return SourceLine("", buffer.what or buffer.name, 0), SourceLine("", KINDS[buffer.kind], 0)


def _once(stack: Sequence[SourceLine]) -> tuple[SourceLine, ...]:
    return tuple(line for number, line in enumerate(stack) if number == 0 or line != stack[number - 1])


def _shared(stacks: Sequence[Sequence[SourceLine]]) -> int:
    """How many of the outermost lines all have, so that each keeps at least one."""
    most = min((len(stack) - 1 for stack in stacks), default=0)
    outer = [set(lines) for lines in zip(*(stack[::-1][:most] for stack in stacks), strict=True)]
    return next((number for number, lines in enumerate(outer) if len(lines) > 1), most)


class _Profile:
    """Collects samples; strings, functions and locations are numbered as they come."""

    def __init__(self, name: str) -> None:
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[SourceLine, int] = {}
        self._samples: list[bytes] = []
        self._name = name

    def add(self, stack: Iterable[SourceLine], values: Iterable[int], labels: Mapping[str, str]) -> None:
        """A sample: its lines innermost first, a value for each of ``SAMPLES``, and labels; empty ones are left out."""
        sample = _packed(1, map(self._location, stack)) + _packed(2, values)
        for key, text in labels.items():
            if text:
                sample += _message(3, _number(1, self._string(key)) + _number(2, self._string(text)))
        self._samples.append(_message(2, sample))

    def encoded(self) -> bytes:
        """The message ``Profile``."""
        types = b"".join(
            _message(1, _number(1, self._string(type)) + _number(2, self._string(unit))) for type, unit in SAMPLES
        )
        known = b"".join(_number(field, 1) for field in (7, 8, 9))
        mapping = _number(1, 1) + _number(5, self._string(self._name)) + known
        locations = b"".join(
            _message(4, _number(1, id) + _number(2, 1) + _message(4, self._line(line)))
            for line, id in self._locations.items()
        )
        functions = b"".join(
            _message(5, _number(1, id) + _number(2, self._string(name)) + _number(4, self._string(file)))
            for (name, file), id in self._functions.items()
        )
        default = _number(14, self._string(SAMPLES[-1][0]))
        texts = b"".join(_message(6, text.encode("utf-8", "replace")) for text in self._strings)
        return types + b"".join(self._samples) + _message(3, mapping) + locations + functions + texts + default

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def _location(self, line: SourceLine) -> int:
        return self._locations.setdefault(line, len(self._locations) + 1)

    def _line(self, line: SourceLine) -> bytes:
        function = self._functions.setdefault((line.function, line.file), len(self._functions) + 1)
        return _number(1, function) + _number(2, line.line)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _message(field, b"".join(map(_varint, values)))
