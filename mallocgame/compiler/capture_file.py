"""Capture files (.mgz): a zip of one JSON manifest and the texts, read without trust and written atomically.

The bytes depend on the content alone: fixed order, dates and compression.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mallocgame.compiler.capture import Capture, check_options
from mallocgame.errors import BadInputError
from mallocgame.files import write_atomically

FORMAT = "mallocgame-capture"
VERSION = 1
MAX_TEXT_BYTES = 1 << 30
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30

_MANIFEST = "manifest.json"
_TEXTS = ("lowered", "before_msa", "final", "log", "buffer_assignment", "memory_usage")
_DATE = (1980, 1, 1, 0, 0, 0)
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
        "format": FORMAT,
        "version": VERSION,
        "target": capture.target,
        "topology": capture.topology,
        "function": capture.function,
        "options": dict(capture.options),
        "versions": dict(capture.versions),
        "seconds": capture.seconds,
        "peak_hbm": capture.peak_hbm,
        "schedule": capture.schedule,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        _add(archive, _MANIFEST, json.dumps(manifest, sort_keys=True, indent=1))
        for name in _TEXTS:
            _add(archive, f"{name}.txt", getattr(capture, name))
    return buffer.getvalue()


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
    source = Path(path)
    try:
        if source.stat().st_size > MAX_FILE_BYTES:
            raise BadInputError(f"{source}: larger than {MAX_FILE_BYTES} bytes")
        with zipfile.ZipFile(source) as archive:
            return _read(archive, source)
    except OSError as error:
        raise BadInputError(f"{source}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{source}: damaged, or not a capture ({error})") from None


def _read(archive: zipfile.ZipFile, source: Path) -> Capture:
    manifest = _manifest(archive, source)
    if manifest.get("format") != FORMAT:
        raise BadInputError(f"{source}: not a capture")
    if manifest.get("version") != VERSION:
        raise BadInputError(
            f"{source}: capture format {manifest.get('version')!r}, but this mallocgame reads {VERSION}; capture again"
        )
    options = _strings(manifest, "options", source)
    try:
        check_options(options)
    except BadInputError as error:
        raise BadInputError(f"{source}: {error}") from None
    texts = {name: _text(archive, f"{name}.txt", MAX_TEXT_BYTES, source) for name in _TEXTS}
    return Capture(
        target=_of(manifest, "target", str, source),
        topology=_of(manifest, "topology", str, source),
        function=_of(manifest, "function", str, source),
        options=options,
        versions=_strings(manifest, "versions", source),
        seconds=float(_of(manifest, "seconds", (int, float), source)),
        peak_hbm=_of(manifest, "peak_hbm", int, source),
        schedule=_of(manifest, "schedule", str, source),
        **texts,
    )


def _manifest(archive: zipfile.ZipFile, source: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads(_text(archive, _MANIFEST, MAX_MANIFEST_BYTES, source))
    except (ValueError, RecursionError):
        raise BadInputError(f"{source}: damaged: its manifest is not JSON") from None
    if not isinstance(manifest, dict):
        raise BadInputError(f"{source}: damaged: its manifest is no object")
    return manifest


def _text(archive: zipfile.ZipFile, name: str, limit: int, source: Path) -> str:
    """One entry, never more than ``limit`` bytes of it whatever its header claims."""
    try:
        entry = archive.open(name)
    except KeyError:
        raise BadInputError(f"{source}: not a capture, or damaged: it has no {name}") from None
    with entry:
        data = entry.read(limit + 1)
    if len(data) > limit:
        raise BadInputError(f"{source}: {name} is larger than {limit} bytes")
    return data.decode("utf-8")


def _of(manifest: Mapping[str, Any], key: str, kind: type | tuple[type, ...], source: Path) -> Any:
    value = manifest.get(key)
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or (isinstance(value, int | float) and not 0 <= value < 2**63)
    ):
        raise BadInputError(f"{source}: damaged: its manifest has no valid {key}")
    return value


def _strings(manifest: Mapping[str, Any], key: str, source: Path) -> dict[str, str]:
    value = manifest.get(key)
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadInputError(f"{source}: damaged: its manifest has no valid {key}")
    return value


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    archive.writestr(info, text.encode("utf-8"))
