"""The cache: a folder of answers, safe for several processes at once.

``KEY.json`` is an answer, written whole or not at all. Who searches for it holds ``KEY.lock``; the system frees it when
its holder dies. ``KEY.work/`` has the program and its finished compiles, so that an interrupted search goes on where it
was, and what was confirmed can be shown.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mallocgame.optimizer.answer import Optimized, load_optimized
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import cache_folder
from mallocgame.system.progress import Progress, Stage

MAX_BYTES = 1 << 30
"""Of all answers and compiles in a folder; the ones that were not used for longest go first."""

warn = logging.getLogger("mallocgame").warning
"""One line; Python shows it on stderr unless the program says otherwise."""


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of answers.

    Attributes:
        folder: where.
        writable: whether it can be written; else answers are read, and new ones are not kept.
    """

    folder: Path
    writable: bool

    def find(self, key: str) -> Optimized | None:
        """The answer that is kept under a key; a damaged one is told in one line, and as good as none."""
        path = self._file(key)
        if not path.exists():
            return None
        try:
            found = load_optimized(path)
        except BadInputError as error:
            warn("%s; the search is done again", error)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return replace(found, file=path, from_cache=True)

    def keep(self, key: str, answer: Optimized) -> Optimized:
        """The answer with the file that it is kept in; where it cannot be written that is told in one line."""
        if not self.writable:
            return answer
        path = self._file(key)
        try:
            answer.save(path)
        except BadInputError as error:
            warn("%s; the answer is not kept", error)
            return answer
        self._forget(path)
        return replace(answer, file=path)

    @contextlib.contextmanager
    def searching(self, key: str, progress: Progress) -> Iterator[Path]:
        """A folder for the compiles of a search, once no other process searches under this key."""
        if not self.writable:
            with tempfile.TemporaryDirectory(prefix="mallocgame-") as work:
                yield Path(work)
            return
        with open(self.folder / f"{key}.lock", "wb") as lock:
            _lock(lock.fileno(), progress)
            yield self.folder / f"{key}.work"

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _forget(self, newest: Path) -> None:
        """Remove what was not used for longest until the rest is within ``MAX_BYTES``."""
        with contextlib.suppress(OSError):
            kept = [path for path in self.folder.iterdir() if path.suffix in (".json", ".work") and path != newest]
            sizes = {path: _bytes(path) for path in kept}
            total = sum(sizes.values()) + _bytes(newest)
            for path in sorted(kept, key=lambda path: path.stat().st_mtime):
                if total <= MAX_BYTES:
                    break
                if path.suffix == ".json":
                    path.unlink(missing_ok=True)
                elif not _is_locked(path.with_suffix(".lock")):
                    shutil.rmtree(path, ignore_errors=True)
                total -= sizes[path]


def open_store(folder: str | os.PathLike[str] | None) -> Store:
    """The cache in a folder, which is made; where it cannot be written that is told in one line.

    Args:
        folder: None for ``cache_folder()``.
    """
    try:
        chosen = Path(folder or cache_folder()).absolute()
    except RuntimeError:
        warn("there is no home folder; answers are not kept: give cache=, or set XDG_CACHE_HOME")
        return Store(Path(os.devnull), writable=False)
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=chosen):
            return Store(chosen, writable=True)
    except OSError as error:
        warn("%s: cannot be written (%s); answers are not kept", chosen, error.strerror or error)
        return Store(chosen, writable=False)


def _lock(handle: int, progress: Progress) -> None:
    """Wait for a lock; a file system that has none is told in one line, and several processes may do the same work."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        progress(Stage("another process searches for the same program; waiting for its answer"))
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        warn("the cache's file system has no locks (%s)", error.strerror)
        return
    fcntl.flock(handle, fcntl.LOCK_EX)


def _is_locked(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)
