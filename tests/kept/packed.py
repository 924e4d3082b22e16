"""Bytes of packed files, as far as they depend on the content alone."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

ZLIB = "1.2.13"
"""That packed the kept files; another one may pack the same content into other bytes."""


def packed(path: Path) -> object:
    """The bytes of a zip or gzip file; under another zlib what they unpack to, names and dates included."""
    data = path.read_bytes()
    if zlib.ZLIB_RUNTIME_VERSION == ZLIB:
        return data
    if not zipfile.is_zipfile(path):
        return zlib.decompress(data, 31)
    with zipfile.ZipFile(path) as archive:
        return [
            (entry.filename, entry.date_time, entry.external_attr, archive.read(entry)) for entry in archive.infolist()
        ]
