"""Which programs a folder or a glob stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.batch import find_programs, is_batch
from mallocgame.system.errors import BadInputError

SCHEDULE = "module_0001.jit_f.cl_1.after_optimizations_before_buffer_assignment.txt"


def _touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def _names(file: object) -> list[str]:
    return [program.name for program in find_programs(str(file))]


def test_a_folder_stands_for_its_programs_and_dump_folders(tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in ("b.mgp", "a.mgz", "c.hlo", "d.hlo.gz", "notes.txt", ".hidden.mgp")))
    _touch(tmp_path / "dump" / SCHEDULE, tmp_path / "more" / "e.mgp")
    assert is_batch(tmp_path)
    assert _names(tmp_path) == ["a.mgz", "b.mgp", "c.hlo", "d.hlo.gz", "dump"]


@pytest.mark.parametrize("name", [SCHEDULE, f"{SCHEDULE}.gz", "notes.txt"])
def test_a_dump_folder_and_a_folder_without_programs_are_one(tmp_path: Path, name: str) -> None:
    _touch(tmp_path / name)
    assert not is_batch(tmp_path)


def test_a_dump_folder_with_a_capture_beside_the_schedule_stays_one(tmp_path: Path) -> None:
    _touch(tmp_path / SCHEDULE, tmp_path / "a.mgz")
    assert not is_batch(tmp_path)


def test_a_glob_stands_for_all_that_it_matches(tmp_path: Path) -> None:
    _touch(tmp_path / "x" / "one.txt", tmp_path / "y" / "one.txt", tmp_path / "y" / "two.txt")
    _touch(tmp_path / "z.txt" / SCHEDULE, tmp_path / "w.txt" / "nothing")
    assert is_batch(tmp_path / "*" / "one.txt")
    assert _names(tmp_path / "*" / "one.txt") == ["x/one.txt", "y/one.txt"]
    assert _names(tmp_path / "**" / "*.txt") == ["x/one.txt", "y/one.txt", "y/two.txt", "z.txt", f"z.txt/{SCHEDULE}"]
    assert _names(tmp_path / "y" / "t*") == ["two.txt"]


def test_a_path_with_signs_of_a_glob_is_a_path(tmp_path: Path) -> None:
    _touch(tmp_path / "a[1].txt")
    assert not is_batch(tmp_path / "a[1].txt")
    assert not is_batch(tmp_path / "nowhere.txt")


def test_a_glob_that_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"\*\.mgz: matches no file and no dump folder"):
        find_programs(tmp_path / "*.mgz")


def test_names_are_printable(tmp_path: Path) -> None:
    _touch(tmp_path / "a\nb\x1b[31m.mgp")
    assert _names(tmp_path) == [r"a\nb\x1b[31m.mgp"]
