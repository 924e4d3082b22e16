"""Writing results so that a reader sees the old file or the whole new one."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mallocgame.system.errors import BadInputError, NotWrittenError

_CHUNK = 1 << 20


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """What a file holds; of one that never ends, no more than the limit is read.

    Raises:
        BadInputError: it cannot be read, or has more than ``most`` bytes.
    """
    found = bytearray()
    try:
        with open(path, "rb") as file:
            while len(found) <= most and (chunk := file.read(_CHUNK)):
                found += chunk
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(found) > most:
        raise BadInputError(f"{path}: larger than {most} bytes")
    return bytes(found)


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/mallocgame``, or ``~/.cache/mallocgame``.

    Raises:
        RuntimeError: there is no home folder.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "mallocgame"


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work whether its result can be written.

    Raises:
        BadInputError: the folder is missing or not writable, or the path is a folder.
    """
    target = Path(path)
    folder = target.parent
    if target.is_dir():
        raise BadInputError(f"{target}: cannot be written: it is a folder")
    if not folder.is_dir():
        raise BadInputError(f"{target}: cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise BadInputError(f"{target}: cannot be written: no permission in {folder}")


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to a temporary file beside ``path``, then rename it.

    Raises:
        NotWrittenError: it cannot be written.
    """
    target = Path(path)
    check_writable(target)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise NotWrittenError(f"{target}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder in which nobody else that asks for it works meanwhile; what dies gives it back.

    Raises:
        BadInputError: somebody does, or it cannot be opened.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise BadInputError(f"{folder}: cannot be opened: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInputError(f"{folder}: another run writes here; wait for it or choose another --out") from None
        yield
    finally:
        os.close(handle)


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest_of_file(path: str | os.PathLike[str]) -> str | None:
    """SHA-256 of a file's content, 64 hex digits; None where there is no file that can be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
