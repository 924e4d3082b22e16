"""Small disks that can be filled or made read-only, where the system lets us mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoDiskError(Exception):
    """This user may not mount."""


@contextmanager
def disk(folder: Path, kib: int = 64) -> Iterator[Path]:
    """A disk of so many KiB at an empty folder.

    Raises:
        NoDiskError: it cannot be mounted.
    """
    _call("mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(folder))
    try:
        yield folder
    finally:
        _call("umount", "--lazy", str(folder))


def fill(folder: Path) -> None:
    """Leave no room on a disk."""
    with open(folder / "filler", "wb", buffering=0) as file:
        for size in (4096, 64, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def make_read_only(folder: Path) -> None:
    """Let nobody write on a disk."""
    _call("mount", "-o", "remount,ro", str(folder))


def _call(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDiskError(str(error)) from None
