"""Plans and answers that 83db586 wrote, and older plan files: they are read, hold, and give the same options."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import pytest

import mallocgame
from mallocgame import api
from mallocgame.api import ExportFormat
from mallocgame.compiler.capture_file import load_capture
from mallocgame.models.replay import replay_plan
from mallocgame.optimizer.answer import Estimate, load_optimized
from mallocgame.packing.csv_file import read_csv, write_csv
from mallocgame.packing.validate import validate as validate_packing
from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.options_file import ProgramOptions, save_options
from mallocgame.plan.plan import Copy, Stay
from mallocgame.plan.plan_file import check_plan, load_plan, save_plan
from mallocgame.plan.validate import validate

DATA = Path(__file__).with_name("data")


@dataclass(frozen=True)
class Known:
    """What 83db586 said of a plan file.

    Attributes:
        name: of the file.
        capture: of the program that it is for.
        solver: that made it, and its seed.
        seconds: under M.
        counts: stays, copies, uses in fast memory.
        exported: SHA-256 of the compiler options, the flags of LIBTPU_INIT_ARGS, the Python text, the file of
            flags, and the buffers as CSV.
        order: of allocation.
        reach: of the plan.
        version: of the file's format.
    """

    name: str
    capture: str
    solver: tuple[str, int]
    seconds: float
    counts: tuple[int, int, int]
    exported: tuple[str, str, str, str, str]
    order: tuple[int, ...] = ()
    reach: float | None = None
    version: int = 3


OLDER = (
    "87312b9e3bcffac3440dae562c4a25991806d5924da07eaadc2ee9bc1ce6a639",
    "0a2f080b736730caeda6008b55e3e52aa242fe0b962fcec8ad15754602117dc7",
    "ef336c77fe257f062bf6b7ed43cf4e0216ffd0d65bc54c5e85782d15bbc278c4",
    "fb3a05a1e57a8583b8c5d6b7ecc983dbaaa34220e73621070c732b311c57c128",
    "33d2f87da700ed46bf44e255826b30d3de1e39c66ddacc184162068cd2f89b26",
)
"""Of the same plan in both older versions."""

PLANS = (
    Known(
        name="plan-local.json",
        capture="tiny.mgz",
        solver=("local", 3),
        seconds=0.0002625939552471261,
        counts=(10, 5, 10),
        exported=(
            "91c797d59bbc13e5a8f4d8e6a64f584dbf2e10e0f3273ece7e17c4945a2743b3",
            "3d9be2cc014fd63c1562f32b11e91cf404c455921deb8055128f4d35235bf37c",
            "427c40f53c4200633690c1832bfe22a632ca0446978fff8e913a0320dbad7557",
            "5c75ec469f7055f156a20c28dc6618eaff604c691b4e3fe7ce91d09555c40768",
            "d044e73e675d1f54dd66dff7244bf8d6e573b330fe2184f59d8bc00278e1023f",
        ),
    ),
    Known(
        name="plan-local-scan.json",
        capture="tiny-scan.mgz",
        solver=("local", 3),
        seconds=6.163425926642128e-05,
        counts=(7, 1, 6),
        exported=(
            "6ecb219a2d4e9b1e18bc7b28608c6483caa379ea5198d7e88a5db5e74ff5b8c2",
            "b8cdcea1a0278c15c9bee0358a6f616b29b206a720475d5e9a2098166ae75176",
            "0ceca08e757d4666a1847edddb55731c8790c1e56fbae648ccb991017f254f3e",
            "d74c217de0e3a838fb19e2ac32433825c4855e7fcb8e262a93b72d5d5333756b",
            "bcb79f55d1c093bfd6bf3b773ed54ef3aa367735e77d099fff09cdde09a9bcd3",
        ),
    ),
    Known(
        name="plan-reach.json",
        capture="tiny-scan.mgz",
        solver=("local", 3),
        seconds=6.163425926642128e-05,
        counts=(7, 1, 6),
        exported=(
            "252684d709d0213702c85095aa10ac2cfa26a53cf2a62b46df83d2bfc9051c80",
            "36469d810bf4beb99a361207502f4784b9058d55c6ebbdcefb7707c91c86f9a7",
            "613976b1cb8afce50ef849ddda085f508a8618832c2860ec0bf07c8f538fb619",
            "f0d79ae3a0dddde170d240976014f1e258a6e0f333f5afa21a85a4c9405da919",
            "bcb79f55d1c093bfd6bf3b773ed54ef3aa367735e77d099fff09cdde09a9bcd3",
        ),
        reach=0.01,
    ),
    Known(
        name="plan-auto.json",
        capture="tiny.mgz",
        solver=("auto", 0),
        seconds=0.0002625939552471261,
        counts=(9, 5, 9),
        exported=(
            "a0b47be0011f1516a12f4198b8355aad6147c5d1cfea2d2e36b5847e2fdd5bd1",
            "771822e0dbe14320256e978a43c7dd8940041386a7b86aa3122e35d3c6a2d48d",
            "b0f2bfb7756ad1f8f8c554d6ce15cf77f43596e02637d2a491c36b129544077f",
            "068fca4d4cf74da95a11dc0db37391487d81e9dbe5dd40296c8754bc8a365911",
            "b75189d978193876184de0d7034e358dfb81a077459dbc5fb4643b4cb8a1b367",
        ),
        order=(6, 8, 0, 10, 7, 1, 4, 2, 3),
    ),
    Known(
        name="plan-version-2.json",
        capture="tiny.mgz",
        solver=("greedy", 0),
        seconds=0.0002625939552471261,
        counts=(4, 1, 4),
        exported=OLDER,
        version=2,
    ),
    Known(
        name="plan-version-1.json",
        capture="tiny.mgz",
        solver=("greedy", 0),
        seconds=0.0002625939552471261,
        counts=(4, 1, 4),
        exported=OLDER,
        version=1,
    ),
)


def exported(path: Path) -> tuple[str, ...]:
    """Digests of a file in every format of export."""
    return tuple(hashlib.sha256(api.export(path, name).encode()).hexdigest() for name in get_args(ExportFormat))


@pytest.mark.parametrize("known", PLANS, ids=lambda known: known.name)
def test_a_plan_is_read_and_holds(known: Known) -> None:
    named = load_plan(DATA / known.name)
    problem = load_capture(DATA / known.capture).problem()
    check_plan(named, problem)
    assert validate(problem, named.plan) == ()
    assert replay_plan(problem, named.plan, "M").total == pytest.approx(known.seconds, rel=1e-12)
    assert (named.solver, named.seed) == known.solver
    assert (len(named.plan.stays), len(named.plan.copies), len(named.plan.fast_uses)) == known.counts
    assert (named.order, named.plan.reach, named.scoped_vmem_kib) == (known.order, known.reach, None)
    assert named.versions["libtpu"] == "0.0.52"


@pytest.mark.parametrize("known", PLANS, ids=lambda known: known.name)
def test_a_plan_is_exported_as_it_was(known: Known) -> None:
    assert exported(DATA / known.name) == known.exported


@pytest.mark.parametrize("known", PLANS, ids=lambda known: known.name)
def test_a_plan_is_written_as_it_was(known: Known, tmp_path: Path) -> None:
    """One of an older version as the present one, and it says the same."""
    named, path = load_plan(DATA / known.name), tmp_path / known.name
    assert json.loads((DATA / known.name).read_bytes())["version"] == known.version
    save_plan(named, path)
    assert load_plan(path) == named
    assert (path.read_bytes() == (DATA / known.name).read_bytes()) == (known.version == 3)


def test_a_plan_in_full() -> None:
    plan = load_plan(DATA / "plan-version-1.json").plan
    assert plan.fingerprint == "d6d7f2f2adb0fb365fd0f9ed85fafe2e"
    assert plan.stays == (Stay(0, 10, 11, 0), Stay(6, 6, 7, 0), Stay(7, 7, 8, 8388608), Stay(10, 10, 11, 512000))
    assert plan.copies == (Copy(0, "prefetch", 9, 11),)
    assert plan.fast_definitions == frozenset({6, 7, 10})
    assert plan.fast_uses == frozenset({(0, 0), (6, 0), (7, 0), (10, 0)})


OPTIONS = ProgramOptions(
    kind="msa off",
    about="MSA switched off",
    module="jit_infer",
    target="v4 lite",
    fingerprint="d6d7f2f2adb0fb365fd0f9ed85fafe2e",
    versions={"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52"},
    options={"xla_msa_enable": "false"},
)
DEFAULT = replace(
    OPTIONS,
    kind="xla default",
    about="XLA's default",
    fingerprint="5b4e5c6cc3050a6ef42943b3c8fc2768",
    versions={**OPTIONS.versions, "mallocgame": "0.1.0", "python": "3.11.7"},
    options={},
)


@pytest.mark.parametrize(("name", "content"), [("options-msa-off.json", OPTIONS), ("options-auto.json", DEFAULT)])
def test_options_are_read_and_written_again(name: str, content: ProgramOptions, tmp_path: Path) -> None:
    assert load_answer(DATA / name) == content
    assert json.loads(api.export(DATA / name)) == content.options
    save_options(content, tmp_path / name)
    assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


OPTIMIZED = (
    "c1a9cb78cdf2a1a6fbabef06e1f43e052db0eb337dbd51ac700d3c5d19084626",
    "d68c00b2faf9b2342c86b5303f32e4fef4e63df5d7cded4706c7b80427e29360",
)
"""SHA-256 of the options of the answer of ``optimize``, and of its flags."""


def test_an_answer_of_optimize(tmp_path: Path) -> None:
    found = load_optimized(DATA / "optimized.json")
    assert (found.module, found.target, found.kind, found.about) == ("jit_infer", "v4 lite", "plan", "plan 1")
    assert found.program == "6e0c7fe1923de15cb5805e07dbb8846889d785d19b8c4800257c5185df43e7f8"
    assert found.fingerprint == "d6d7f2f2adb0fb365fd0f9ed85fafe2e"
    assert found.default == Estimate(0.0003980914285714286, 0.0002625939552471261)
    assert found.answer == Estimate(0.00039505809523809524, 0.0002625939552471261)
    assert (found.verdict, found.confirmed, found.status, found.compiles) == ("better", True, "compiles spent", 4)
    options = json.dumps(found.compiler_options, sort_keys=True)
    assert len(found.compiler_options) == 16
    assert hashlib.sha256(options.encode()).hexdigest() == OPTIMIZED[0]
    assert hashlib.sha256(found.flags().encode()).hexdigest() == OPTIMIZED[1]
    assert str(found) == (
        "jit_infer for v4 lite: plan 1: E 0.3951 ms (-0.76%), M 0.2626 ms (+0.00%), better; confirmed by the compiler"
    )
    found.save(tmp_path / "optimized.json")
    assert (tmp_path / "optimized.json").read_bytes() == (DATA / "optimized.json").read_bytes()


@pytest.mark.usefixtures("compiler_of_then")
def test_optimize_finds_its_answer(tmp_path: Path) -> None:
    """Under the key of program, arguments, compiler and this version of mallocgame: nothing is searched or compiled."""
    settings = {"time_limit": 3.0, "compiles": 3, "objective": "both", "strict": False, "seed": 0}
    program = load_optimized(DATA / "optimized.json").program
    versions = {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52"}
    key = hashlib.sha256(
        json.dumps((program, settings, versions, "", mallocgame.__version__), sort_keys=True).encode()
    ).hexdigest()
    if mallocgame.__version__ == "0.1.0":
        assert key == "c491b89d74da7ef43eb66a268cba598192176edaeb7bebbf6bb01c309f89d7bd"
    shutil.copy(DATA / "optimized.json", tmp_path / f"{key}.json")
    found = mallocgame.optimize(DATA / "tiny.mgz", time_limit=3.0, compiles=3, cache=tmp_path)
    assert (found.from_cache, found.file) == (True, tmp_path / f"{key}.json")
    found.check(module_of(DATA / "tiny.mgz", tmp_path), target="v4 lite")


def module_of(capture: Path, folder: Path) -> Path:
    """The module of a capture as a file."""
    path = folder / "module.mlir"
    path.write_text(load_capture(capture).lowered, encoding="utf-8")
    return path


def test_buffers_are_read_and_packed(tmp_path: Path) -> None:
    table, packed = read_csv(DATA / "buffers.csv"), read_csv(DATA / "offsets.csv")
    assert [buffer.id for buffer in table.buffers] == ["a", "b", "c", "d"]
    first = table.buffers[0]
    assert (first.lower, first.upper, first.size, first.alignment, first.gaps, first.hint, first.offset) == (
        0, 9, 4, 2, ((3, 5), (7, 8)), 16, None,
    )  # fmt: skip
    offsets = [10, 4, 0, 0]
    assert [buffer.offset for buffer in packed.buffers] == offsets
    assert validate_packing(table.buffers, offsets, 16) == []
    write_csv(tmp_path / "offsets.csv", table, offsets)
    assert (tmp_path / "offsets.csv").read_bytes() == (DATA / "offsets.csv").read_bytes()
