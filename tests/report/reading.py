"""Pages as a browser reads them, and what each has to keep to."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects the page's elements, and the text of its scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = tag if tag in self.texts else None
        if self._inside:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside][-1] += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def check_self_contained(page: str) -> None:
    """It needs nothing else, and lets no script and style run but its own."""
    reader = read(page)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert not any(name in ("src", "srcset", "background") or name.startswith("on") for name, _ in reader.attributes)
    assert [value for name, value in reader.attributes if name == "href"] == ["#map"]
    outside = re.sub(r"http://www\.w3\.org/2000/svg", "", page)
    assert "http" not in outside.replace("http-equiv", "")
    assert "url(" not in "".join(reader.texts["style"])
    assert "@import" not in page
    assert "{{" not in page
    (policy,) = [value for name, value in reader.attributes if name == "content" and value and "default-src" in value]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    _, script = reader.texts["script"]
    (style,) = reader.texts["style"]
    assert rules == {"default-src": "'none'", "script-src": _source(script), "style-src": _source(style)}


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
