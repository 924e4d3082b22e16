"""What a release is made of: the source archive, the wheel that is built from it, and one version everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of ``python -m build`` by suffix: the wheel is built from the archive, as in a release."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.suffix: path for path in folder.iterdir()}


def version() -> str:
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return found


def test_one_version_everywhere() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == version()
    assert re.findall(r"^version: (\S+)$", cited, re.MULTILINE) == [version()]


def test_the_archive_has_what_the_wheel_is_built_from(built: dict[str, Path]) -> None:
    with tarfile.open(built[".gz"]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "docs/gains.svg"} <= names
    wheel = set(zipfile.ZipFile(built[".whl"]).namelist())
    for package in ("mallocgame", "muzero", "workloads", "xla_dump_parser"):
        here = {
            str(path.relative_to(ROOT))
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert here <= names
        assert here == {name for name in wheel if name.startswith(f"{package}/")}


def test_the_wheel_of_the_archive_runs(built: dict[str, Path], tmp_path: Path) -> None:
    script = "import mallocgame, mallocgame.cli; print(mallocgame.__version__, mallocgame.__file__)"
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(built[".whl"])], check=True)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(target)!r}); {script}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found, place = done.stdout.split()
    assert found == version()
    assert Path(place).is_relative_to(target)
