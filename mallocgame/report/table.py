"""Tables for people: rich on a terminal, plain aligned columns elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], console: Console | None = None
) -> None:
    """Print ``rows`` under ``header``; the first column is left-aligned, as is the last; the others right-aligned."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        for line in plain_table(title, header, rows):
            console.file.write(line + "\n")
        return
    table = Table(title=Text(title), title_justify="left", header_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number in (0, len(header) - 1) else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def plain_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The same as lines of text without colour."""
    widths = [max(len(row[number]) for row in (header, *rows)) for number in range(len(header))]
    lines = [title] if title else []
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if number in (0, len(header) - 1) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(len(lines) - len(rows), "  ".join("-" * width for width in widths))
    return lines
