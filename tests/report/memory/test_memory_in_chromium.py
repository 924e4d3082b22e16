"""The memory page in a real browser: it loads, draws, hovers, searches, and writes nothing to the console."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from benchmarks.speed.chromium import Browser
from benchmarks.speed.memory_page import made_up
from mallocgame.report.memory import use_of_message
from mallocgame.report.memory.page_data import of_page
from mallocgame.report.page import to_html
from tests.cli.test_memory import MESSAGE
from tests.report.browsing import IN_CHROMIUM, Chart, near, pixels, show, where
from tests.report.memory.test_memory_page import made_page, too_large

pytestmark = IN_CHROMIUM

LAG_MS = 100
"""A reaction within this is felt as at once (Nielsen 1993); measured are about 7 ms."""


def load(browser: Browser, folder: Path, data: dict[str, Any]) -> Chart:
    return show(browser, folder, to_html(data, "memory"))


def centre(browser: Browser, name: str) -> tuple[float, float]:
    """Where the middle of a buffer is in the window."""
    script = f"""(() => {{
      const box = PANELS[0].boxes.find(({{ name }}) => name === {json.dumps(name)});
      return [across((box.start + box.end + 1) / 2), up(0, box.offset + box.size / 2)];
    }})()"""
    chart = where(browser)
    x, y = browser.evaluate(script)
    return chart.left + x, chart.top + y


def test_it_loads_and_draws(browser: Browser, tmp_path: Path) -> None:
    load(browser, tmp_path, made_page())
    assert browser.problems == []
    assert "fits" in browser.evaluate("byId('status').textContent")
    browser.evaluate("document.querySelector('input[value=kind]').click()")
    browser.settle()
    chart = where(browser)
    picture = pixels(browser.screenshot(x=chart.left, y=chart.top, width=chart.width, height=chart.height))
    assert near(picture, (0x3F, 0x7F, 0xBF)) > 10_000  # temporaries
    pen = "chart.canvas.getContext('2d')"
    mark = f"[...{pen}.getImageData(Math.round(across(4.5)), TITLE + MAP / 2, 1, 1).data]"
    assert browser.evaluate(mark) == [0x8E, 0x3B, 0x86, 255]  # the peak's line, in the middle of its time
    assert near(picture, (0xB2, 0x56, 0x0D)) < 100  # no capacity within the map
    assert browser.problems == []


def test_hovering_tells_the_buffer(browser: Browser, tmp_path: Path) -> None:
    load(browser, tmp_path, made_page())
    browser.mouse("mouseMoved", *centre(browser, "b"))
    assert browser.evaluate("byId('tip').querySelector('b').textContent") == "b"
    text = browser.evaluate("byId('tip').textContent")
    for told in (
        "f32[1024,2]{1,0:T(8,128)}",
        "512 KiB, without padding 8 KiB (64 x)",
        "b (3) to c (4)",
        "step.py:4",
        "wide",
        "read last byc (4)",
    ):
        assert told in text
    browser.mouse("mouseMoved", 5, 5)
    assert browser.evaluate("byId('tip').hidden") is True


def test_hovering_below_the_map_tells_what_is_live(browser: Browser, tmp_path: Path) -> None:
    chart = load(browser, tmp_path, made_page())
    x, y = browser.evaluate("[across(4.5), panelTop(0) + TITLE + MAP + GAP + LIVE / 2]")
    browser.mouse("mouseMoved", chart.left + x, chart.top + y)
    assert browser.evaluate("byId('tip').querySelector('b').textContent") == "c"
    assert "528.5 KiB in 6 buffers" in browser.evaluate("byId('tip').textContent")


def test_searching(browser: Browser, tmp_path: Path) -> None:
    load(browser, tmp_path, made_page())
    found = "byId('found').textContent"
    for words, told in {"step.py": "2 buffers", "T(8,128)": "1 buffer", "state['s'": "1 buffer"}.items():
        browser.evaluate("byId('search').focus()")
        browser.type(words)
        assert browser.evaluate(found) == f"{told}; Enter goes through them"
        browser.key("Escape")
    browser.evaluate("byId('search').focus()")
    browser.type("step.py:4")
    browser.key("Enter", "\r")
    assert browser.evaluate("byId('picked').querySelector('b').textContent") == "b"
    browser.type("zzz")
    assert browser.evaluate(found) == "not in these maps"


def test_the_table_is_what_is_live_at_the_peak(browser: Browser, tmp_path: Path) -> None:
    load(browser, tmp_path, made_page())
    names = "[...document.querySelectorAll('#live tbody tr')].map(row => row.cells[0].textContent)"
    assert browser.evaluate(names) == ["b", "a", "c", "s", "x", "t"]
    assert "6 buffers, 528.5 KiB" in browser.evaluate("byId('live').textContent")
    browser.evaluate("document.querySelector('#peak input').focus()")
    browser.type("wide")
    assert browser.evaluate(names) == ["b"]
    browser.evaluate("document.querySelector('#live tbody button').click()")
    assert browser.evaluate("chart.picked.name") == "b"
    assert "95.4 %" in browser.evaluate("byId('sources').textContent")


def test_what_does_not_fit_shows_the_capacity(browser: Browser, tmp_path: Path) -> None:
    chart = load(browser, tmp_path, made_page(too_large()))
    assert browser.problems == []
    picture = pixels(browser.screenshot(x=chart.left, y=chart.top, width=chart.width, height=chart.height))
    assert near(picture, (0xB2, 0x56, 0x0D)) > 1000
    assert "145.9 KiB too much" in browser.evaluate("byId('figures').textContent")


def test_a_message_has_tables_and_no_map(browser: Browser, tmp_path: Path) -> None:
    load(browser, tmp_path, of_page(use_of_message(MESSAGE, "log.txt"), None, "log.txt"))
    assert browser.problems == []
    assert browser.evaluate("byId('map').hidden") is True
    assert "fusion.1" in browser.evaluate("byId('live').textContent")
    assert "model.py:12" in browser.evaluate("byId('sources').textContent")


def test_dark_and_print(browser: Browser, tmp_path: Path) -> None:
    load(browser, tmp_path, made_page())
    try:
        browser.prefer("dark")
        browser.settle()
        chart = where(browser)
        dark = pixels(browser.screenshot(x=chart.left, y=chart.top, width=chart.width, height=chart.height))
        assert near(dark, (0x12, 0x16, 0x1C)) > 10_000
        assert browser.pdf().startswith(b"%PDF")
    finally:
        browser.prefer("light")
    assert browser.problems == []


def test_5000_buffers_without_lag(browser: Browser, tmp_path: Path) -> None:
    data = of_page(*made_up(5000, random.Random(0)), "made-up")
    load(browser, tmp_path, data)
    assert browser.evaluate("PANELS[0].boxes.length") == 5000
    took = """(act) => { const begun = performance.now(); act(); draw();
      chart.canvas.getContext("2d").getImageData(0, 0, 1, 1); return performance.now() - begun; }"""
    assert browser.evaluate(f"({took})(() => search('layers.py:7'))") < LAG_MS
    assert browser.evaluate("chart.found.size") == sum(
        "layers.py:7" in data["texts"][number] for number in data["memories"][0]["buffers"]["source"]
    )
    hovered = f"({took})(() => {{ chart.hover = under(500, TITLE + MAP / 2); showTip(chart.hover, 500, 200); }})"
    assert browser.evaluate(hovered) < LAG_MS
