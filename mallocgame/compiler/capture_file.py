"""Capture files (.mgz): an archive of a capture's texts, read without trust and written atomically."""

from __future__ import annotations

import os
from pathlib import Path

from mallocgame.compiler import archive
from mallocgame.compiler.capture import Capture
from mallocgame.plan.compiler_options import check_options
from mallocgame.plan.init_args import decode_init_args
from mallocgame.problem.given import Given
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically

VERSION = 1

_KIND = "capture"
_TEXTS = ("lowered", "before_msa", "final", "log", "buffer_assignment", "memory_usage")
_OPTIONAL = ("observed", "kernels")
_ZIP_MAGIC = b"PK\x03\x04"


def save_capture(capture: Capture, path: str | os.PathLike[str]) -> None:
    """Write a capture file atomically.

    Raises:
        BadInputError: ``path`` cannot be written.
    """
    write_atomically(path, to_bytes(capture))


def to_bytes(capture: Capture) -> bytes:
    """The bytes of a capture file."""
    manifest = {
        "target": capture.target,
        "topology": capture.topology,
        "function": capture.function,
        "options": dict(capture.options),
        "versions": dict(capture.versions),
        "seconds": capture.seconds,
        "peak_hbm": capture.peak_hbm,
        "peak_memory": capture.peak_memory,
        "schedule": capture.schedule,
    }
    if capture.code_bytes:
        manifest["code_bytes"] = capture.code_bytes
    if capture.init_args:
        manifest["init_args"] = list(capture.init_args)
    names = (*_TEXTS, *(name for name in _OPTIONAL if getattr(capture, name)))
    return archive.pack(_KIND, VERSION, manifest, {name: getattr(capture, name) for name in names})


def is_capture(path: str | os.PathLike[str]) -> bool:
    """Whether a file claims to be a capture: a zip, or named .mgz."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC or Path(path).suffix == ".mgz"
    except OSError:
        return False


def load_capture(path: str | os.PathLike[str]) -> Capture:
    """Read a capture file; nothing in it is trusted.

    Raises:
        BadInputError: it cannot be read, is damaged, too large, or of another format or version.
    """
    source = str(path)
    manifest, texts = archive.unpack(path, _KIND, VERSION, _TEXTS, _OPTIONAL)
    options = archive.strings(manifest, "options", source)
    try:
        check_options(options)
    except BadInputError as error:
        raise BadInputError(f"{source}: {error}") from None
    return Capture(
        target=archive.field(manifest, "target", str, source),
        topology=archive.field(manifest, "topology", str, source),
        function=archive.field(manifest, "function", str, source),
        options=options,
        versions=archive.strings(manifest, "versions", source),
        seconds=float(archive.field(manifest, "seconds", (int, float), source)),
        peak_hbm=archive.field(manifest, "peak_hbm", int, source),
        peak_memory=archive.field({"peak_memory": 0, **manifest}, "peak_memory", int, source),
        code_bytes=archive.field({"code_bytes": 0, **manifest}, "code_bytes", int, source),
        schedule=archive.field(manifest, "schedule", str, source),
        init_args=decode_init_args(manifest.get("init_args", []), f"{source}: init_args"),
        given=Given(),
        **texts,
    )


def load_versions(path: str | os.PathLike[str]) -> dict[str, str]:
    """The versions that a capture was made with.

    Raises:
        BadInputError: as ``load_capture``.
    """
    return archive.strings(archive.unpack(path, _KIND, VERSION, ())[0], "versions", str(path))
