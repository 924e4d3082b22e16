"""A folder of finished compiles: the same module, options and versions are compiled once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from mallocgame.compiler import archive
from mallocgame.compiler.child import Compile, Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.failures import LeftBehind, OutOfMemoryError, OverrideRefusedError
from mallocgame.compiler.versions import installed_versions
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.system.errors import BadInputError, NoAnswerError
from mallocgame.system.files import write_atomically

VERSION = 1

_KIND = "compile"
_TEXTS = ("lowered", "before_msa", "final", "buffer_assignment", "memory_usage", "log")
_REFUSAL = ("refusal",)
_LEFT = ("target", "lowered", "optimized", "buffer_assignment", "memory_usage")


@dataclass(frozen=True, slots=True)
class Finished:
    """An answer of a cache.

    Attributes:
        asked: topology, and the memory split in KiB as text (None for the compiler's default); None where an older
            cache did not keep them.
        compiled: what the compile left.
    """

    asked: tuple[str, str | None] | None
    compiled: Compiled


class CompileCache:
    """Compiles as ``compile_in_child`` does, unless the folder has the answer.

    An answer is kept under the SHA-256 of the lowered module, topology, options, flags, what is logged, and the
    versions of jax, jaxlib and libtpu. Refused overrides are answers too, and programs that do not fit, with what their
    compile left behind: the compiler is deterministic. A damaged entry is made anew. A request for a function is not
    cached, for its module is not known before it is lowered. Logs are reduced to what ``parse_compile_log`` reads:
    those of large programs have 100 MB.
    """

    def __init__(self, folder: str | os.PathLike[str], compile: Compile = compile_in_child) -> None:
        """Keep answers of ``compile`` in ``folder``, which is made.

        Raises:
            BadInputError: the folder cannot be made.
        """
        self._folder, self._compile = Path(folder), compile
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"{folder}: cannot be made: {error.strerror}") from None

    def alone(self) -> Compile:
        """Gives what is finished, and compiles nothing.

        The ``Compile`` raises NotFinishedError where the folder does not have the answer.
        """
        return CompileCache(self._folder, _not_finished)

    def finished(self) -> Iterator[Finished]:
        """Each answer that is no refusal, oldest first.

        Raises:
            BadInputError: one is damaged.
        """
        for path in sorted(self._folder.glob("*.zip"), key=lambda path: (path.stat().st_mtime, path.name)):
            manifest, _ = archive.unpack(path, _KIND, VERSION, ())
            if manifest.get("refused") is not True:
                known = "topology" in manifest and "split" in manifest
                asked = (str(manifest["topology"]), str(manifest["split"]) or None) if known else None
                yield Finished(asked, _load(path))

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        """The answer; errors as ``compile_in_child``."""
        if request.lowered is None:
            return self._compile(request, limits)
        path = self._folder / f"{_key(request)}.zip"
        if path.exists():
            try:
                return _load(path)
            except BadInputError:
                path.unlink(missing_ok=True)
        started = monotonic()
        try:
            compiled = _reduced(self._compile(request, limits))
        except OverrideRefusedError as refusal:
            refusal.seconds = monotonic() - started
            manifest = {"refused": True, "seconds": refusal.seconds}
            self._keep(path, archive.pack(_KIND, VERSION, manifest, {"refusal": _of_refusal(refusal)}))
            raise
        except OutOfMemoryError as error:
            if error.left is not None:
                manifest = {"refused": True, "out_of_memory": True}
                left = {name: getattr(error.left, name) for name in _LEFT}
                self._keep(path, archive.pack(_KIND, VERSION, manifest, {"refusal": str(error), **left}))
            raise
        self._keep(path, _to_bytes(compiled, request))
        return compiled

    def _keep(self, path: Path, data: bytes) -> None:
        write_atomically(path, data)


class NotFinishedError(NoAnswerError):
    """A cache was asked alone, and does not have the answer."""


def _not_finished(request: Request, limits: Limits | None = None) -> Compiled:
    raise NotFinishedError("the compile is not in the cache")


def _key(request: Request) -> str:
    parts = (
        request.topology,
        hashlib.sha256((request.lowered or "").encode()).hexdigest(),
        sorted(request.options.items()),
        request.vmodule,
        installed_versions(),
        *([request.init_args] if request.init_args else []),
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _reduced(compiled: Compiled) -> Compiled:
    from xla_dump_parser.compile_log import reduce_compile_log

    return replace(compiled, log=reduce_compile_log(compiled.log))


def _to_bytes(compiled: Compiled, request: Request) -> bytes:
    manifest = {
        "refused": False,
        "topology": request.topology,
        "split": request.options.get(SCOPED_VMEM, ""),
        "versions": dict(compiled.versions),
        "seconds": compiled.seconds,
        "peak_memory": compiled.peak_memory,
    }
    if compiled.code_bytes:
        manifest["code_bytes"] = compiled.code_bytes
    return archive.pack(_KIND, VERSION, manifest, {name: getattr(compiled, name) for name in _TEXTS})


def _load(path: Path) -> Compiled:
    """The answer in a file.

    Raises:
        BadInputError: it is damaged.
        OverrideRefusedError, OutOfMemoryError: that was the answer.
    """
    source = str(path)
    manifest, _ = archive.unpack(path, _KIND, VERSION, ())
    if manifest.get("out_of_memory") is True:
        texts = archive.unpack(path, _KIND, VERSION, (*_REFUSAL, *_LEFT))[1]
        error = OutOfMemoryError(texts["refusal"])
        error.left = LeftBehind(*(texts[name] for name in _LEFT))
        raise error
    if manifest.get("refused") is True:
        refusal = _to_refusal(archive.unpack(path, _KIND, VERSION, _REFUSAL)[1]["refusal"], source)
        if "seconds" in manifest:  # older caches did not keep them
            refusal.seconds = float(archive.field(manifest, "seconds", (int, float), source))
        raise refusal
    manifest, texts = archive.unpack(path, _KIND, VERSION, _TEXTS)
    return Compiled(
        versions=archive.strings(manifest, "versions", source),
        seconds=float(archive.field(manifest, "seconds", (int, float), source)),
        peak_memory=archive.field(manifest, "peak_memory", int, source),
        code_bytes=archive.field({"code_bytes": 0, **manifest}, "code_bytes", int, source),
        topology=str(manifest.get("topology", "")),
        lowered=texts["lowered"],
        before_msa=texts["before_msa"],
        final=texts["final"],
        buffer_assignment=texts["buffer_assignment"],
        memory_usage=texts["memory_usage"],
        log=texts["log"],
    )


def _of_refusal(refusal: OverrideRefusedError) -> str:
    index = None if refusal.index is None else list(refusal.index)
    return json.dumps([refusal.instruction, refusal.operand, refusal.defining, refusal.reason, index])


def _to_refusal(text: str, source: str) -> OverrideRefusedError:
    try:
        instruction, operand, defining, reason, index = json.loads(text)
        return OverrideRefusedError(
            instruction, int(operand), defining, str(reason), None if index is None else tuple(map(int, index))
        )
    except (ValueError, TypeError, RecursionError):
        raise BadInputError(f"{source}: damaged refusal") from None
