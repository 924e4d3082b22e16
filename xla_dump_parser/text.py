"""Reading files of text: plain or gzip, never more than a limit."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from xla_dump_parser.errors import ParseError

MAX_BYTES = 1 << 30
"""Longest text that is read, in bytes after decompression."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def read_text(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file, plain or gzip (told by its first bytes), with ``\\n`` line ends.

    Raises:
        ParseError: the file cannot be read, is damaged, is not UTF-8, or is longer than ``max_bytes``.
    """
    return decode_text(read_bytes(path, max_bytes), os.fspath(path))


def read_bytes(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file, plain or gzip, unpacked.

    Raises:
        ParseError: the file cannot be read, is damaged, or is longer than ``max_bytes``.
    """
    source = os.fspath(path)
    too_large = f"more than {max_bytes} bytes of text: too large to read"
    try:
        if os.path.isfile(source) and not source.endswith(".gz") and os.path.getsize(source) > max_bytes:
            raise ParseError(source, 0, 0, too_large)
        raw = _read_bytes(Path(source), max_bytes)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise ParseError(source, 0, 0, f"cannot read the file: {reason}") from None
    if len(raw) > max_bytes:
        raise ParseError(source, 0, 0, too_large)
    return bytes(raw)


def read_head(path: str | os.PathLike[str], size: int) -> bytes:
    """The first bytes of a file, plain or gzip, unpacked; empty where it cannot be read."""
    try:
        return bytes(_read_bytes(Path(path), size - 1))
    except (OSError, EOFError, zlib.error, ValueError):
        return b""


def decode_text(raw: bytes | bytearray, source: str) -> str:
    """UTF-8 bytes as text, as ``plain_text`` has it. Raises ParseError where they are not UTF-8."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise ParseError(source, line, column, f"byte 0x{raw[error.start]:02x} is not UTF-8 text") from None
    return plain_text(text)


def plain_text(text: str) -> str:
    """A text with ``\\n`` line ends and without a byte order mark."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def locate(text: str, position: int) -> tuple[int, int]:
    """1-based (line, column) of a position in a text; a linear scan, for error messages."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _read_bytes(path: Path, max_bytes: int) -> bytearray:
    """What the file holds, or its beginning, longer than ``max_bytes``, where that is too much."""
    with path.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if magic != _GZIP_MAGIC:
            return _read_at_most(file.read, max_bytes + 1)
        with gzip.open(file) as unzipped:
            return _read_at_most(cast(BinaryIO, unzipped).read, max_bytes + 1)


def _read_at_most(read: Callable[[int], bytes], limit: int) -> bytearray:
    found = bytearray()
    while len(found) < limit and (chunk := read(min(_CHUNK, limit - len(found)))):
        found += chunk
    return found
