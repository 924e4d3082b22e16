"""The structure that docs/architecture.md draws: few folders, no circles. What may import what is in pyproject.toml."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mallocgame", "muzero", "workloads", "xla_dump_parser", "benchmarks")


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """For each of our files, as a module, those that it imports: lazily and for its types alone included."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_files_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(reversed(circle.args[1])))


def test_the_walk_sees_every_file_and_lazy_imports(imports: dict[str, set[str]]) -> None:
    files = {path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert len(imports) >= len(files) > 500
    assert "mallocgame.programs.loading" in imports["mallocgame.api.solving"], "inside a function"
    assert "mallocgame.plan.problem_file" in imports["mallocgame.solvers.base"], "under TYPE_CHECKING"
    assert "mallocgame.models.replay" in imports["workloads.generator.known"], "through a package's face"


def test_a_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()


def test_the_house_has_few_rooms() -> None:
    entries = {path.name for path in (ROOT / "mallocgame").iterdir()} - {"__pycache__"}
    assert len(entries) <= 20
    assert {name for name in entries if name.endswith(".py")} == {"__init__.py", "__main__.py"}
    assert "py.typed" in entries


def test_every_folder_is_a_package_that_says_what_it_is() -> None:
    for package in PACKAGES:
        for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
            face = folder / "__init__.py"
            assert face.is_file(), folder
            assert face.read_text().startswith('"""'), face
