"""Reads what XLA dumps: HLO text, buffer assignments, live ranges, memory reports."""

from xla_dump_parser.errors import ParseError
from xla_dump_parser.hlo import ArrayShape, Computation, HloModule, Instruction, Layout, Shape, TupleShape
from xla_dump_parser.hlo_reader import parse_hlo, read_hlo
from xla_dump_parser.shapes import ShapeIndex, format_shape, padded_bytes, parse_shape, walk_shape
from xla_dump_parser.text import read_text

__all__ = [
    "ArrayShape",
    "Computation",
    "HloModule",
    "Instruction",
    "Layout",
    "ParseError",
    "Shape",
    "ShapeIndex",
    "TupleShape",
    "format_shape",
    "padded_bytes",
    "parse_hlo",
    "parse_shape",
    "read_hlo",
    "read_text",
    "walk_shape",
]
