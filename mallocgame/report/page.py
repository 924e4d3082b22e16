"""The page of a plan: one HTML file that needs nothing else, from the parts in ``page/``.

Nothing of the data can become markup or script: it is JSON in which ``<``, ``>`` and ``&`` are escaped, the script puts
it in as text, and the page's own policy lets no other script or style run, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

SCRIPTS = ("data.js", "elements.js", "chart.js", "handling.js", "tables.js", "main.js")
"""In order; they are one script in the page."""

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def to_html(data: Mapping[str, Any]) -> str:
    """The page that shows ``data``, as ``mallocgame.report.page_data`` makes it."""
    style = _part("page.css")
    script = "".join(_part(name) for name in SCRIPTS)
    parts = {
        "title": html.escape(data["title"]).encode("ascii", "xmlcharrefreplace").decode(),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "data": embedded(data),
    }
    pieces = _part("page.html").split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        filled += [parts[name], rest]
    return "".join(filled)


def embedded(value: object) -> str:
    """JSON in ASCII that is safe inside a script element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for letter, escape in _ESCAPED.items():
        text = text.replace(letter, escape)
    return text


def _part(name: str) -> str:
    return files("mallocgame.report").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names the text of a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
