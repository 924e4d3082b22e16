"""Modules in files: StableHLO as text or bytecode, HLO text from before optimization, HLO protos; each also gzipped.

Whatever framework made it, the compiler takes StableHLO, so everything else is translated into that, by jaxlib, in the
compiling child. What a file is, its first bytes say; its name only says that it is a module at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from mallocgame.problem.backend import marked
from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line
from xla_dump_parser import ParseError, parse_hlo
from xla_dump_parser.text import decode_text, read_bytes, read_head

SUFFIXES = (".mlir", ".hlo", ".txt", ".pb")
"""Names of module files end so, or so with ``.gz`` behind it."""

MOST_BYTES = 2 * 2**30
"""Of a file, and of what it unpacks to."""

_BYTECODE = b"ML\xefR"
_ARTIFACT, _HEADER = b"StableHLO_v", 32
"""Who wrote it stands in the first bytes of bytecode: a portable artifact is of a version of StableHLO."""
_HEAD = 1 << 16
"""Bytes of a file that say what it is: a schedule's header says so behind the module's name."""
_DEVICES = {"mhlo.num_replicas": "replica_count", "mhlo.num_partitions": "num_partitions"}
"""Attributes of StableHLO, and those of the header of an HLO text."""
_COUNT = re.compile(r"[1-9][0-9]{0,5}")
_SCHEDULED = re.compile(rb"\bis_scheduled\s*=\s*true\b")
_HLO_TEXT = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*HloModule[\s,]")


def is_module_file(reference: str) -> bool:
    """Whether a reference is the path of a module file rather than MODULE:FUNCTION."""
    return reference.removesuffix(".gz").endswith(SUFFIXES)


def is_program(path: str | os.PathLike[str]) -> bool:
    """Whether a module file, by its name and first bytes, holds a program that no compiler has scheduled yet."""
    name = os.fspath(path)
    if not is_module_file(name):
        return False
    head = read_head(name, _HEAD)
    if _HLO_TEXT.match(head):
        return _SCHEDULED.search(head) is None
    return bool(head) and not name.removesuffix(".gz").endswith((".hlo", ".txt"))


def read_module(path: str) -> str:
    """StableHLO text of a module file; needs JAX unless the file is StableHLO text.

    Raises:
        BadInputError: it cannot be read, is damaged or a schedule, or has what a TPU's compiler does not know.
    """
    data = _read(path)
    if data.startswith(_BYTECODE):
        return _checked(_text_of(data, path), path)
    if _HLO_TEXT.match(data):
        bytecode, devices = _of_hlo_text(data, path)
        return _checked(_text_of(bytecode, path, devices), path)
    if _is_proto(path):
        return _checked(_text_of(_of_proto(data, path), path), path)
    return _decoded(data, path)


def stablehlo_text(path: str) -> str | None:
    """The text of a module file that is StableHLO text, which needs no JAX; None where it is of another kind.

    Raises:
        BadInputError: it cannot be read, or is damaged.
    """
    data = _read(path)
    if data.startswith(_BYTECODE) or _HLO_TEXT.match(data) or _is_proto(path):
        return None
    return _decoded(data, path)


def _is_proto(path: str) -> bool:
    return path.removesuffix(".gz").endswith(".pb")


def _read(path: str) -> bytes:
    try:
        return read_bytes(path, MOST_BYTES)
    except ParseError as error:
        raise BadInputError(str(error)) from None


def _decoded(data: bytes, path: str) -> str:
    try:
        return decode_text(data, path)
    except ParseError as error:
        raise BadInputError(str(error)) from None


def _of_hlo_text(data: bytes, path: str) -> tuple[bytes, Mapping[str, int]]:
    """StableHLO bytecode, and numbers of devices by attribute, which are no part of a proto.

    The text is read by our own parser first, which says where an error is: jaxlib's may crash instead.
    """
    import jaxlib._hlo as hlo

    try:
        text = data.decode("utf-8-sig")
        module = parse_hlo(text, path)
        for computation in module.computations.values():
            computation.instructions  # noqa: B018 (read now)
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: not UTF-8 text") from None
    except ParseError as error:
        raise BadInputError(str(error)) from None
    if module.is_scheduled:
        raise BadInputError(
            f"{path}: is a schedule, which the compiler has made already: give it to `mallocgame solve`, or capture "
            "the text from before optimization (before_optimizations of a dump)"
        )
    try:
        proto = hlo.hlo_module_from_text(text).as_serialized_hlo_module_proto()
    except RuntimeError as error:
        raise BadInputError(f"{path}: not an HLO text: {one_line(error, 300)}") from None
    counts = {attribute: module.header.get(name, "1") for attribute, name in _DEVICES.items()}
    if not all(_COUNT.fullmatch(count) for count in counts.values()):
        raise BadInputError(f"{path}: damaged: its header says {counts} devices")
    return _of_proto(proto, path), {attribute: int(count) for attribute, count in counts.items()}


def _of_proto(data: bytes, path: str) -> bytes:
    """StableHLO bytecode of an ``HloModuleProto``, or of the ``HloProto`` that a dump has around it."""
    from jaxlib import _jax

    failure: Exception | None = None
    for proto in (data, _first_message(data)):
        try:
            found: bytes = _jax.mlir.hlo_to_stablehlo(proto)
            return found
        except Exception as error:  # of several types
            failure = failure or error
    raise BadInputError(f"{path}: cannot be translated into StableHLO: {one_line(failure or '', 300)}")


def _first_message(data: bytes) -> bytes:
    """The content of a proto's first field, where that is number 1 and has a length; else nothing."""
    size = shift = 0
    for place, byte in enumerate(data[1:11], 2):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return data[place : place + size] if data[:1] == b"\x0a" else b""
    return b""


