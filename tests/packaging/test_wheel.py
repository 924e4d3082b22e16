"""The wheel in an environment of its own, away from the clone."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from workloads.catalogue import BENCHMARK

ROOT = Path(__file__).parents[2]
PACKAGES = ("mallocgame", "muzero", "workloads", "xla_dump_parser")
Run = Callable[..., str]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what is in the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), "."]
    subprocess.run(command, cwd=ROOT, check=True)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what else it needs is found where the tests have it, and the clone is not."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (own,) = (folder / "lib").glob("python*/site-packages")
    (own / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")  # their .pth files are not read
    return python


@pytest.fixture
def run(python: Path, tmp_path: Path) -> Run:
    """A program of the environment, run in an empty folder; what it prints."""

    def call(name: str, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(python.parent / name), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_the_wheel_has_what_is_needed_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {
        "muzero/data/agent.mga",
        "workloads/problems/index.json",
        "mallocgame/report/page/chart.js",
        "mallocgame/report/page/plan/main.js",
        "mallocgame/report/page/memory/main.html",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "docs/"))]
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert "Classifier: Typing :: Typed" in text
    assert "Keywords: " in text


def test_it_is_the_wheel_that_runs(run: Run, python: Path) -> None:
    place = run("python", "-c", "import mallocgame; print(mallocgame.__file__)")
    assert Path(place.strip()).is_relative_to(python.parents[1])
    assert "capture" in run("mallocgame", "--help")
    listed = json.loads(run("mallocgame", "bench", "--list", "--json"))
    assert len(listed["workloads"]) == len(BENCHMARK)


def test_solve_on_a_text(run: Run, tmp_path: Path) -> None:
    text = ROOT / "tests" / "models" / "replay" / "data" / "mlp_before_msa.txt.gz"
    shutil.copy(text, tmp_path / "mlp.txt.gz")
    command = ("solve", "mlp.txt.gz", "--target", "v5e", "--solver", "greedy", "--out", "plan.json", "--json")
    solved = json.loads(run("mallocgame", *command))
    assert solved["validated"]
    assert (tmp_path / "plan.json").is_file()
    assert "xla_tpu_msa_tensor_overrides" in run("mallocgame", "export", "plan.json")


def test_types_are_seen_by_those_who_import_it(python: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text("import mallocgame\n\nnumber: int = mallocgame.__version__\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", str(python), "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*command, "user.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 'expression has type "str", variable has type "int"' in done.stdout, done.stdout
    assert "py.typed" not in done.stdout, "no complaint that there are no types"


@pytest.mark.libtpu
def test_the_one_liner(run: Run, tmp_path: Path) -> None:
    script = """
import jax, jax.numpy as jnp, mallocgame
lowered = jax.jit(lambda x, w: jnp.tanh(x @ w)).lower(
    *mallocgame.abstract("v5e", *[jax.ShapeDtypeStruct((256, 256), jnp.bfloat16)] * 2))
plan = mallocgame.optimize(lowered, time_limit=2, compiles=1, cache="cache")
print(plan.verdict, plan.confirmed, sorted(plan.versions))
"""
    (tmp_path / "script.py").write_text(script)
    word, confirmed, *_ = run("python", "script.py").split()
    assert word in ("better", "equal")
    assert confirmed == "True"
