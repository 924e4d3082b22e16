"""Zips of a JSON manifest and texts, read without trust. The bytes depend on the content alone: order, dates, level."""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line
from mallocgame.system.zips import open_zip

MAX_TEXT_BYTES = 1 << 30
"""Of all texts of an archive."""

MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 30

_MANIFEST = "manifest.json"
_DATE = (1980, 1, 1, 0, 0, 0)


def pack(kind: str, version: int, manifest: Mapping[str, Any], texts: Mapping[str, str]) -> bytes:
    """The bytes of an archive of this kind, e.g. ``"capture"``, and format version."""
    whole = {"format": f"mallocgame-{kind}", "version": version, **manifest}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        _add(archive, _MANIFEST, json.dumps(whole, sort_keys=True, indent=1))
        for name, text in texts.items():
            _add(archive, f"{name}.txt", text)
    return buffer.getvalue()


def unpack(
    path: str | os.PathLike[str], kind: str, version: int, names: Iterable[str], optional: Iterable[str] = ()
) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The manifest and the texts of these names, and of ``optional`` those that are there; nothing is trusted.

    Raises:
        BadInputError: it cannot be read, is damaged, too large, or of another kind or format version.
    """
    source = Path(path)
    try:
        if source.stat().st_size > MAX_FILE_BYTES:
            raise BadInputError(f"{source}: larger than {MAX_FILE_BYTES} bytes")
        with open(source, "rb") as file, open_zip(file) as archive:
            manifest = _manifest(archive, source, kind, version)
            there = set(archive.namelist())
            wanted = [*names, *(name for name in optional if f"{name}.txt" in there)]
            texts: dict[str, str] = {}
            left = MAX_TEXT_BYTES
            for name in wanted:
                texts[name] = _text(archive, f"{name}.txt", left, source, kind)
                left -= len(texts[name])
            return manifest, texts
    except OSError as error:
        raise BadInputError(f"{source}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{source}: damaged, or not a {kind} ({one_line(error, 200)})") from None


def field(manifest: Mapping[str, Any], key: str, kind: type | tuple[type, ...], source: str) -> Any:
    """A value of the manifest, of this type; numbers from 0 to 2^63.

    Raises:
        BadInputError: it has none.
    """
    value = manifest.get(key)
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or (isinstance(value, int | float) and not 0 <= value < 2**63)
    ):
        raise BadInputError(f"{source}: damaged: its manifest has no valid {key}")
    return value


def strings(manifest: Mapping[str, Any], key: str, source: str) -> dict[str, str]:
    """A value of the manifest that is an object of texts.

    Raises:
        BadInputError: it has none.
    """
    value = manifest.get(key)
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadInputError(f"{source}: damaged: its manifest has no valid {key}")
    return value


def _manifest(archive: zipfile.ZipFile, source: Path, kind: str, version: int) -> Mapping[str, Any]:
    try:
        manifest = json.loads(_text(archive, _MANIFEST, MAX_MANIFEST_BYTES, source, kind))
    except (ValueError, RecursionError):
        raise BadInputError(f"{source}: damaged: its manifest is not JSON") from None
    if not isinstance(manifest, dict):
        raise BadInputError(f"{source}: damaged: its manifest is no object")
    if manifest.get("format") != f"mallocgame-{kind}":
        raise BadInputError(f"{source}: not a {kind}")
    if manifest.get("version") != version:
        raise BadInputError(
            f"{source}: {kind} format {manifest.get('version')!r}, but this mallocgame reads {version}; make it again"
        )
    return manifest


def _text(archive: zipfile.ZipFile, name: str, limit: int, source: Path, kind: str) -> str:
    """One entry; it is refused after ``limit`` bytes, whatever its header claims."""
    try:
        entry = archive.open(name)
    except KeyError:
        raise BadInputError(f"{source}: not a {kind}, or damaged: it has no {name}") from None
    with entry:
        data = entry.read(limit + 1)
    if len(data) > limit:
        raise BadInputError(f"{source}: {name} has more than the {limit} bytes that are allowed")
    return data.decode("utf-8")


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    archive.writestr(info, text.encode("utf-8"))