def _text_of(bytecode: bytes, path: str, devices: Mapping[str, int] | None = None) -> str:
    """The text of a module; copies of HLO, which change a layout at most, are taken out."""
    from jax.interpreters import mlir
    from jaxlib import _jax

    try:
        with mlir.make_ir_context():
            portable = _ARTIFACT in bytecode[:_HEADER]
            read = _jax.mlir.deserialize_portable_artifact if portable else mlir.ir.Module.parse
            module: Any = read(bytecode)
            for copy in _copies(module.operation):
                copy.results[0].replace_all_uses_with(copy.operands[0])
                copy.erase()
            for attribute, count in (devices or {}).items():
                number = mlir.ir.IntegerAttr.get(mlir.ir.IntegerType.get_signless(32), count)
                module.operation.attributes[attribute] = number
            return str(module.operation.get_asm(enable_debug_info=True))
    except Exception as error:  # MLIR's own
        raise BadInputError(f"{path}: damaged StableHLO: {one_line(error, 300)}") from None


def _copies(operation: Any) -> list[Any]:
    found = []
    for region in operation.regions:
        for block in region.blocks:
            for inner in block.operations:
                found += _copies(inner.operation)
                if inner.operation.name == "mhlo.copy":
                    found.append(inner.operation)
    return found


def _checked(text: str, path: str) -> str:
    """Refuse by name what StableHLO has no word for, and what only other back ends know."""
    for name in re.findall(r"stablehlo\.custom_call @([\w$.]+|\"[^\"]*\")", text):
        backend = marked([name if name.startswith('"') else f'"{name}"'])
        if backend is not None:
            raise BadInputError(f"{path}: calls {name}, which only the compiler of a {backend} knows: no TPU program")
    other = re.search(r"^\s*(?:%\S+ = )?\"?(mhlo\.[\w.]+)", text, re.MULTILINE)
    if other:
        raise BadInputError(f"{path}: has {other[1]}, which StableHLO lacks: give the text from before optimization")
    return text
