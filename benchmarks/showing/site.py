"""What ``mkdocs build`` does beside its own: drawings become part of their page, and results come from the rows.

Named under ``hooks`` in ``mkdocs.yml``. A drawing of ours (class ``mg``) that is part of the page follows the
page's switch between light and dark; as a picture it would follow the reader's system.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmarks.showing.gains import read_gains
from benchmarks.showing.stories import stories
from mallocgame.report.page import embedded

_IMAGE = re.compile(r'<img alt="[^"]*" src="(?P<source>[^":]+\.svg)"[^>]*>')
_OURS = '<svg class="mg '
_PLACE = '<div class="mg-results"></div>'
"""In a page, where the programs are to be."""


def on_page_content(html: str, page: Any, config: Any, **_: Any) -> str:
    """mkdocs' event: the page's Markdown has become HTML."""
    folder = Path(config["docs_dir"], page.file.src_uri).parent
    html = _IMAGE.sub(lambda found: _drawn(found, folder), html)
    return html.replace(_PLACE, _results()) if _PLACE in html else html


def _drawn(found: re.Match[str], folder: Path) -> str:
    drawing = (folder / found["source"]).read_text(encoding="utf-8")
    return drawing if drawing.startswith(_OURS) else found[0]


def _results() -> str:
    data = embedded(stories(read_gains()))
    return (
        f'{_PLACE}\n<script type="application/json" id="mg-stories">{data}</script>\n'
        '<script src="assets/results.js"></script>'
    )
