"""Captures, problem files and finished compiles that 83db586 wrote: they are read, and say what they said."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import workloads
from mallocgame import api
from mallocgame.bench.compact import compact
from mallocgame.bench.store import CaptureStore, module_sha256
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.capture_file import is_capture, load_capture, save_capture
from mallocgame.compiler.child import QUIET_VMODULE, Compiled, Limits, Request
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.relax import refused_tensor
from mallocgame.compiler.verification import Row, replayed
from mallocgame.models.replay import replay_plan
from mallocgame.models.replay.observe import observations_of, to_text
from mallocgame.plan.plan import Plan
from mallocgame.plan.plan_file import load_plan
from mallocgame.plan.problem_file import load_problem, save_problem
from mallocgame.plan.validate import validate
from mallocgame.solvers import solve
from tests.kept.packed import packed
from xla_dump_parser import parse_hlo

DATA = Path(__file__).with_name("data")
MADE_BY = {"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.52", "mallocgame": "0.1.0", "python": "3.11.7"}


@dataclass(frozen=True)
class Known:
    """What 83db586 said of a workload for v4 lite.

    Attributes:
        name: of the workload and of its files.
        function: that was captured, without its module.
        fingerprint: of its problem, and of its schedule.
        module: digest of the lowered module.
        counts: instructions, tensors, alias groups.
        sizes: bytes of all tensors, of those that are live at the peak, of HBM by the compiler's report.
        default: XLA's own placement: E, its stall, M, its stall.
        peak_fast: bytes of fast memory under it.
        hbm: M of everything in HBM.
        bound: of M.
        greedy: M of the plan of the solver greedy.
        cycles: predicted for everything in HBM, of the instructions that have any.
    """

    name: str
    function: str
    fingerprint: str
    module: str
    counts: tuple[int, int, int]
    sizes: tuple[int, int, int]
    default: tuple[float, float, float, float]
    peak_fast: int
    hbm: float
    bound: float
    greedy: float
    cycles: dict[int, float]


TINY = Known(
    name="tiny",
    function="tiny",
    fingerprint="d6d7f2f2adb0fb365fd0f9ed85fafe2e",
    module="68410696f0dea31d2eace9b5db3dcaac3316996ecf1bb1f6fbf70864a19f1955",
    counts=(12, 12, 12),
    sizes=(39391232, 22589440, 5896192),
    default=(0.0003980914285714286, 0.0, 0.0002625939552471261, 0.0),
    peak_fast=17809408,
    hbm=0.0003033214924294597,
    bound=0.00025545874876392436,
    greedy=0.0002625939552471261,
    cycles={
        6: 50702.4,
        7: 76570.83020663992,
        8: 76421.02333711395,
        9: 102152.40959806203,
        10: 177263.24946523606,
        11: 2490.473753900161,
    },
)
SCAN = Known(
    name="tiny-scan",
    function="tiny_scan",
    fingerprint="5b4e5c6cc3050a6ef42943b3c8fc2768",
    module="7e797e86f850f7dd46b31ab8724e0143e7dabd53ff3e64f189d411d550e086bd",
    counts=(26, 21, 13),
    sizes=(23000576, 17778176, 16771584),
    default=(0.00017101547408671005, 6.294846185360321e-06, 6.544150013928182e-05, 6.294846185360321e-06),
    peak_fast=4145152,
    hbm=0.0001022689039412347,
    bound=5.982343709423835e-05,
    greedy=6.16342592664213e-05,
    cycles={5: 10920.0, 20: 10920.0, 21: 23703.0, 25: 20339.0},
)
KNOWN = [pytest.param(TINY, id=TINY.name), pytest.param(SCAN, id=SCAN.name)]


def never(request: Request, limits: Limits | None = None) -> Compiled:
    """In the compiler's place where everything has been compiled."""
    raise AssertionError(f"compiled for {request.topology} with {dict(request.options)}")


