"""Pages in Chromium: where their chart is, and what colours a picture has."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.speed.chromium import Browser, find_chromium

IN_CHROMIUM = [
    pytest.mark.chromium,
    pytest.mark.skipif(find_chromium() is None and not os.environ.get("CI"), reason="there is no chromium here"),
]

WIDTH, HEIGHT = 1280, 1000


class Chart(NamedTuple):
    """Where the canvas is in the window, CSS pixels."""

    left: float
    top: float
    width: float
    height: float


def show(browser: Browser, folder: Path, page: str) -> Chart:
    """Load a page and scroll to its chart."""
    file = folder / "page.html"
    file.write_text(page)
    browser.problems.clear()
    browser.open(file)
    browser.settle()
    browser.evaluate("document.documentElement.style.scrollBehavior = 'auto'; byId('map').scrollIntoView()")
    return where(browser)


def where(browser: Browser) -> Chart:
    script = "(() => { const r = byId('chart').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    return Chart(*browser.evaluate(script))


def pixels(png: bytes) -> Any:
    """RGB of a picture, uint8[height, width, 3]."""
    pyplot = pytest.importorskip("matplotlib.image")
    return (pyplot.imread(io.BytesIO(png))[:, :, :3] * 255).round().astype("uint8")


def near(picture: Any, colour: tuple[int, int, int]) -> int:
    """How many pixels have about this colour."""
    return int((abs(picture.astype(int) - colour).max(axis=2) < 12).sum())
