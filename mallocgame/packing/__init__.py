"""Packing buffers into memory: offsets so that no two that are live at once share a byte."""

from mallocgame.packing.buffer import Buffer, Core, Packing
from mallocgame.packing.core import find_core
from mallocgame.packing.csv_file import BufferTable, format_buffers, format_csv, parse_csv, read_csv, write_csv
from mallocgame.packing.fit_most import fit_most
from mallocgame.packing.minimise import minimise
from mallocgame.packing.pack import compile_native, pack
from mallocgame.packing.spill import Spilling, spill
from mallocgame.packing.validate import PackingViolation, validate

__all__ = [
    "Buffer",
    "BufferTable",
    "Core",
    "Packing",
    "PackingViolation",
    "Spilling",
    "compile_native",
    "find_core",
    "fit_most",
    "format_buffers",
    "format_csv",
    "minimise",
    "pack",
    "parse_csv",
    "read_csv",
    "spill",
    "validate",
    "write_csv",
]
