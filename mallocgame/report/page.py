"""The pages of a plan and of memory: one HTML file each that needs nothing else, from the parts in ``page/``.

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
from typing import Any, Literal

Page = Literal["plan", "memory"]

_SCRIPTS = (
    "words.js",
    "elements.js",
    "{page}/data.js",
    "{page}/chart.js",
    "chart.js",
    "handling.js",
    "{page}/handling.js",
    "sortable.js",
    "{page}/tables.js",
    "parts.js",
    "{page}/main.js",
)
"""In order; they are one script in the page."""

_COMMANDS: Mapping[Page, str] = {"plan": "mallocgame explain", "memory": "mallocgame memory"}

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def to_html(data: Mapping[str, Any], page: Page) -> str:
    """A page that shows ``data``, as ``page_data.of_page`` makes it: that of ``report`` or of ``report.memory``."""
    style = _part("page.css")
    script = "".join(_part(name.format(page=page)) for name in _SCRIPTS)
    main = _filled(_part(f"{page}/main.html"), {"find": _part("find.html"), "chart": _part("chart.html")})
    parts = {
        "title": html.escape(data["title"]).encode("ascii", "xmlcharrefreplace").decode(),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "command": _COMMANDS[page],
        "main": main,
        "data": embedded(data),
    }
    return _filled(_part("page.html"), parts)


def _filled(template: str, parts: Mapping[str, str]) -> str:
    pieces = template.split("{{")
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
