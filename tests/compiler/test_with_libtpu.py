"""The whole way with the real compiler, on small programs: capture, plan, recompile, read back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mallocgame
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.child import QUIET_VMODULE, Request, compile_in_child
from mallocgame.compiler.child_main import load_program
from mallocgame.compiler.export.options import compiler_options
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.kernels import reading
from mallocgame.compiler.stages import lower, lowering_of
from mallocgame.compiler.verify import verify
from mallocgame.game import Game, Move
from mallocgame.game.program import Program
from mallocgame.models.replay import read_back, replay_plan
from mallocgame.optimizer.improve import improve
from mallocgame.plan.named_plan import NamedPlan, name_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.reach import Gaps
from mallocgame.plan.validate import inexpressible, validate
from mallocgame.problem.evictions import product_eviction, product_wait
from mallocgame.problem.placement import TESTED
from mallocgame.problem.reserved import reserved_bytes
from mallocgame.programs.module_text import digest
from mallocgame.solvers import solve
from mallocgame.system.errors import BadInputError
from tests.compiler import kernels, models
from tests.optimizer.test_with_libtpu import instructions
from xla_dump_parser import parse_hlo

pytestmark = pytest.mark.libtpu
LAYERS, LOOPED = "tests.compiler.models:layers", "tests.compiler.models:looped"


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    path = tmp_path_factory.mktemp("captures") / "looped.mgz"
    made = capture(LOOPED, None, "v5e", path)
    assert load_capture(path) == made
    return made


def planned(kept: Capture) -> NamedPlan:
    solution = solve(kept.problem(), solver="local", time_limit=1.0, seed=0, max_steps=400)
    return name_plan(kept.problem(), solution.plan, solver="local", versions=kept.versions)


def test_capture_knows_its_program(looped: Capture) -> None:
    assert looped.versions.keys() == {"python", "jax", "jaxlib", "libtpu", "mallocgame"}
    problem = looped.problem()
    assert problem.costs == "log"
    (body,) = [computation for computation in problem.computations if computation.kind == "body"]
    assert body.trips == 6
    assert 2 * 512 * 512 * 2 <= looped.peak_hbm < 64 * 2**20


def test_what_a_kernel_reserves_is_left_free() -> None:
    """The log's heap is all of v5e's 128 MiB; of these the kernel takes 100, and every other instruction 16."""
    kept = capture("tests.compiler.models:across_a_kernel", None, "v5e")
    problem = kept.problem()
    (kernel,) = [time for time, step in enumerate(problem.instructions) if step.opcode == "custom-call"]
    assert problem.target.fast_bytes == 128 * 2**20
    assert {one.offset for one in problem.reserved} == {0}
    free = [problem.target.fast_bytes - taken for taken in reserved_bytes(problem)]
    assert free.pop(kernel) == 28 * 2**20
    assert set(free) == {112 * 2**20}
    named = planned(kept)
    assert validate(problem, named.plan) == ()
    beside = [stay for stay in named.plan.stays if stay.start <= kernel <= stay.end]
    assert beside
    assert min(stay.offset for stay in beside) >= 100 * 2**20
    verification = verify(named, kept)
    assert verification.misses == ()
    row = verification.row("plan")
    assert row is not None
    assert row.m_seconds == pytest.approx(replay_plan(problem, named.plan, "M").total, rel=0.01)
    assert row.peak_fast <= problem.target.fast_bytes


@pytest.mark.parametrize("target", ["v5e", "v5p"])
def test_a_program_over_four_devices(target: str) -> None:
    kept = capture("tests.compiler.models:sharded", None, target)
    assert kept.topology == {"v5e": "v5e:2x2", "v5p": "v5p:2x2x1"}[target]
    reduced = [step for step in kept.problem().instructions if step.opcode == "all-reduce"]
    links = {"v5e": 2 * 50e9, "v5p": 2 * 100e9}[target]  # bf16[512,512] comes from the one other device of a group
    assert [step.link_seconds for step in reduced] == [512 * 512 * 2 / links] * 2
    verification = verify(planned(kept), kept)
    assert verification.misses == ()
    assert [row.missing for row in verification.rows] == [()] * 3


@pytest.mark.parametrize(
    ("name", "topology"),
    [("made_mesh", "v5e:2x2@0,1,3,2"), ("two_slices", "v5e:2x2*2"), ("many_devices", "v5e:4x8"), ("named", "v5e:1x1")],
)
def test_programs_on_any_mesh_and_at_any_stage(name: str, topology: str) -> None:
    kept = capture(f"tests.compiler.models:{name}", None, "v5e")
    assert kept.topology == topology
    assert kept.options == ({"xla_tpu_scoped_vmem_limit_kib": "32768"} if name == "named" else {})
    assert any(instruction.opcode == "fusion" for instruction in kept.problem().instructions)


def test_the_order_of_a_mesh_is_not_in_its_module() -> None:
    function, args = models.made_mesh()
    made = lowering_of(function, args, {}, "v5e")
    in_order = lowering_of(*models.on_mesh(models.mesh_of(mallocgame.described_devices("v5e", 4))), {}, None)
    assert (made.topology, in_order.topology) == ("v5e:2x2@0,1,3,2", "v5e:2x2")
    assert digest(made.text) == digest(in_order.text)
    with pytest.raises(BadInputError, match="lowered for v5e, not for v6e"):
        lowering_of(function, args, {}, "v6e")
    with pytest.raises(BadInputError, match="for 2 of 4 devices of v5e, and not for a whole topology"):
        lowering_of(*models.on_mesh(models.mesh_of(mallocgame.described_devices("v5e", 4)[2:])), {}, None)


@pytest.mark.parametrize("name", ["made_mesh", "two_slices"])
def test_the_child_compiles_what_lowered_compile_does(name: str, tmp_path: Path) -> None:
    reference = f"tests.compiler.models:{name}"
    kept = capture(reference, None, "v5e")
    options = {"xla_dump_to": str(tmp_path), "xla_dump_compact_gte": False}
    lower(*load_program(reference), "v5e").compile(compiler_options=options)
    (final,) = tmp_path.glob("*jit*.after_codegen.txt")
    assert instructions(final.read_text()) == instructions(kept.final)


def test_host_callbacks_are_lowered_as_for_abstract_arguments() -> None:
    import jax

    function, args = models.calls_back()
    lowered = jax.jit(function).lower(*mallocgame.abstract("v5e", *args)).as_text(debug_info=True)
    kept = capture("tests.compiler.models:calls_back", None, "v5e")
    assert kept.lowered.count("is_host_transfer = true") == 4  # to the host and back, for each of two
    assert digest(kept.lowered) == digest(lowered)


def test_abstract_leaves_what_is_no_array() -> None:
    import jax
    import numpy as np

    arrays = {"of numpy": np.zeros((2, 3), np.float32), "of jax": jax.numpy.zeros((4,), "float32")}
    others = {"number": 3, "text": "tanh", "function": abs, "none": None, "type": np.float32}
    (found,) = mallocgame.abstract("v5e", arrays | others)
    assert {name: found[name] for name in others} == others
    assert {name: (found[name].shape, str(found[name].dtype)) for name in arrays} == {
        "of numpy": ((2, 3), "float32"),
        "of jax": ((4,), "float32"),
    }
    with pytest.raises(BadInputError, match="an argument is no array of JAX"):
        mallocgame.abstract("v5e", np.array(["text"]))

    def power(x: Any, n: int, act: str) -> Any:
        return getattr(jax.numpy, act)(x**n)

    jitted = jax.jit(power, static_argnums=(1, 2))
    lowered = jitted.lower(*mallocgame.abstract("v5e", arrays["of numpy"], 3, "tanh"))
    found = lowering_of(jitted, (arrays["of numpy"], 3, "tanh"), {}, "v5e")
    assert digest(found.text) == digest(lowering_of(lowered, (), {}, None).text)


def test_devices_of_several_slices() -> None:
    devices = mallocgame.described_devices("v5p", 4, slices=2)  # the first two of four of each
    assert [device.id for device in devices] == [100000, 100001, 200000, 200001]
    assert [device.id for device in mallocgame.described_devices("v5e", 32)] == list(range(32))
    with pytest.raises(BadInputError, match="not on 5 of 2"):
        mallocgame.described_devices("v5e", 5, slices=2)


def test_equinox() -> None:
    eqx = pytest.importorskip("equinox")
    import jax

    model, x = eqx.nn.MLP(8, 8, 16, 2, key=jax.random.key(0)), jax.numpy.ones((4, 8))
    function = eqx.filter_jit(lambda model, x: jax.vmap(model)(x))
    found = lowering_of(function, (model, x), {}, "v5e")
    assert (found.target, found.topology, found.text.count("stablehlo.dot_general")) == ("v5e", "v5e:1x1", 3)
    with jax.default_device(mallocgame.described_devices("v5e")[0]):
        lowered = function.lower(model, x)
    assert digest(lowering_of(lowered, (), {}, None).text) == digest(found.text)
    with pytest.raises(BadInputError, match="lowered for cpu, not for a TPU"):
        lowering_of(function.lower(model, x), (), {}, "v5e")
    abstract, _ = mallocgame.abstract("v5e", model, x)
    assert abstract.activation is model.activation
    assert abstract.layers[0].weight.shape == (16, 8)
    described = eqx.filter_eval_shape(eqx.nn.MLP, 8, 8, 16, 2, key=jax.random.key(0))
    of_shapes = lowering_of(function, (described, jax.ShapeDtypeStruct((4, 8), jax.numpy.float32)), {}, "v5e")
    assert of_shapes.text.count("stablehlo.dot_general") == 3
    with pytest.raises(TypeError, match="contracting dimensions"):
        lowering_of(function, (described, jax.ShapeDtypeStruct((4, 9), jax.numpy.float32)), {}, "v5e")


def test_a_plan_is_honoured_in_full(looped: Capture) -> None:
    named = planned(looped)
    assert named.plan.fast_uses
    verification = verify(named, looped)
    assert verification.misses == ()
    assert verification.honoured == verification.sites
    assert verification.sites == sum(1 + len(t.uses) for t in named.tensors) + len(named.plan.copies)
    assert [row.name for row in verification.rows] == ["xla default", "msa off", "plan"]
    default, off, _ = verification.rows
    assert off.peak_fast == 0
    assert not default.missing
    best = verification.row(verification.best)
    assert best is not None
    assert best.e_seconds <= 1.001 * default.e_seconds
    assert best.m_seconds <= 1.001 * default.m_seconds


@pytest.mark.parametrize("start", ["before the use", "after the loop", "before the loop"])
def test_a_weight_is_copied_after_a_loop_that_reads_it_in_hbm(looped: Capture, start: str) -> None:
    """And not before: the compiler refuses what the rules call inexpressible."""
    problem = looped.problem()
    tensor, loop = next(
        (tensor, use.time)
        for tensor in problem.tensors
        if tensor.hbm_definition == "entry parameter"
        for use in tensor.uses[:-1]
        if problem.instructions[use.time].opcode == "while"
    )
    number = len(tensor.uses) - 1
    time = tensor.uses[number].time
    after = {"before the use": time - 1, "after the loop": loop, "before the loop": tensor.time}[start]
    plan = Plan(
        problem.fingerprint,
        fast_uses=frozenset({(tensor.id, number)}),
        stays=(Stay(tensor.id, after + 1, time, 0),),
        copies=(Copy(tensor.id, "prefetch", after, time),),
    )
    assert validate(problem, plan) == ()
    verification = verify(name_plan(problem, plan, solver="hand"), looped, msa_off=False)
    if start == "before the loop":
        assert [found.cause for found in inexpressible(problem, plan)] == ["copy start not expressible"]
        assert ["Live range too short" in group.reason for group in verification.relaxed] == [True]
    else:
        assert inexpressible(problem, plan) == ()
        assert verification.misses == ()
        assert verification.honoured == verification.sites


def test_a_product_whose_first_use_is_a_loops_is_not_copied_after_it() -> None:
    """Every such copy is refused, so none is in the game."""
    made = capture("tests.compiler.models:kept", None, "v5e")
    problem = made.problem()
    (tensor,) = (
        tensor
        for tensor in problem.tensors
        if sum(problem.instructions[use.time].opcode == "while" for use in tensor.uses) == 2
        if problem.instructions[tensor.time].opcode == "fusion"
    )
    loop = next(use.time for use in tensor.uses if problem.instructions[use.time].opcode == "while")
    later = [number for number, use in enumerate(tensor.uses) if use.time > loop]
    assert {tensor.uses[number].copy_after for number in later} == {None}
    time = tensor.uses[later[-1]].time
    plan = Plan(
        problem.fingerprint,
        fast_uses=frozenset({(tensor.id, later[-1])}),
        stays=(Stay(tensor.id, time, time, 0),),
        copies=(Copy(tensor.id, "prefetch", time - 1, time),),
    )
    verification = verify(name_plan(problem, plan, solver="hand"), made, msa_off=False)
    assert [group.group for group in verification.relaxed] == [tensor.group]


@pytest.mark.parametrize(("target", "evictions"), [("v4 lite", 3), ("v5p", 0)])
def test_results_are_evicted_as_planned(target: str, evictions: int) -> None:
    """What a loop carries, what is read again, and a donated weight; none where two cores write all of them."""
    kept = capture("tests.compiler.models:returned", None, target)
    problem = kept.problem()
    program = Program(problem)
    game = Game(problem)
    state = game.start()
    while not game.done(state):
        updates = game.site(state).use >= 0 and program.carried(game.site(state).tensor, -1)
        moves = [Move.NO_COPY, *([Move.COPY] if updates and game.site(state).use == 1 else []), Move.DROP]
        state, _ = game.step(state, next(move for move in moves if move in game.legal(state)))
    plan = game.plan(state)
    assert sorted(copy.kind for copy in plan.copies).count("eviction") == evictions
    verification = verify(name_plan(problem, plan, solver="hand"), kept, msa_off=False)
    assert verification.misses == ()
    assert verification.honoured == verification.sites


@pytest.mark.parametrize("target", ["v4 lite", "v5e", "v6e"])
def test_what_a_loops_condition_reads_cannot_be_carried_in_fast_memory(target: str) -> None:
    """Without that rule the compiler refuses what the game would do; with it, all that the game does is honoured."""
    kept = capture("tests.compiler.models:converging", None, target)
    problem = kept.problem()
    carried = {tensor.group for tensor in problem.tensors if tensor.hbm_definition == TESTED}
    assert len(carried) == 1
    free = tuple(
        replace(tensor, hbm_definition=None) if tensor.hbm_definition == TESTED else tensor
        for tensor in problem.tensors
    )
    for tensors in (problem.tensors, free):
        game = Game(replace(problem, tensors=tensors))
        state = game.start()
        while not game.done(state):
            moves = (Move.NO_COPY, Move.DROP)
            state, _ = game.step(state, next(move for move in moves if move in game.legal(state)))
        verification = verify(name_plan(game.problem, game.plan(state), solver="hand"), kept, msa_off=False)
        if tensors == free:
            assert {group.group for group in verification.relaxed} == carried
            assert all("spatial placement conflict" in group.reason for group in verification.relaxed)
        else:
            assert verification.misses == ()
            assert verification.honoured == verification.sites > 10


@pytest.mark.parametrize("far", [False, True], ids=["after a use in HBM", "beyond reach"])
@pytest.mark.parametrize("target", ["v4 lite", "v5e"])
def test_a_product_is_evicted_and_copied_back_as_planned(target: str, far: bool) -> None:
    """What is read three times is in fast memory for its first use and, anew, for its last one, or both others."""
    kept = capture("tests.compiler.models:read_again", None, target)
    problem = kept.problem()
    (tensor,) = (tensor for tensor in problem.tensors if product_wait(problem, tensor) and len(tensor.uses) == 3)
    wait = product_wait(problem, tensor)
    assert wait is not None
    first, middle, last = (use.time for use in tensor.uses)
    copied = [(1, middle), (2, last)] if far else [(2, last)]
    gaps = Gaps(problem)
    between = (gaps.share(tensor.time, first) + gaps.share(first, middle)) / 2
    _, after, before = product_eviction(tensor, 0, wait)
    plan = Plan(
        problem.fingerprint,
        fast_definitions=frozenset({tensor.id}),
        fast_uses=frozenset({(tensor.id, 0), *((tensor.id, number) for number, _ in copied)}),
        stays=(
            Stay(tensor.id, tensor.time, max(first, before), 0),
            *(Stay(tensor.id, time - 1, time, 0) for _, time in copied),
        ),
        copies=(
            Copy(tensor.id, "eviction", after, before),
            *(Copy(tensor.id, "prefetch", time - 2, time) for _, time in copied),
        ),
        reach=between if far else None,
    )
    assert not validate(problem, plan)
    assert not inexpressible(problem, plan)
    verification = verify(name_plan(problem, plan, solver="hand"), kept, msa_off=False)
    assert verification.misses == ()
    assert verification.honoured == verification.sites
    found = read_back(problem, parse_hlo(verification.final, "final")).to_plan()
    assert Copy(tensor.id, "eviction", after, before) in found.copies


@pytest.mark.parametrize("target", ["v4 lite", "v5e"])
def test_a_long_use_is_no_part_of_the_gap_after_it(target: str) -> None:
    """A product stays for a use that is within reach of the end of the use before, though not of its beginning."""
    kept = capture("tests.compiler.models:read_again", None, target)
    problem, gaps = kept.problem(), Gaps(kept.problem())
    (tensor,) = (tensor for tensor in problem.tensors if product_wait(problem, tensor) and len(tensor.uses) == 3)
    wait = product_wait(problem, tensor)
    assert wait is not None
    first, middle, _ = (use.time for use in tensor.uses)
    reach = 1.01 * gaps.share(first, middle)
    assert gaps.share(tensor.time, first) < reach < gaps.share(first - 1, middle)
    _, after, before = product_eviction(tensor, 1, wait)
    plan = Plan(
        problem.fingerprint,
        fast_definitions=frozenset({tensor.id}),
        fast_uses=frozenset({(tensor.id, 0), (tensor.id, 1)}),
        stays=(Stay(tensor.id, tensor.time, max(middle, before), 0),),
        copies=(Copy(tensor.id, "eviction", after, before),),
        reach=reach,
    )
    assert not validate(problem, plan)
    verification = verify(name_plan(problem, plan, solver="hand"), kept, msa_off=False)
    assert verification.misses == ()
    assert verification.honoured == verification.sites


def test_what_two_cores_write_is_copied_for_its_first_use() -> None:
    kept = capture("tests.compiler.models:products", None, "v5p")
    problem = kept.problem()
    copied = [
        (tensor, serving)
        for tensor, servings in zip(problem.tensors, Program(problem).servings, strict=True)
        for serving in servings[:1]
        if tensor.hbm_definition == "written by two cores" and serving.earliest is not None
    ]
    assert copied
    plan = Plan(
        problem.fingerprint,
        fast_uses=frozenset((tensor.id, 0) for tensor, _ in copied),
        stays=tuple(
            Stay(tensor.id, serving.before, serving.before, place * 2**20)
            for place, (tensor, serving) in enumerate(copied)
        ),
        copies=tuple(Copy(tensor.id, "prefetch", serving.before - 1, serving.before) for tensor, serving in copied),
    )
    verification = verify(name_plan(problem, plan, solver="hand"), kept, msa_off=False)
    assert verification.misses == ()
    assert verification.honoured == verification.sites


def test_everything_in_hbm_equals_msa_off_on_a_cmem_target(tmp_path: Path, looped: Capture) -> None:
    saved = tmp_path / "looped.mlir"
    saved.write_text(looped.lowered)
    kept = capture(str(saved), None, "v4 lite")
    problem = kept.problem()
    nothing = solve(problem, solver="hbm", time_limit=1.0).plan
    verification = verify(name_plan(problem, nothing, solver="hbm"), kept)
    assert verification.honoured == verification.sites
    off, ours = verification.rows[1:]
    assert (ours.m_seconds, ours.peak_fast) == (off.m_seconds, 0)


def test_a_refused_tensor_is_relaxed_and_told(looped: Capture) -> None:
    """A produced tensor copied for its first use: the compiler would rather produce it in fast memory, and refuses."""
    problem = looped.problem()
    tensor, use = next(
        (tensor, tensor.uses[0])
        for tensor in problem.tensors
        if not tensor.hbm_definition and not tensor.fixed and len(problem.groups[tensor.group].tensors) == 1
        if tensor.uses and tensor.uses[0].copy_after is not None and tensor.uses[0].accessed_bytes
    )
    plan = Plan(
        problem.fingerprint,
        fast_uses=frozenset({(tensor.id, 0)}),
        stays=(Stay(tensor.id, use.time, use.time, 0),),
        copies=(Copy(tensor.id, "prefetch", use.time - 1, use.time),),
    )
    named = name_plan(problem, plan, solver="hand")
    reader = problem.instructions[use.time].name
    request = Request(looped.topology, lowered=looped.lowered, options=compiler_options(named), vmodule=QUIET_VMODULE)
    with pytest.raises(OverrideRefusedError) as caught:
        compile_in_child(request)
    assert (caught.value.instruction, caught.value.operand) == (reader, use.operands[0][0])
    verification = verify(named, looped)
    assert [entry.tensor for entry in verification.relaxed] == [tensor.name]
    assert {(miss.kind, miss.where) for miss in verification.misses} == {("use", reader), ("copy", reader)}
    assert all(miss.cause.startswith("relaxed: the compiler refused") for miss in verification.misses)
    assert verification.honoured == verification.sites - 2
    assert verification.compiles == 3


def test_a_plan_for_another_program_is_refused(looped: Capture) -> None:
    other = capture(LAYERS, None, looped.target)
    with pytest.raises(BadInputError, match="another program"):
        verify(planned(looped), other)


def test_jax_stays_out_of_this_process() -> None:
    script = (
        "import sys, mallocgame.compiler.capturing, mallocgame.compiler.verify, mallocgame.compiler.export.options\n"
        f"c = mallocgame.compiler.capturing.capture({LAYERS!r}, None, 'v5e')\n"
        "assert c.final and not {'jax', 'libtpu', 'jaxlib'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=True)


def test_a_kernel_takes_as_long_without_its_authors_estimate(tmp_path: Path) -> None:
    """It was taken to last 0.67 ns, and leaving its operands in HBM counted as a gain."""
    captures = [capture(f"tests.compiler.models:{name}", None, "v5e") for name in ("estimated_kernel", "kernel")]
    assert [[source for _, source in kept.problem().kernels] for kept in captures] == [["estimate"], ["kernel"]]
    with_estimate, without = (
        improve(kept, compile=CompileCache(tmp_path), compiles=1, time_limit=3.0) for kept in captures
    )
    for one, other in zip(with_estimate.tried[:2], without.tried[:2], strict=True):
        assert one.row is not None
        assert other.row is not None
        assert (one.row.name, one.verdict) == (other.row.name, other.verdict)
        assert other.row.e_seconds == pytest.approx(one.row.e_seconds, rel=0.05)
        assert other.row.m_seconds == pytest.approx(one.row.m_seconds, rel=0.05)
        assert one.row.m_seconds > 2 * 2 * 4096**3 / 1.97e14


def test_a_kernel_may_ask_which_tpu_it_is_for() -> None:
    def run(x: Any) -> Any:
        from jax.experimental.pallas import tpu as pltpu

        rows = pltpu.get_tpu_info().num_lanes
        return kernels.in_blocks(lambda x, out: out.__setitem__(..., x[...] + rows), lambda i: (i, 0))(x)

    assert "tpu_custom_call" in lowering_of(run, (kernels.matrix(64, 128),), {}, "v5e").text


def test_a_kernel_of_which_nothing_is_known_gains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_known", {})
    monkeypatch.setattr(reading, "_read", lambda bodies: {})
    kept = capture("tests.compiler.models:kernel", None, "v5e")
    problem = kept.problem()
    assert [problem.instructions[time].opcode for time in problem.uncounted] == ["custom-call"]
    assert any(note.startswith("not counted: ") for note in problem.notes)
    found = improve(kept, compile=CompileCache(tmp_path), compiles=2, time_limit=3.0)
    assert found.default.uncounted
    for one in found.tried:
        assert one.row is not None
        assert (one.verdict == "cannot tell") == (one.row.uncounted != found.default.uncounted)
    assert found.answer.row is not None
    assert found.answer.row.uncounted == found.default.uncounted
