"""The site: it builds strictly, loads nothing from elsewhere, and its page of results shows what the rows say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.showing.gains import Gain, read_gains
from benchmarks.showing.stories import stories
from benchmarks.speed.chromium import Browser
from tests.report.browsing import IN_CHROMIUM

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?P<src>[^\"' >]+)|<link[^>]+href=[\"']?(?P<href>[^\"' >]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built into an empty folder."""
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def gains() -> list[Gain]:
    return read_gains()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = [found["src"] or found["href"] for found in LOADED.finditer(page.read_text(encoding="utf-8"))]
        assert not [one for one in loaded if one.startswith(("http:", "https:", "//"))], page
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not [style for style in styles if re.search(r"(url\(|@import )[\"']?(https?:)?//", style)]


def test_every_drawing_of_ours_is_part_of_its_page(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    assert home.count('<svg class="mg ') == 2
    assert (site / "game.html").read_text(encoding="utf-8").count('<svg class="mg mg-game"') == 1


def test_a_story_is_its_row(gains: list[Gain]) -> None:
    told = stories(gains)
    assert len(told) == len(gains)
    for gain, story in zip(gains, told, strict=True):
        assert (story["program"], story["target"]) == (gain.program, gain.target)
        assert story["default"][0] / story["answer"][0] == pytest.approx(story["faster"][0])
        assert story["replay"].endswith(f"rows.jsonl:{gain.line}")
    reference = told[0]["replay"].split()[-1]
    path, line = reference.split(":")
    row = json.loads((ROOT / path).read_text(encoding="utf-8").splitlines()[int(line) - 1])
    assert (row["workload"], row["method"]) == (told[0]["program"], "auto")


class TestInChromium:
    """The page of results as a reader has it."""

    pytestmark = IN_CHROMIUM

    @pytest.fixture
    def browser(self, site: Path) -> Iterator[Browser]:
        with Browser() as browser:
            browser.open(site / "results.html")
            browser.settle()
            yield browser
            assert browser.problems == []

    def shown(self, browser: Browser) -> list[str]:
        """Ids of the rows."""
        script = "[...document.querySelectorAll('.mg-results tbody > tr[id]')].map(row => row.id)"
        found: list[str] = browser.evaluate(script)
        return found

    def test_filters_and_sorting(self, browser: Browser, gains: list[Gain]) -> None:
        assert len(self.shown(browser)) == len(gains)
        by_e = sorted(gains, key=lambda gain: -(gain.faster_e or 0))
        assert self.shown(browser)[0] == f"{by_e[0].program}-{by_e[0].target.replace(' ', '')}"
        target = by_e[0].target
        browser.evaluate(
            "(() => { const chosen = document.querySelector('.mg-results select[name=target]');"
            f" chosen.value = {json.dumps(target)}; chosen.onchange(); }})()"
        )
        assert len(self.shown(browser)) == sum(gain.target == target for gain in gains)
        assert browser.evaluate("document.querySelector('.mg-results output').value") == (
            f"{len(self.shown(browser))} of {len(gains)}"
        )

    def test_a_story_opens_and_closes(self, browser: Browser, gains: list[Gain]) -> None:
        (first, *_) = self.shown(browser)
        click = f"document.getElementById({json.dumps(first)}).querySelector('button').click()"
        browser.evaluate(click)
        story = browser.evaluate("document.querySelector('.mg-results tr.story').textContent")
        gain = next(gain for gain in gains if f"{gain.program}-{gain.target.replace(' ', '')}" == first)
        assert "relaxed bound" in story
        assert f"honoured {gain.row.honoured}/{gain.row.sites}" in story
        assert f"rows.jsonl:{gain.line}" in story
        browser.evaluate(click)
        assert browser.evaluate("document.querySelector('.mg-results tr.story')") is None
