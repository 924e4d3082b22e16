"""Markdown and HTML tables of made-up rows."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mallocgame.bench.rows import BenchRow
from mallocgame.bench.tables import html, markdown
from tests.bench.made_rows import failed, program, row

ROWS = [
    row("gpt2", "xla default"),
    row("gpt2", "msa off", 0.8, 0.5),
    row("gpt2", "flag tuning", 1.1, 0.98),
    row("gpt2", "local", 1.21, 1.0),
    row("lstm", "xla default"),
    row("lstm", "msa off", 0.5, 0.8),
    failed("lstm", "local", "the compiler died: a | b <script>x</script>"),
    failed("dead", "xla default", "does not compile"),
]


class Cells(HTMLParser):
    """Texts of the cells of each table row; fails on a tag that is not closed."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            return
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def lines_of(text: str) -> dict[str, list[str]]:
    """Cells of the Markdown lines, by the first two of them, or by the first alone for programs."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells:
            found[" ".join(cells[:2]) if cells[0] in ("v5p", "v4", "all") else cells[0]] = cells
    return found


def test_a_line_has_the_programs_figures() -> None:
    assert lines_of(markdown(ROWS, True))["gpt2"] == [
        "gpt2",
        "1 (0.1)",
        "2 (0)",
        "10.0 / 25.0",
        "0.8000 / 0.5000 worse",
        "1.1000 / 0.9800 better under E, M within 2.5 %, split",
        "1.2100 / 1.0000 better",
        "plan of local, 1.2100 / 1.0000",
        "3, 3",
        "12.5, 12.5",
        "1.50",
    ]


def test_the_summary_has_means_and_counts() -> None:
    found = lines_of(markdown(ROWS, True))
    # Square roots of 0.8 * 0.5 and of 1.21; of two programs the ends of an interval are the programs.
    off = ["v5p", "msa off", "2", "0.6325 [0.5000, 0.8000]", "0.6325 [0.5000, 0.8000]", "0", "0", "0", "2"]
    assert found["v5p msa off"][:9] == off
    answers = ["2", "1.1000 [1.0000, 1.2100]", "1.0000 [1.0000, 1.0000]", "1", "0", "1", "0", "1 / 1 / 0", "0"]
    assert found["v5p answer"][2:] == [*answers, "not told", "not told", "1 plan, 1 xla default"]
    assert found["v5p answer, plans alone"][2] == "1"
    assert found["v5p flag tuning"][6:8] == ["1", "0"]
    assert found["v5p flag tuning"][9:] == ["0 / 0 / 1", "0", "not told", "not told", "1 split"]
    assert found["v5p local"][-4:] == ["1", "not told", "not told", "1 plan"]
    assert "all answer" not in found


def test_several_targets_have_a_line_for_all_of_them() -> None:
    more = [row("gpt2", "xla default", target="v4"), row("gpt2", "local", 1.1, 1.1, target="v4")]
    found = lines_of(markdown([*ROWS, *more], True))
    assert found["v4 local"][2] == "1"
    assert found["all local"][2:4] == ["3", "1.1537 [1.1000, 1.2100]"]


def test_no_cell_is_empty_and_failures_have_their_reason() -> None:
    text = markdown(ROWS, True)
    found = lines_of(text)
    assert found["lstm"][5:7] == ["not run", "failed (1)"]
    assert found["dead"][1:4] == ["failed (2)"] * 3
    assert found["dead"][4:] == ["not run"] * 3 + [
        "none: no figures of XLA's default",
        *["not run, not run"] * 2,
        "not measured",
    ]
    assert "- (1) the compiler died: a \\| b \\<script>x\\</script>\n- (2) does not compile" in text
    assert not [cells for cells in found.values() if "" in cells]
    assert {len(found[name]) for name in ("gpt2", "lstm", "dead")} == {11}
    assert {len(cells) for name, cells in found.items() if name.startswith("v5p ")} == {14}


def test_what_is_closed_of_the_proven_headroom() -> None:
    solved = row("gpt2", "auto", 1.0, 1.25, split_m=2e-3, proven_m=1.2e-3)
    default = row("gpt2", "xla default")
    assert solved.m_seconds == pytest.approx(1.6e-3)
    found = lines_of(markdown([default, solved], True))
    assert "50% closed" in found["gpt2"][4]
    assert found["v5p auto"][-3:-1] == ["50.0% of 1", "50.0% of 1, 25.0%"]
    tried = program("least m", 3e-3, 1.3e-3, "worse")
    other = replace(tried, m_seconds=1.2e-3, scoped_vmem_kib=16384)
    found = lines_of(
        markdown([default, replace(solved, programs=(program("xla default", 1e-3, 2e-3, "equal"), tried, other))], True)
    )
    # The least M at the row's split is 1.3 ms: 0.7 of 0.8 ms closed, the bound 0.1 ms of 1.3 ms below it.
    assert found["v5p auto"][-3:-1] == ["50.0% of 1", "87.5% of 1, 7.7%"]
    little = replace(solved, proven_m=1.981e-3)
    assert "closed" not in lines_of(markdown([default, little], True))["gpt2"][4]


def test_what_each_part_contributes() -> None:
    programs = (
        program("xla default", 1e-3, 2e-3, "equal"),
        program("splits", 0.625e-3, 2e-3, "better"),
        program("plans", 0.5e-3, 1.6e-3, "better"),
        program("plans", 0.25e-3, 2.5e-3, "worse"),
    )
    rows = [
        row("gpt2", "auto", 2.0, 1.25, programs=programs, proposer="plans", compiles=3),
        row("lstm", "auto", 1.0, 1.0, kind="xla default", programs=programs[:1], proposer="xla default", compiles=0),
    ]
    found = lines_of(markdown(rows, True))
    # Two programs: the ends of an interval are the programs, the mean is the square root.
    assert found["all parts"][1:4] == ["2", "3", "1.4142 [1.0000, 2.0000]"]
    assert found["without plans"][1:] == ["1", "2", "1.2649 [1.0000, 1.6000]", "1.0000 [1.0000, 1.0000]", "1"]
    assert found["without splits"][1:4] == ["0", "1", "1.4142 [1.0000, 2.0000]"]


def test_facts_and_partial_tables() -> None:
    partial = markdown(ROWS, False)
    assert partial.splitlines()[2] == "- PARTIAL: not all that was asked for has been run."
    assert "PARTIAL" not in markdown(ROWS, True)
    assert "- 8 rows, 2 of them without figures" in partial
    assert "- Versions: jax 0.10.2, jaxlib 0.10.2, libtpu 0.0.52, mallocgame 0.1.0, python 3.11.7" in partial
    assert "- flag tuning: compiles 6" in partial
    assert re.search(r"Table made \d{4}-\d\d-\d\d on a machine of \d+ cores and \d+\.\d GiB of memory", partial)
    assert "PARTIAL" in html(ROWS, False)


def test_seeds_have_lines_of_their_own() -> None:
    other = [row("gpt2", "xla default", seed=1), row("gpt2", "local", 1.5, 1.5, seed=1)]
    found = lines_of(markdown([*ROWS, *other], True))
    assert found["gpt2, seed 0"][6] == "1.2100 / 1.0000 better"
    assert found["gpt2, seed 1"][6] == "1.5000 / 1.5000 better"


def test_what_does_not_fit_says_so() -> None:
    rows = [row("a", "xla default"), row("a", "local", 2.0, 2.0, fits=False, verdict="worse")]
    assert lines_of(markdown(rows, True))["a"][4] == "2.0000 / 2.0000 worse, does not fit"


def test_defaults_and_msa_off_alone_need_no_columns_of_costs() -> None:
    cells = lines_of(markdown(ROWS[:2], True))["gpt2"]
    assert cells[4:] == ["0.8000 / 0.5000 worse", "xla default, 1.0000 / 1.0000"]


def test_html_is_whole_and_says_the_same() -> None:
    document = html(ROWS, True)
    parser = Cells(document)
    assert parser.tags == []
    cells = {cells[0]: cells for cells in parser.rows}
    expected = lines_of(markdown(ROWS, True))
    for name in ("gpt2", "lstm", "dead"):
        assert cells[name] == expected[name]
    assert "<script>x" not in document
    assert document.count("<script>") == 1
    assert not re.search(r"(?:src|href)=|https?:|url\(", document)


def test_no_rows_yet() -> None:
    rows: list[BenchRow] = []
    assert "PARTIAL" in markdown(rows, False)
    assert Cells(html(rows, False)).rows == []
