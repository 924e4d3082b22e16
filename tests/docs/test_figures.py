"""What README and docs show of the rows is what the rows say."""

from __future__ import annotations

import re
from math import log

import pytest

from benchmarks.showing.figures import main
from benchmarks.showing.gains import Gain, gains_of
from benchmarks.showing.picture import picture
from benchmarks.showing.quoted import QUOTE, pages, quotes_of, renewed
from mallocgame.system.errors import BadInputError
from tests.bench.made_rows import row


@pytest.fixture
def gains() -> list[Gain]:
    """Three answers: twice as fast under E and half under M is 'worse'; the others are better and equal."""
    return gains_of(
        [
            row("one", "xla default", target="v5p"),
            row("one", "auto", e=2.0, m=1.0, target="v5p", honoured=9, sites=10),
            row("one", "flag tuning", e=1.0, m=1.0, target="v5p"),
            row("two", "auto", e=1.0, m=1.0, target="v5p", kind="xla default"),
            row("one", "auto", e=4.0, m=0.5, target="v4 lite", honoured=10, sites=10),
            row("three", "msa off", e=3.0, target="v5p"),
        ]
    )


def test_pages_and_picture_are_what_the_rows_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_figures_are_quoted_within_their_lines() -> None:
    """Markdown takes a comment that begins a line of a sentence for a block of its own."""
    texts = [path.read_text(encoding="utf-8") for path in pages()]
    assert any(QUOTE.search(text) for text in texts)
    assert not [text for text in texts if re.search(r"^<!--= [^>]*-->.", text, re.MULTILINE)]


def test_gains_are_the_answers_alone_by_target(gains: list[Gain]) -> None:
    assert [(gain.program, gain.target) for gain in gains] == [("one", "v4 lite"), ("one", "v5p"), ("two", "v5p")]
    assert [(gain.faster_e, gain.faster_m) for gain in gains] == [(4.0, 0.5), (2.0, 1.0), (1.0, 1.0)]


def test_figures_by_name(gains: list[Gain]) -> None:
    quotes = quotes_of(gains)
    assert [quotes[name] for name in ("programs", "better", "equal", "worse")] == ["3", "1", "1", "1"]
    assert (quotes["E"], quotes["v4 lite M"], quotes["v5p E"]) == ("2.000", "0.500", "1.414")
    assert quotes["honoured"] == "95.00 %"
    assert (quotes["tuned programs"], quotes["tuned auto E"], quotes["tuned flags E"]) == ("1", "2.000", "1.000")
    assert quotes["compiles"] == "3"
    assert "| v5p | 2 | 1 | 0 | 1 | 0 | 1.414 (" in quotes["summary"]


def test_a_stale_figure_is_written_anew(gains: list[Gain]) -> None:
    page = "of <!--= programs -->999<!--/--> on <!--= v5p better -->\nold<!--/-->."
    assert renewed(page, quotes_of(gains), "x.md") == (
        "of <!--= programs -->3<!--/--> on <!--= v5p better -->1<!--/-->."
    )


def test_an_unknown_figure_is_refused(gains: list[Gain]) -> None:
    with pytest.raises(BadInputError, match=r"x\.md: there is no figure 'speed'"):
        renewed("<!--= speed -->1<!--/-->", quotes_of(gains), "x.md")


def test_picture_has_a_bar_and_a_dot_for_each_answer(gains: list[Gain]) -> None:
    svg = picture(gains)
    bars = re.findall(r'<rect class="e" x="([\d.]+)" y="\d+" width="([\d.]+)" height="7"><title>', svg)
    dots = re.findall(r'<circle class="m" cx="([\d.]+)" cy="[\d.]+" r="3.2"><title>', svg)
    assert len(bars) == len(dots) == 3
    assert svg.count(">-</text>") == 1, "two has no row on v4 lite"
    column = (960 - 136 - 8) / 2 - 18
    beyond, twice = column * log(3.3) / log(3.3 / 0.95), column * log(2) / log(3.3 / 0.95)
    assert sorted(float(width) for _, width in bars) == pytest.approx([0.6, twice, beyond], abs=0.06)
    assert "http" not in svg.replace('xmlns="http://www.w3.org/2000/svg"', ""), "it loads nothing"