def kept_compiles(folder: Path) -> CompileCache:
    """A copy of the kept cache, which compiles nothing."""
    return CompileCache(shutil.copytree(DATA / "compiles", folder / "compiles"), never)


@pytest.mark.parametrize("known", KNOWN)
def test_a_capture_is_read_and_written_again(known: Known, tmp_path: Path) -> None:
    path = DATA / f"{known.name}.mgz"
    assert is_capture(path)
    kept = load_capture(path)
    assert (kept.target, kept.topology) == ("v4 lite", "v4 lite:1x1")
    assert kept.function.rpartition(":")[2] == known.function
    assert (kept.options, kept.versions, kept.scoped_vmem_kib) == ({}, MADE_BY, None)
    assert (kept.schedule, kept.peak_hbm) == (known.fingerprint, known.sizes[2])
    assert module_sha256(kept.lowered) == known.module
    save_capture(kept, tmp_path / path.name)
    assert packed(tmp_path / path.name) == packed(path)


@pytest.mark.parametrize("known", KNOWN)
def test_a_capture_has_the_same_problem_and_figures(known: Known) -> None:
    kept = load_capture(DATA / f"{known.name}.mgz")
    problem = kept.problem()
    assert (problem.fingerprint, problem.module, problem.costs) == (known.fingerprint, "jit_infer", "log")
    assert (len(problem.instructions), len(problem.tensors), len(problem.groups)) == known.counts
    e, e_stall, m, m_stall = known.default
    found = replayed("xla default", problem, parse_hlo(kept.final, "final"), kept.peak_hbm)
    assert found == Row("xla default", e, e_stall, m, m_stall, known.peak_fast, known.sizes[2], (), True)
    assert replay_plan(problem, Plan(problem.fingerprint), "M").total == pytest.approx(known.hbm, rel=1e-12)
    greedy = solve(problem, "greedy", time_limit=3600.0)
    assert validate(problem, greedy.plan) == ()
    assert greedy.seconds_under_m == pytest.approx(known.greedy, rel=1e-12)


@pytest.mark.parametrize("known", KNOWN)
def test_what_compiles_have_shown_predicts_the_same_cycles(known: Known) -> None:
    table = load_capture(DATA / f"{known.name}.mgz").cycles()
    found = table.of_plan(Plan(known.fingerprint))
    assert {time: cycles for time, cycles in enumerate(found) if cycles is not None} == pytest.approx(known.cycles)


def test_calibrating_compiles_are_kept() -> None:
    kept = load_capture(DATA / "tiny-scan.mgz")
    seen = observations_of(kept.observed, kept.problem())
    assert [[one.masks[time] for time in (20, 21, 25)] for one in seen] == [[0, 0, 0], [2, 1, 0]]
    assert [[one.cycles[time] for time in (20, 21, 25)] for one in seen] == [
        [10920, 23703, 20339],
        [10920, 18388, 20339],
    ]
    assert to_text(seen) == kept.observed
    assert load_capture(DATA / "tiny.mgz").observed == ""
    table = kept.cycles()
    assert [table.cycles(21, mask) for mask in range(4)] == pytest.approx(
        [23703.0, 18388.0, 20568.61730625027, 15253.61730625027]
    )


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("suffix", [".mgz", ".mgp"])
def test_what_is_told_of_a_file(known: Known, suffix: str) -> None:
    found = api.inspect(DATA / f"{known.name}{suffix}")
    assert found.problem.fingerprint == known.fingerprint
    assert (found.tensor_bytes, found.peak_bytes) == known.sizes[:2]
    assert found.all_hbm_seconds == pytest.approx(known.hbm, rel=1e-12)
    assert found.default_seconds == pytest.approx(known.default[2], rel=1e-12)
    assert found.bound_seconds == pytest.approx(known.bound, rel=1e-12)


