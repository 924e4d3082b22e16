"""Tables of the benchmark: Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from mallocgame.bench.grid import Cell, Grid, Sheet
from mallocgame.bench.rows import BenchRow
from mallocgame.bench.sheet import sheet


def markdown(rows: Sequence[BenchRow], complete: bool) -> str:
    """The table as Markdown; ``complete`` is whether nothing that was asked for is missing."""
    made = sheet(rows, complete)
    lines = [f"# {made.title}", "", *(f"- {_plain(fact)}" for fact in made.facts)]
    for grid in made.grids:
        lines += ["", f"## {_plain(grid.title)}", "", *_markdown_grid(grid)]
        lines += ["", *(f"- {_plain(note)}" for note in grid.notes)] if grid.notes else []
    return "\n".join(lines) + "\n"


def html(rows: Sequence[BenchRow], complete: bool) -> str:
    """The table as one HTML document, light or dark as the reader's system is; a click on a header sorts."""
    return "\n".join(_html_lines(sheet(rows, complete))) + "\n"


def _markdown_grid(grid: Grid) -> Iterator[str]:
    table = [[_plain(cell) for cell in grid.header], *([_plain(cell.text) for cell in row] for row in grid.rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(grid.header))]
    for number, row in enumerate(table):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if number == 0:
            yield "| " + " | ".join("-" * max(width, 3) for width in widths) + " |"


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    for character in "\\|<`*":
        text = text.replace(character, f"\\{character}")
    text = text.replace("](", "]\\(")
    return " ".join(text.split())


def _html_lines(made: Sheet) -> Iterator[str]:
    title = escape(made.title)
    yield f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{_STYLE}</style>\n<h1>{title}</h1>"
    yield from _html_list(made.facts)
    for grid in made.grids:
        yield f'<h2>{escape(grid.title)}</h2>\n<div class="scroll"><table>'
        yield "<thead><tr>" + "".join(f"<th>{escape(name)}</th>" for name in grid.header) + "</tr></thead>\n<tbody>"
        for row in grid.rows:
            yield "<tr>" + "".join(map(_html_cell, row)) + "</tr>"
        yield "</tbody></table></div>"
        yield from _html_list(grid.notes)
    yield f"<script>{_SCRIPT}</script>\n</html>"


def _html_list(texts: Sequence[str]) -> list[str]:
    return ["<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"] if texts else []


def _html_cell(cell: Cell) -> str:
    order = "" if cell.order is None else f' data-order="{cell.order!r}"'
    tone = f' class="{cell.tone}"' if cell.tone else ""
    return f"<td{tone}{order}>{escape(cell.text)}</td>"


_STYLE = """
:root { color-scheme: light dark; --line: #8885; --better: #1a7f37; --worse: #c0362c; --quiet: #777; }
@media (prefers-color-scheme: dark) { :root { --better: #57c278; --worse: #ff8a80; --quiet: #999; } }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .7rem; text-align: left; white-space: nowrap; }
th { cursor: pointer; white-space: normal; vertical-align: bottom; }
tbody tr:hover { background: #8882; }
.better { color: var(--better); font-weight: 600; }
.worse { color: var(--worse); }
.missing { color: var(--quiet); font-style: italic; }
"""

_SCRIPT = """
const key = cell => "order" in cell.dataset ? +cell.dataset.order : cell.textContent;
const compare = (a, b) =>
  typeof a === typeof b ? (typeof a === "number" ? a - b : a.localeCompare(b)) : typeof a === "number" ? -1 : 1;
for (const head of document.querySelectorAll("th")) head.onclick = () => {
  const up = head.dataset.up = head.dataset.up === "1" ? "" : "1", column = head.cellIndex;
  const body = head.closest("table").tBodies[0];
  body.append(...[...body.rows].sort((a, b) => {
    const found = compare(key(a.cells[column]), key(b.cells[column]));
    return up ? found : -found;
  }));
};
"""
