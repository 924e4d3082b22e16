"""Commands on a disk that is full or read-only: one line, the old file as it was, nothing left beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import program as program
from tests.cli.conftest import run as run
from tests.cli.support import Outcome
from tests.faults.disks import NoDiskError, disk, fill, make_read_only
from tests.faults.sources import ROOT

Run = Callable[..., Outcome]
PROBLEMS = ROOT / "workloads" / "problems"
HEAT = PROBLEMS / "heat-v4.mgp"
CONFIG = ROOT / "muzero" / "configs" / "tiny.toml"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        with disk(folder):
            yield folder
    except NoDiskError:
        pytest.skip("only root may mount")


COMMANDS = {
    "solve": ("solve", HEAT, "--time-limit", "0.2", "--out", "OUT"),
    "auto": ("solve", HEAT, "--solver", "auto", "--time-limit", "0.2", "--cache", "ELSEWHERE", "--out", "OUT"),
    "several": ("solve", PROBLEMS / "heat-v4*.mgp", "--time-limit", "0.2", "--out", "FOLDER"),
    "pack": ("pack", "CSV", "--out", "OUT"),
    "train": ("train", CONFIG, "--out", "FOLDER"),
}


def _tokens(name: str, small: Path, elsewhere: Path) -> list[str]:
    csv = elsewhere / "buffers.csv"
    csv.write_text("id,lower,upper,size\n" + "".join(f"b{number},0,9,4\n" for number in range(99)))
    places = {"OUT": small / "out", "FOLDER": small / "folder", "ELSEWHERE": elsewhere / "cache", "CSV": csv}
    return [str(places.get(str(token), token)) for token in COMMANDS[name]]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("harm", [fill, make_read_only], ids=["full", "read-only"])
def test_commands(run: Run, small: Path, tmp_path: Path, name: str, harm: Callable[[Path], None]) -> None:
    (small / "out").write_bytes(b"old")
    harm(small)
    before = sorted(path.name for path in small.iterdir())
    outcome = run(*_tokens(name, small, tmp_path))
    assert outcome.code in (2, 3, 5)
    assert "unexpected" not in outcome.error
    assert "cannot be" in outcome.error
    assert (small / "out").read_bytes() == b"old"
    left = sorted(path.name for path in small.iterdir())
    assert [entry for entry in left if entry != "folder"] == before
    assert not list(small.glob("folder/*.json")) + list(small.glob("**/*.tmp"))


def test_standard_output_on_a_full_disk(program: Path) -> None:
    command = [sys.executable, "-m", "mallocgame", "inspect", str(program), "--target", "v5e"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (5, "mallocgame: error: the output: No space left on device\n")


def test_no_home_and_a_package_on_a_read_only_disk(tmp_path: Path) -> None:
    """Native code is kept beside the package or in the home; where neither can be written, it is made anew."""
    site = tmp_path / "site"
    site.mkdir()
    try:
        with disk(site, 16 << 10):
            for package in ("mallocgame", "xla_dump_parser", "workloads"):
                ignored = shutil.ignore_patterns("__pycache__", "*.mgp")
                shutil.copytree(ROOT / package, site / package, ignore=ignored)
            make_read_only(site)
            environment = {**os.environ, "PYTHONPATH": str(site), "HOME": "/dev/null", "NUMBA_CACHE_DIR": ""}
            environment.pop("XDG_CACHE_HOME", None)
            code = (
                "import mallocgame.solvers.annealing.replay, mallocgame.packing as p; p.compile_native();"
                "print(mallocgame.__file__)"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], env=environment, cwd=site, capture_output=True, text=True, check=False
            )
    except NoDiskError:
        pytest.skip("only root may mount")
    assert (done.returncode, done.stdout) == (0, f"{site / 'mallocgame' / '__init__.py'}\n"), done.stderr