@pytest.mark.parametrize("known", KNOWN)
def test_a_problem_file_is_what_its_capture_gives(known: Known, tmp_path: Path) -> None:
    path = DATA / f"{known.name}.mgp"
    found = load_problem(path)
    capture = load_capture(DATA / f"{known.name}.mgz")
    assert found == compact(capture, workloads.find(known.name))
    assert found.problem == capture.problem()
    default = found.default
    assert (default.e_seconds, default.e_stall, default.m_seconds, default.m_stall) == known.default
    assert (found.workload, found.family, found.phase) == (known.name, "small", "inference")
    assert (found.function, found.module_sha256, found.versions) == (capture.function, known.module, MADE_BY)
    assert (default.addresses, default.no_plan) == ("compiler", None)
    assert default.plan is not None
    assert validate(found.problem, default.plan) == ()
    save_problem(found, tmp_path / path.name)
    assert packed(tmp_path / path.name) == packed(path)


@pytest.mark.usefixtures("compiler_of_then")
def test_finished_compiles_are_found(tmp_path: Path) -> None:
    """Of XLA's default with all that is logged, and of MSA switched off, where only the result counts."""
    kept, cache = load_capture(DATA / "tiny.mgz"), kept_compiles(tmp_path)
    default = cache(Request(kept.topology, lowered=kept.lowered))
    assert default.before_msa == kept.before_msa
    assert default.final == kept.final
    assert sorted(default.log.splitlines()) == sorted(kept.log.splitlines())
    off = cache(
        Request(kept.topology, lowered=kept.lowered, options={"xla_msa_enable": "false"}, vmodule=QUIET_VMODULE)
    )
    figures = replayed("msa off", kept.problem(), parse_hlo(off.final, "final"), kept.peak_hbm)
    assert (figures.e_seconds, figures.m_seconds) == (0.00048315428571428574, TINY.hbm)
    assert {entry.asked for entry in cache.finished()} == {("v4 lite:1x1", None)}
    assert len(list(cache.finished())) == 2


@pytest.mark.usefixtures("compiler_of_then")
def test_a_refused_override_is_found(tmp_path: Path) -> None:
    """By the options that were exported then; the tensor is that of the plan."""
    kept, named = load_capture(DATA / "tiny-scan.mgz"), load_plan(DATA / "plan-refused.json")
    then = json.loads((DATA / "options-refused.json").read_bytes())
    request = Request(kept.topology, lowered=kept.lowered, options=then, vmodule=QUIET_VMODULE)
    with pytest.raises(OverrideRefusedError, match="does not match requested prefetch time") as refused:
        kept_compiles(tmp_path)(request)
    assert (refused.value.instruction, refused.value.operand, refused.value.defining) == ("fusion.19", 0, None)
    tensor = refused_tensor(named, refused.value)
    assert tensor is not None
    assert [use.copy_after for use in tensor.uses if use.instruction == "fusion.19"] == [20]


@pytest.mark.usefixtures("compiler_of_then")
def test_a_finished_compile_is_written_as_it_was(tmp_path: Path) -> None:
    """Under the same name, with the same bytes."""
    kept, then = load_capture(DATA / "tiny.mgz"), kept_compiles(tmp_path)
    CompileCache(tmp_path / "again", then)(Request(kept.topology, lowered=kept.lowered))
    (written,) = (tmp_path / "again").iterdir()
    assert written.name == "cf1ccca7acb57e740228d65ae2d32ddf892993c5210618d8100b4d53dee85589.zip"
    assert packed(written) == packed(DATA / "compiles" / written.name)


@pytest.mark.usefixtures("compiler_of_then")
def test_a_capture_that_failed_is_not_tried_again(tmp_path: Path) -> None:
    store = CaptureStore(shutil.copytree(DATA / "captures", tmp_path / "captures"), compile=never)
    assert store.state("tiny", "v5e") == "failed"
    assert store.failure("tiny", "v5e") == "no room on the chip"
