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
    "8c774f96f45ef45a05938747a1daa90ce574b6a1ddf3829a907320a356347313",
    "f38fc0e426c90f37a7dce349bc5097e750232c26c50556da65bfb9215aebeea5",
    "dea7bbccc608be7f9248512e0c7f1c432ae025682eff7f154638641792533f27",
    "a13c5d3f1396e0b6d0ed595eacb44698d315463dcc78c0f70c2721690fcb320f",
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
            "09a287d8ba2a541d1db0deea5b24adfb5e310ca983d74e7a783dec7aa58f269b",
            "604977390a50904cfce3be46035d3213bc523d689c91768b853e27211698103c",
            "b60e174276504998fc8820ebf6721d67b9af33aaad74ca623cb6b72dde0acdc2",
            "21d2587dbb01ad9c077337a5542a910b0f08373d524ca24f1354096385c299d4",
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
            "145f4e919e90d8a6b26d263657e865c03c9e42e87a90d73e41cc91b664fc9ca4",
            "0fea5ea8901631f5c678f27dc9e439e4ee29651ec72d2557378b5ba8f0c7b0fe",
            "44dd4f9f3cc69e62f54b7133dd8641d549817835490aa74129eca8f68bf3050f",
            "3be12946d407e38407a2c2d84872cc2acb77e1da569a5df686ab29292b968a0c",
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
            "de9a775d9b077228aeb94a28b942409a54fd9f4da06aeaa09074e28b81667720",
            "775f7c074bacddab046b13b782340d6e21d7f363751a005761a9d5904836bc0c",
            "90a847c9dabe1bcdda5c30d2b55ba97298f9d68bf4d6e298c0f630c9d65f9a70",
            "7cb92b277a528c4d337261f27f66c7c1109206b9325818daa9569af47b27f85a",
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
            "f3e4a3ec23eb97dea6f305366998470d45995e04d12e8c8dd4d222f47fd37619",
            "f405af09073d50a361c08cc7848d62dcc43580d52d9604a033a080b2edd97d9d",
            "a4fffec3a946b547dd1b1aa88c8027daee2317457476a89b572955c74c1e3c3a",
            "efa093dcb4c71aeb91c9f098a78667dbfe0a6cda62bb28ffbf152cc7693f43f9",
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
