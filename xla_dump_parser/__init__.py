"""Reads what XLA dumps: HLO text, buffer assignments, live ranges, memory reports."""

from xla_dump_parser.buffer_assignment import Allocation, AssignedValue, parse_buffer_assignment
from xla_dump_parser.dump import Dump, find_dump
from xla_dump_parser.dump_modules import DumpModule, dump_modules
from xla_dump_parser.errors import ParseError
from xla_dump_parser.hlo import ArrayShape, Computation, HloModule, Instruction, Layout, Shape, TupleShape
from xla_dump_parser.hlo_reader import parse_hlo, read_hlo
from xla_dump_parser.live_range import LiveRange, LiveRanges, LiveValue, parse_live_range
from xla_dump_parser.memory_usage import SpaceUsage, UsageRow, parse_memory_usage_report
from xla_dump_parser.shapes import ShapeIndex, format_shape, padded_bytes, parse_shape, walk_shape
from xla_dump_parser.source_lines import SourceLine, SourceLines
from xla_dump_parser.text import read_text

__all__ = [
    "Allocation",
    "ArrayShape",
    "AssignedValue",
    "Computation",
    "Dump",
    "DumpModule",
    "HloModule",
    "Instruction",
    "Layout",
    "LiveRange",
    "LiveRanges",
    "LiveValue",
    "ParseError",
    "Shape",
    "ShapeIndex",
    "SourceLine",
    "SourceLines",
    "SpaceUsage",
    "TupleShape",
    "UsageRow",
    "dump_modules",
    "find_dump",
    "format_shape",
    "padded_bytes",
    "parse_buffer_assignment",
    "parse_hlo",
    "parse_live_range",
    "parse_memory_usage_report",
    "parse_shape",
    "read_hlo",
    "read_text",
    "walk_shape",
]
