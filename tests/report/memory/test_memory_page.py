"""The data of the memory page, of the program that is placed by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mallocgame.report.memory import MemoryUse, memory_use, use_of_message
from mallocgame.report.memory.page_data import of_page
from mallocgame.report.page import to_html
from tests.cli.test_memory import MESSAGE
from tests.report.memory.made import placed
from tests.report.memory.test_course import made_courses
from tests.report.reading import check_self_contained, read
from tests.report.test_page import NASTY


def made_page(use: MemoryUse | None = None) -> dict[str, Any]:
    return of_page(use or memory_use(placed()), made_courses(), "made.txt")


def too_large() -> MemoryUse:
    """The program on a device with 400,000 bytes."""
    use = memory_use(placed())
    return replace(use, spaces=(replace(use.spaces[0], capacity=400_000),))


def test_the_page_needs_nothing_else() -> None:
    page = to_html(made_page(), "memory")
    check_self_contained(page)
    assert json.loads(read(page).texts["script"][0])["title"] == "Memory of made"


def test_buffers() -> None:
    data = made_page()
    (memory,) = data["memories"]
    buffers, peak = memory["buffers"], memory["peak"]
    assert buffers["name"] == ["s", "x", "t", "a", "b", "c"]
    assert [data["kinds"][kind] for kind in buffers["kind"]] == [
        "aliased",
        "argument",
        "output",
        "temporary",
        "temporary",
        "temporary",
    ]
    assert (buffers["size"][4], buffers["plain_size"][4], buffers["offset"][4]) == (524288, 8192, 8704 + 8192)
    assert (buffers["start"], buffers["end"]) == ([0, 0, 0, 2, 3, 4], [6, 6, 6, 4, 4, 5])
    assert data["texts"][buffers["source"][4]] == "step.py:4"
    assert data["texts"][buffers["shape"][4]] == "f32[1024,2]{1,0:T(8,128)}"
    assert {len(column) for column in buffers.values()} == {6}
    assert (peak["time"], peak["live"], peak["rest"]) == (4, 541184, 8192)
    assert [buffers["name"][number] for number in peak["buffers"]] == ["b", "a", "c", "s", "x", "t"]
    assert sum(peak["sizes"]) == peak["live"] == max(memory["live"])


def test_status_and_findings() -> None:
    data = made_page()
    assert (data["confirmed"], data["status"]) == (True, "fits in each memory whose capacity is known")
    assert [title for title, _ in data["words"]] == ["Padding", "Largest"]
    over = made_page(too_large())
    assert (over["confirmed"], over["status"]) == (False, "does not fit: HBM: 145.9 KiB too much")


def test_a_message_has_a_page_without_a_map() -> None:
    data = of_page(use_of_message(MESSAGE, "log.txt"), None, "log.txt")
    (memory,) = data["memories"]
    assert (memory["live"], memory["buffers"]["start"], memory["buffers"]["offset"]) == (None, [None], [None])
    check_self_contained(to_html(data, "memory"))


@pytest.mark.parametrize("name", NASTY)
def test_names_made_to_inject_stay_text(name: str) -> None:
    plain, data = read(to_html(made_page(), "memory")), made_page()
    data["title"] = data["texts"][0] = data["instructions"][0] = data["memories"][0]["buffers"]["name"][0] = name
    nasty = read(to_html(data, "memory"))
    assert nasty.tags == plain.tags
    assert json.loads(nasty.texts["script"][0]) == data
    assert nasty.texts["script"][1:] == plain.texts["script"][1:]
