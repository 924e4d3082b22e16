"""The page in a real browser: it loads, draws, hovers, zooms, searches, prints, and writes nothing to the console."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed.chromium import Browser
from mallocgame.report.comparison import Comparison
from mallocgame.report.explanation import of_comparison
from mallocgame.report.page import to_html
from mallocgame.report.page_data import of_page
from tests.report.browsing import IN_CHROMIUM, Chart, near, pixels, where
from tests.report.browsing import show as show_page
from tests.report.made import predicted, small

pytestmark = IN_CHROMIUM


def page_data(comparison: Comparison) -> dict[str, Any]:
    return of_page(comparison, of_comparison(comparison), "plan.json")


def show(browser: Browser, folder: Path, data: dict[str, Any]) -> Chart:
    """Load the page of ``data`` and scroll to its chart."""
    return show_page(browser, folder, to_html(data, "plan"))


def centre(browser: Browser, number: int, box: int) -> tuple[float, float]:
    """Where the middle of a side's box is in the window."""
    script = f"""(() => {{
      const box = SIDES[{number}].boxes[{box}], at = places(SIDES[{number}]);
      return [across((at[box.start] + at[box.end + 1]) / 2), up({number}, box.offset + box.size / 2)];
    }})()"""
    chart = where(browser)
    x, y = browser.evaluate(script)
    return chart.left + x, chart.top + y


def test_it_loads_and_draws(browser: Browser, tmp_path: Path) -> None:
    chart = show(browser, tmp_path, page_data(predicted()))
    assert browser.problems == []
    assert browser.evaluate("document.querySelectorAll('.card').length") == 3
    assert "predicted" in browser.evaluate("byId('status').textContent")
    picture = pixels(browser.screenshot(x=chart.left, y=chart.top, width=chart.width, height=chart.height))
    assert near(picture, (0x3F, 0x7F, 0xBF)) > 1000  # written
    assert near(picture, (0x93, 0xA1, 0xB3)) > 1000  # HBM in use
    assert near(picture, (255, 255, 255)) > 10_000


@pytest.mark.parametrize("number", [0, 1])
def test_hovering_tells_the_tensor(browser: Browser, tmp_path: Path, number: int) -> None:
    data = page_data(predicted())
    show(browser, tmp_path, data)
    stays = data["sides"][number]["stays"]
    largest = max(
        range(len(stays["size"])), key=lambda box: stays["size"][box] * (stays["end"][box] - stays["start"][box])
    )
    browser.mouse("mouseMoved", *centre(browser, number, largest))
    assert browser.evaluate("byId('tip').hidden") is False
    tensor = stays["tensor"][largest]
    name = data["instructions"]["name"][data["tensors"]["time"][tensor]] + data["tensors"]["index"].get(str(tensor), "")
    assert browser.evaluate("byId('tip').querySelector('b').textContent") == name
    text = browser.evaluate("byId('tip').textContent")
    assert data["sides"][number]["name"] in text
    assert "MiB" in text or "KiB" in text
    browser.mouse("mouseMoved", 5, 5)
    assert browser.evaluate("byId('tip').hidden") is True


def test_hovering_over_the_bandwidth_tells_the_instruction(browser: Browser, tmp_path: Path) -> None:
    chart = show(browser, tmp_path, page_data(small()))
    x, y = browser.evaluate("[across((ORDER[2] + ORDER[3]) / 2), panelTop(1) + TITLE + MAP + GAP + BANDWIDTH / 2]")
    browser.mouse("mouseMoved", chart.left + x, chart.top + y)
    text = browser.evaluate("byId('tip').textContent")
    assert text.startswith("a")  # the third instruction: 10 s, 6 of them for its own bytes, 4 for a copy
    assert "60 % for its own bytes, 40 % for copies" in text
    assert "10 s under E" in text


