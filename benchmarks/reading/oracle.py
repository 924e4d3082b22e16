"""Our HLO reader against XLA's own (``jaxlib._hlo``), instruction by instruction, on any HLO texts.

    python -m benchmarks.reading.oracle FILES...

FILES: HLO texts, plain or gzip, and captures (``.mgz``); others (logs, reports) are passed over and counted. Compared,
for every instruction of every computation: name, opcode, operands, users, and the shape with layout as XLA prints it;
and each shape goes through text and back. Exit code 1 on any difference. Needs jaxlib; newer dumps need Python 3.12's
(0.12 or later).

XLA's reader turns the short form of an asynchronous operation (``slice-start(...), slice={...}``) into ``async-start``
and a computation of its own, and gives a shape without layout the default one; both are allowed for here. Python 3.11's
jaxlib tells no shapes.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from mallocgame.compiler.capture_file import load_capture
from xla_dump_parser import (
    ArrayShape,
    Instruction,
    Layout,
    ParseError,
    Shape,
    TupleShape,
    format_shape,
    parse_hlo,
    parse_shape,
    read_text,
)

_OPCODES = {
    "count-leading-zeros": "Clz",
    "cosine": "Cos",
    "exponential": "Exp",
    "exponential-minus-one": "Expm1",
    "log-plus-one": "Log1p",
    "opt-barrier": "OptimizationBarrier",
    "popcnt": "PopulationCount",
    "sine": "Sin",
    "tan": "Tan",
    "topk": "TopK",
}
"""Opcodes whose enum name in ``jaxlib._hlo.HloOpcode`` is not made of the words of the text."""

_SHORT_ASYNC = re.compile(
    r"(?!async-|copy-|send-|recv-|all-reduce-|all-gather-|collective-permute-).*-(start|update|done)"
)

_COMMENT = re.compile(r"/\*.*?\*/")


@dataclass
class Comparison:
    """Counts over the texts compared; ``differences`` holds one line each."""

    texts: int = 0
    passed_over: int = 0
    bytes: int = 0
    computations: int = 0
    instructions: int = 0
    operands: int = 0
    users: int = 0
    shapes: int = 0
    short_async: int = 0
    differences: list[str] = field(default_factory=list)


def compare(text: str, source: str, total: Comparison) -> None:
    """Add the comparison of one HLO text to ``total``.

    Raises:
        ParseError: ours cannot read it.
        Exception: XLA's cannot (jaxlib raises RuntimeError types of its own).
    """
    oracle_module = import_module("jaxlib._hlo").hlo_module_from_text(text)
    theirs = {computation.name: computation for computation in oracle_module.computations()}
    module = parse_hlo(text, source)
    total.texts += 1
    total.bytes += len(text)
    short_async = 0
    for name, computation in module.computations.items():
        total.computations += 1
        other = theirs.pop(name).instructions() if name in theirs else []
        if len(other) != len(computation.instructions):
            total.differences.append(
                f"{source}: {name}: {len(computation.instructions)} instructions, oracle {len(other)}"
            )
            continue
        for instruction, oracle in zip(computation.instructions, other, strict=True):
            short_async += _SHORT_ASYNC.fullmatch(instruction.opcode) is not None
            total.instructions += 1
            total.operands += len(instruction.operands)
            total.users += len(computation.users[instruction.name])
            total.shapes += hasattr(oracle, "shape")
            for difference in _differences(instruction, computation.users[instruction.name], oracle):
                total.differences.append(f"{source}:{instruction.line}: {instruction.name}: {difference}")
    total.short_async += short_async
    if theirs and not short_async:
        total.differences.append(f"{source}: computations that only the oracle has: {sorted(theirs)[:3]}")


def _differences(ours: Instruction, users: tuple[str, ...], oracle: Any) -> list[str]:
    pairs = {
        "name": (ours.name, oracle.name),
        "opcode": (_enum_name(ours.opcode), str(oracle.opcode).rpartition(".")[2]),
        "operands": (list(ours.operands), [operand.name for operand in oracle.operands()]),
        "users": (list(users), [user.name for user in oracle.users()]),
        "round trip": (parse_shape(format_shape(ours.shape)), ours.shape),
    }
    if hasattr(oracle, "shape"):
        pairs["shape"] = (format_shape(_with_layout(ours.shape)), _COMMENT.sub("", str(oracle.shape)))
    return [f"{what} {mine!r}, oracle {theirs!r}" for what, (mine, theirs) in pairs.items() if mine != theirs]


def _enum_name(opcode: str) -> str:
    short = _SHORT_ASYNC.fullmatch(opcode)
    if short is not None:
        opcode = f"async-{short[1]}"
    return "k" + _OPCODES.get(opcode, "".join(word.capitalize() for word in opcode.split("-")))


def _with_layout(shape: Shape) -> Shape:
    if isinstance(shape, TupleShape):
        return TupleShape(tuple(map(_with_layout, shape.elements)))
    if shape.layout is not None or not shape.dims:
        return shape
    return ArrayShape(shape.dtype, shape.dims, Layout(tuple(reversed(range(len(shape.dims))))), shape.dynamic)


def _texts(file: Path) -> dict[str, str]:
    if file.suffix != ".mgz":
        return {file.name: read_text(file)}
    capture = load_capture(file)
    return {f"{file.name}:before_msa": capture.before_msa, f"{file.name}:final": capture.final}


def main() -> int:
    """Compare the files and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    files: list[Path] = parser.parse_args().files
    total = Comparison()
    start = perf_counter()
    for file in files:
        try:
            for name, text in _texts(file).items():
                if text.startswith("HloModule"):
                    compare(text, name, total)
                else:
                    total.passed_over += 1
        except ParseError as error:
            total.differences.append(f"ours refuses: {error}")
        except Exception as error:  # jaxlib's error types are private
            total.differences.append(f"{file.name}: the oracle refuses: {str(error).splitlines()[0]}")
    for line in total.differences[:50]:
        print(line)
    print(f"oracle: jaxlib {version('jaxlib')}, Python {sys.version.split()[0]}; {perf_counter() - start:.1f} s")
    print(f"texts: {total.texts} HLO ({total.bytes} bytes), {total.passed_over} others passed over")
    print(f"compared: {total.computations} computations, {total.instructions} instructions, {total.operands} operands,")
    print(f"          {total.users} users, {total.shapes} shapes with layout; {total.short_async} short async forms")
    print(f"differences: {len(total.differences)}")
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
