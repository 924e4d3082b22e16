"""Zip archives that nobody vouches for, opened in bounded memory.

`zipfile` reads the whole list of members at once, as long as the end of the file says that it is: some hundred MB may
list millions of them. So the end is looked at first. How much a member unpacks to is for its reader to bound.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

MAX_DIRECTORY_BYTES = 1 << 20

_END = struct.Struct("<4s4H2LH")
"""Signature, disks, counts of members, bytes and place of their list, length of the comment."""
_END_SIGNATURE, _LARGE_SIGNATURE = b"PK\x05\x06", b"PK\x06\x07"
_LARGE_BYTES = 20
"""Of what says where the end of an archive of more than 4 GiB is, just before the usual end."""


@contextmanager
def open_zip(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open for reading.

    Raises:
        zipfile.BadZipFile: no archive, with a comment, of a format for more than 4 GiB, or with too many members.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _LARGE_BYTES))
    tail = file.read()
    if len(tail) < _END.size:
        raise zipfile.BadZipFile("too short")
    signature, *_, directory, _, comment = _END.unpack(tail[-_END.size :])
    if signature != _END_SIGNATURE or comment:
        raise zipfile.BadZipFile("it does not end as a zip archive does")
    if tail[: -_END.size].startswith(_LARGE_SIGNATURE):
        raise zipfile.BadZipFile("a format for more than 4 GiB")
    if directory > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"the list of members has more than {MAX_DIRECTORY_BYTES} bytes")
    with zipfile.ZipFile(file) as archive:
        yield archive