def test_zooming_with_wheel_keys_and_buttons(browser: Browser, tmp_path: Path) -> None:
    chart = show(browser, tmp_path, page_data(predicted()))
    view = "[chart.x0, chart.x1, chart.y0, chart.y1]"
    whole = browser.evaluate(view)
    x, y = chart.left + chart.width / 2, chart.top + 150
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
    assert browser.evaluate(view) == whole  # the page scrolls, until the map has the focus
    chart = where(browser)
    y = chart.top + 150
    browser.evaluate("byId('chart').focus({preventScroll: true})")
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
    zoomed = browser.evaluate(view)
    assert whole[0] < zoomed[0] < zoomed[1] < whole[1]
    assert zoomed[2:] == whole[2:]
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120, modifiers=8)
    assert browser.evaluate(view)[3] - browser.evaluate(view)[2] < whole[3] - whole[2]
    browser.key("0", "0")
    assert browser.evaluate(view) == whole
    for key in ("+", "ArrowRight", "]", "ArrowUp"):
        before = browser.evaluate(view)
        browser.key(key)
        assert browser.evaluate(view) != before, key
    browser.evaluate("byId('zoom-reset').click()")
    browser.evaluate("byId('zoom-in').click()")
    browser.settle()
    x0, x1, *_ = browser.evaluate(view)
    assert x1 - x0 == pytest.approx(max(4, (whole[1] - whole[0]) / 2))  # no less than four instructions
    browser.mouse("mousePressed", x, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", x + 100, y, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 100, y, button="left", clickCount=1)
    assert browser.evaluate("chart.x0") < x0
    assert browser.problems == []


def test_searching(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, page_data(small()))
    browser.evaluate("byId('search').focus()")
    browser.type("W")
    assert browser.evaluate("byId('found').textContent") == "1 stay; Enter goes through them"
    browser.key("Enter", "\r")
    assert browser.evaluate("byId('found').textContent") == "1 of 1"
    assert browser.evaluate("byId('picked').querySelector('b').textContent") == "w"
    browser.type("zzz")
    assert browser.evaluate("byId('found').textContent") == "not in these maps"
    browser.key("Escape")
    assert browser.evaluate("[byId('search').value, byId('found').textContent, byId('picked').textContent]") == [
        "",
        "",
        "",
    ]


def test_keys_go_through_the_buffers(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, page_data(small()))
    browser.evaluate("byId('chart').focus({preventScroll: true})")
    seen = []
    for key in ("Enter", "Enter", "Enter", "Backspace"):
        browser.key(key)
        seen.append(
            browser.evaluate("[chart.picked.name, chart.picked.kind, byId('picked').textContent.includes('size')]")
        )
    flight, landed, written = ["w", 2, True], ["w", 1, True], ["b", 0, True]
    assert seen == [flight, landed, written, landed]
    assert "Everything in HBM: 0 stays" in browser.evaluate("byId('chart').ariaLabel")
    browser.key("Escape")
    assert browser.evaluate("chart.picked") is None
    browser.key("Tab")
    assert browser.evaluate("document.activeElement.id") != "chart"


def test_axes_and_models(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, page_data(small()))
    assert browser.evaluate("wholeWidth()") == 3  # instructions that take time
    browser.evaluate("document.querySelector('input[value=time]').click()")
    browser.evaluate("document.querySelector('input[value=M]').click()")
    browser.settle()
    assert browser.evaluate("wholeWidth()") == 63e12  # the slower side
    assert "Under M" in browser.evaluate("byId('instructions').textContent")
    assert browser.evaluate("places(SIDES[1])[COUNT]") == pytest.approx(45.3e12)
    assert browser.problems == []


def test_the_tables_sort_and_filter(browser: Browser, tmp_path: Path) -> None:
    data = page_data(predicted())
    show(browser, tmp_path, data)
    column = "[...document.querySelectorAll('#gains tbody tr')].map(row => row.cells[{}].textContent)"
    by_gain = browser.evaluate(column.format(0))
    assert by_gain
    browser.evaluate("document.querySelector('#gains th button').click()")
    by_name = browser.evaluate(column.format(0))
    assert by_name == browser.evaluate(f"{json.dumps(by_gain)}.sort((a, b) => a.localeCompare(b))")
    assert browser.evaluate("document.querySelector('#gains th').ariaSort") == "ascending"
    browser.evaluate("document.querySelector('#instructions input').focus()")
    browser.type(by_name[0])
    assert browser.evaluate(column.format(0))[0] == by_name[0]
    browser.evaluate("byId('stays').open = true")
    rows = browser.evaluate("document.querySelectorAll('#stays tbody tr').length")
    assert rows == min(40, sum(len(side["stays"]["kind"]) for side in data["sides"]))


def test_names_made_to_inject_do_nothing(browser: Browser, tmp_path: Path) -> None:
    data = page_data(predicted())
    nasty = "<img src=x onerror='window.hit=1'></script><script>window.hit=1</script>"
    data["title"] = data["about"] = data["options"] = nasty
    names = data["instructions"]["name"]
    data["instructions"]["name"] = [f"{nasty}{number}" for number in range(len(names))]
    data["words"] = [[nasty, [nasty, f"- {nasty}"]]]
    data["notes"] = [nasty]
    show(browser, tmp_path, data)
    browser.mouse("mouseMoved", *centre(browser, 1, 0))
    browser.evaluate("byId('chart').focus({preventScroll: true})")
    browser.key("Enter")
    assert browser.evaluate("window.hit") is None
    assert browser.evaluate("document.images.length") == 0
    assert browser.evaluate("byId('title').textContent") == nasty
    assert browser.problems == []


def test_dark_and_print(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, page_data(predicted()))
    try:
        browser.prefer("dark")
        browser.settle()
        chart = where(browser)
        dark = pixels(browser.screenshot(x=chart.left, y=chart.top, width=chart.width, height=chart.height))
        assert near(dark, (0x12, 0x16, 0x1C)) > 10_000
        assert near(dark, (255, 255, 255)) < 1000
        assert browser.pdf().startswith(b"%PDF")
        browser.settle()
        assert browser.evaluate("document.documentElement.className") == ""
    finally:
        browser.prefer("light")
    assert browser.problems == []


def test_an_empty_program_has_a_page(browser: Browser, tmp_path: Path) -> None:
    data = page_data(small())
    for side in data["sides"]:
        side["stays"] = {name: [] for name in side["stays"]}
        side["models"] = {model: {name: [0] * 5 for name in line} for model, line in side["models"].items()}
    data["instructions"]["free"] = [1] * 5
    show(browser, tmp_path, data)
    assert browser.problems == []
    assert "No instruction has another time." in browser.evaluate("byId('instructions').textContent")
    assert "Nothing is in fast memory." in browser.evaluate("byId('stays').textContent")
