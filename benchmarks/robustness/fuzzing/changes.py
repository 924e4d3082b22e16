"""How cases are made: bytes, lines, numbers and JSON values are changed, inside of archives too."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from muzero.training.checkpoint import MAGIC

MAX_CASE_BYTES = 1 << 18
MAX_UNPACKED_BYTES = 1 << 22

_NUMBERS = (
    "0", "-1", "1", "2", "7", "255", "65536", "2147483647", "4294967295", "9223372036854775807", "18446744073709551616",
    "9" * 40, "1e308", "1e999", "-0", "NaN", "Infinity", "0.1", "1_0", "0x10",
)  # fmt: skip
_PIECES = (
    b"{", b"}", b"(", b")", b"[", b"]", b'"', b"\\", b",", b"=", b"%", b":", b"#", b"/*", b"*/", b"<", b">", b"->",
    b"\n",
    b"\r\n", b"\x00", b"\xff", b"\xc3", b"\xe2\x80\xa8", b"\x1b[31m", b"null", b"true", b"S(1)", b"T(8,128)(2,1)",
    b"tuple(", b"f32[", b"ROOT ", b"ENTRY ", b"parameter(0)", b"body=%", b"calls=%", b"to_apply=%", b"--flag=1 ",
    b"../",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63 - 1, 2**63, 10**30, 0.5, -1.5, 1e308, "", "x", "a b", "\x00", "\x1b[0m",
    "x" * 5000, [], {}, [0], [[]], {"a": 1}, [None] * 50, "--xla_dump_to=/tmp/x", "\ud800",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
Rng = random.Random


def change(data: bytes, other: bytes, rng: Rng) -> bytes:
    """One case out of a sample, perhaps crossed with another of the same kind; at most ``MAX_CASE_BYTES`` long."""
    if rng.random() < 0.85:
        for unwrap, wrap in ((_unzip, _zip), (_ungzip, _gzip), (_uncheckpoint, _checkpoint)):
            inner = unwrap(data)
            if inner is not None:
                return wrap(_change_members(inner, rng) if isinstance(inner, dict) else change(inner, inner, rng))[
                    :MAX_CASE_BYTES
                ]
    if data[:1] in (b"{", b"[") and rng.random() < 0.7:
        changed = _change_json(data, rng)
        if changed is not None:
            return changed[:MAX_CASE_BYTES]
    for _ in range(1 << rng.randrange(4)):
        data = rng.choice(_CHANGES)(data, other, rng)
    return data[:MAX_CASE_BYTES]


def _span(data: bytes, rng: Rng, most: int = 200) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(1, most))


def _flip(data: bytes, _: bytes, rng: Rng) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes((data[at] ^ (1 << rng.randrange(8)),)) + data[at + 1 :]


def _drop(data: bytes, _: bytes, rng: Rng) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, _: bytes, rng: Rng) -> bytes:
    start, end = _span(data, rng)
    times = rng.choice((1, 1, 1, 2, 50, 2000))
    return (data[:end] + data[start:end] * times + data[end:])[: MAX_CASE_BYTES * 2]


def _insert(data: bytes, _: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_PIECES) * rng.choice((1, 1, 1, 3, 3000)) + data[at:]


def _cut(data: bytes, _: bytes, rng: Rng) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _cross(data: bytes, other: bytes, rng: Rng) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _number(data: bytes, _: bytes, rng: Rng) -> bytes:
    start = rng.randrange(len(data) + 1)
    match = _NUMBER.search(data, start)
    if match is None:
        return data
    return data[: match.start()] + rng.choice(_NUMBERS).encode() + data[match.end() :]


def _lines(data: bytes, _: bytes, rng: Rng) -> bytes:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(4)
    if how == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif how == 1:
        del lines[first]
    elif how == 2:
        lines.insert(second, lines[first])
    else:
        words = lines[first].split(b" ")
        rng.shuffle(words)
        lines[first] = b" ".join(words)
    return b"\n".join(lines)


def _word(data: bytes, other: bytes, rng: Rng) -> bytes:
    """One word of the other text in the place of one of this."""
    here, there = (list(re.finditer(rb"[\w.%-]+", text[:50_000])) for text in (data, other))
    if not here or not there:
        return data
    match = rng.choice(here)
    return data[: match.start()] + rng.choice(there).group() + data[match.end() :]


_CHANGES: tuple[Callable[[bytes, bytes, Rng], bytes], ...] = (
    _flip, _drop, _repeat, _insert, _cut, _cross, _number, _number, _lines, _word, _word,
)  # fmt: skip


def _change_json(data: bytes, rng: Rng) -> bytes | None:
    """Some values of a JSON text changed; None where it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    for _ in range(1 << rng.randrange(3)):
        value = _change_value(value, rng)
    text = json.dumps(value)
    if rng.random() < 0.03:
        text = text.replace("{", '{"format":1,', 1)
    return text.encode()


def _change_value(value: Any, rng: Rng) -> Any:
    """A value with one place in it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        how = rng.random()
        if how < 0.05:
            return {name: entry for name, entry in value.items() if name != key}
        if how < 0.08:
            return {**value, rng.choice(("x", "", "version", "format")): rng.choice(_VALUES)}
        return {**value, key: _change_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        how = rng.random()
        if how < 0.1:
            return value[:at] + value[at + 1 :]
        if how < 0.2:
            return value[: at + 1] + value[at:]
        return [*value[:at], _change_value(value[at], rng), *value[at + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.7:
        return rng.choice((value + 1, value - 1, -value, value * 2, 0, 2**31, 2**62, 2**63 - 1))
    return rng.choice(_VALUES)


def _change_members(members: dict[str, bytes], rng: Rng) -> dict[str, bytes]:
    names = list(members)
    name = rng.choice(names)
    how = rng.random()
    if how < 0.05:
        return {kept: members[kept] for kept in names if kept != name}
    if how < 0.08:
        return {**members, rng.choice(("x", "../x", "manifest.json", name + ".npy")): members[name]}
    if how < 0.12:
        return {**members, name: members[rng.choice(names)]}
    return {**members, name: change(members[name], members[rng.choice(names)], rng)}


def _unzip(data: bytes) -> dict[str, bytes] | None:
    if not data.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
                return None
            return {name: archive.read(name) for name in archive.namelist()} or None
    except Exception:
        return None


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)  # without the time of day
    return buffer.getvalue()


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the same whenever it is made


def _ungzip(data: bytes) -> bytes | None:
    if not data.startswith(b"\x1f\x8b"):
        return None
    try:
        return zlib.decompressobj(31).decompress(data, MAX_UNPACKED_BYTES)
    except zlib.error:
        return None


def _uncheckpoint(data: bytes) -> dict[str, bytes] | None:
    """What a checkpoint's archive holds: with the right digest, for a damaged one is refused before all else."""
    line, _, body = data.partition(b"\n")
    return _unzip(body) if line.startswith(MAGIC.encode()) else None


def _checkpoint(members: dict[str, bytes]) -> bytes:
    body = _zip(members, zipfile.ZIP_STORED)
    return f"{MAGIC} 1 {hashlib.sha256(body).hexdigest()}\n".encode() + body
