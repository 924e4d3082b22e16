"""Aligned columns of plain text."""

from __future__ import annotations

from collections.abc import Sequence


def plain_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: ``title`` unless empty, ``header``, a rule, ``rows``.

    The first and the last column are left-aligned, the others right-aligned.
    """
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
