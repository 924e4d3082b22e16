"""What can be optimized: lowerings for a TPU that the compiler can be told of; all else is refused with the way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

import mallocgame
from mallocgame.plan.compiler_options import LEVELS
from mallocgame.problem.targets import TARGET_OF_KIND, TARGETS
from mallocgame.programs.environment import init_args_of
from mallocgame.programs.program import Program, program_of
from mallocgame.system.errors import BadInputError
from tests.optimizer.fake_search import MODULE

SHAPE = jax.ShapeDtypeStruct((8, 8), jnp.float32)


def step(x: Any, w: Any) -> Any:
    return jnp.tanh(x @ w)


def asked(
    program: object, *args: Any, kwargs: Mapping[str, Any] | None = None, target: str | None = None, **options: Any
) -> Program:
    return program_of(program, args, kwargs or {}, target, options)


def test_a_function_with_a_target() -> None:
    plain, jitted = asked(step, SHAPE, SHAPE, target="v5e"), asked(jax.jit(step), SHAPE, SHAPE, target="v5e")
    assert plain == jitted
    assert (plain.module, plain.target, plain.topology, plain.options) == ("jit_step", "v5e", "v5e:1x1", {})
    assert (
        asked(step, jnp.ones((8, 8), jnp.float32), jnp.ones((8, 8), jnp.float32), target="v5e").digest == plain.digest
    )
    assert asked(step, SHAPE, SHAPE, target="v5p").digest != plain.digest


def test_a_lowering_for_a_cpu_is_refused_with_the_way_out() -> None:
    lowered = jax.jit(step).lower(SHAPE, SHAPE)
    with pytest.raises(BadInputError, match="lowered for cpu, not for a TPU") as caught:
        asked(lowered)
    assert "jax.jit(f).lower(*mallocgame.abstract('v5e', *args))" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInputError, match="lowered for cpu"):
        asked(lowered, target="v5e")
    with pytest.raises(BadInputError, match="lowered for cpu"):
        asked(step, SHAPE, SHAPE)
    both = jax.jit(step).trace(SHAPE, SHAPE).lower(lowering_platforms=("cpu", "tpu"))
    with pytest.raises(BadInputError, match="lowered for cpu and tpu"):
        asked(both, target="v5e")


def test_a_lowering_for_a_tpu_that_names_none() -> None:
    lowered = jax.jit(step).trace(SHAPE, SHAPE).lower(lowering_platforms=("tpu",))
    with pytest.raises(BadInputError, match="does not say which TPU"):
        asked(lowered)
    assert asked(lowered, target="v5e") == asked(step, SHAPE, SHAPE, target="v5e")
    with pytest.raises(BadInputError, match="has its arguments already"):
        asked(lowered, SHAPE, target="v5e")


def test_a_traced_program_is_that_of_its_function() -> None:
    traced = jax.jit(step).trace(SHAPE, SHAPE)
    assert asked(traced, target="v5e").digest == asked(step, SHAPE, SHAPE, target="v5e").digest
    with pytest.raises(BadInputError, match="has its arguments already"):
        asked(traced, kwargs={"w": SHAPE}, target="v5e")
    with pytest.raises(BadInputError, match="lowered for cpu, not for a TPU"):
        asked(traced)


def test_arguments_by_name_and_static_ones() -> None:
    def scaled(x: Any, power: int, *, w: Any, act: str | None) -> Any:
        return x @ w**power if act is None else jnp.tanh(x @ w**power)

    jitted = jax.jit(scaled, static_argnums=1, static_argnames="act")
    found = asked(jitted, SHAPE, 2, kwargs={"w": SHAPE, "act": "tanh"}, target="v5e")
    assert found.lowered.count("tensor<8x8xf32> loc(") >= 2
    assert found.lowered.count("stablehlo.tanh") == 1
    assert asked(jitted, SHAPE, 2, kwargs={"w": SHAPE, "act": None}, target="v5e").lowered.count("stablehlo.tanh") == 0
    with pytest.raises(BadInputError, match=r"the function cannot be lowered: TypeError: .* missing .* 'w'"):
        asked(jitted, SHAPE, 2, kwargs={"act": None}, target="v5e")


class Wrapper:
    """A stage of a library that has one of JAX's inside, as those of flax and equinox."""

    def __init__(self, **inner: Any) -> None:
        self.__dict__ |= inner


def test_what_wraps_a_stage_of_jax() -> None:
    plain = asked(step, SHAPE, SHAPE, target="v5e")
    traced = jax.jit(step).trace(SHAPE, SHAPE)
    lowered = traced.lower(lowering_platforms=("tpu",))
    for program in (Wrapper(lowered=lowered), Wrapper(traced=traced)):
        assert asked(program, target="v5e").digest == plain.digest
    with pytest.raises(BadInputError, match="a Wrapper cannot be optimized"):
        asked(Wrapper(lowered="no"), target="v5e")


def test_a_jitted_function_of_flax() -> None:
    from flax import nnx

    model = nnx.Linear(8, 8, rngs=nnx.Rngs(0))
    run = nnx.jit(lambda model, x: model(x))
    assert asked(run, model, SHAPE, target="v5e").lowered.count("stablehlo.dot_general") == 1


def test_a_sharded_function_is_for_as_many_devices() -> None:
    mesh = AbstractMesh((2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    placed = jax.ShapeDtypeStruct((8, 8), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec("data")))
    assert asked(step, placed, placed, target="v5e").topology == "v5e:2x2"


def test_options_of_jit_and_of_the_call() -> None:
    jitted = jax.jit(step, compiler_options={"xla_a": True, "xla_b": 3})
    assert asked(jitted, SHAPE, SHAPE, target="v5e", xla_b=4).options == {"xla_a": "true", "xla_b": "4"}
    assert asked(jitted, SHAPE, SHAPE, target="v5e").digest != asked(step, SHAPE, SHAPE, target="v5e").digest


def test_a_function_that_does_not_trace() -> None:
    with pytest.raises(BadInputError, match="the function cannot be lowered: TypeError") as caught:
        asked(step, SHAPE, jax.ShapeDtypeStruct((3, 3), jnp.float32), target="v5e")
    assert "\n" not in str(caught.value)


@dataclass
class Client:
    count: int

    def devices(self) -> list[int]:
        return list(range(self.count))


class CompileOnlyClient(Client):
    pass


@dataclass
class Device:
    id: int
    client: Client
    process_index: int = 0
    device_kind: str = "TPU v5 lite"
    platform: str = "tpu"
    core_on_chip: int = 0

    @property
    def coords(self) -> tuple[int, int, int]:
        """As v5e:2x2 and v5e:4x4 have their ids."""
        across = 4 if self.client.count == 16 else 2
        return self.id % across, self.id // across, 0


@dataclass
class Inner:
    _device_list: list[Device]
    _platforms: tuple[str, ...] = ("tpu",)


@dataclass
class Stage:
    """As much of a ``jax.stages.Lowered`` as is looked at."""

    _lowering: Inner
    text: str = field(default=MODULE)

    def as_text(self, debug_info: bool) -> str:
        assert debug_info
        return self.text


def lowering(
    monkeypatch: pytest.MonkeyPatch,
    ids: list[int],
    there: int,
    *,
    kind: str = "TPU v5 lite",
    hosts: int = 1,
    real: bool = True,
) -> Stage:
    monkeypatch.setattr(jax.stages, "Lowered", Stage)
    client = Client(there) if real else CompileOnlyClient(there)
    devices = [Device(number, client, number * hosts // there, kind) for number in ids]
    return Stage(Inner(devices), MODULE.replace("num_partitions = 1", f"num_partitions = {len(ids)}"))


def test_the_target_is_the_kind_of_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(TARGET_OF_KIND.values()) == set(TARGETS)
    for kind, target in TARGET_OF_KIND.items():
        found = asked(lowering(monkeypatch, [3], 8, kind=kind))
        assert found.target == target
    with pytest.raises(BadInputError, match="device kind 'TPU v3' is not known"):
        asked(lowering(monkeypatch, [0], 1, kind="TPU v3"))
    with pytest.raises(BadInputError, match="lowered for v5e, not for v5p; leave target out"):
        asked(lowering(monkeypatch, [0], 1), target="v5p")


def test_several_devices_are_a_whole_topology_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    in_order = asked(lowering(monkeypatch, [0, 1, 2, 3], 4))
    as_make_mesh_has_them = asked(lowering(monkeypatch, [0, 1, 3, 2], 4))
    assert (in_order.topology, as_make_mesh_has_them.topology) == ("v5e:2x2", "v5e:2x2@0,1,3,2")
    assert in_order.lowered == as_make_mesh_has_them.lowered
    assert in_order.digest != as_make_mesh_has_them.digest  # the compiler is told the order
    for ids, there in (([0, 1, 3], 4), ([0, 1, 2, 3], 8), ([0, 1, 1, 3], 4)):
        with pytest.raises(BadInputError, match=f"{len(ids)} of {there} devices of v5e, and not for a whole topology"):
            asked(lowering(monkeypatch, ids, there))


def test_several_processes_are_told_to_share_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match="runs in several processes"):
        asked(lowering(monkeypatch, list(range(16)), 16, hosts=2))
    assert asked(lowering(monkeypatch, list(range(16)), 16, hosts=2, real=False)).topology == "v5e:4x4"


def test_flags_of_the_environment() -> None:
    assert init_args_of({}) == ((), ())
    flags = "--xla_a=1  -xla_b --noxla_c --xla_jf_dump_to=/tmp --xla_d -1 --vmodule a=1 --flagfile=x --xla_e word"
    assert init_args_of({"LIBTPU_INIT_ARGS": flags}) == (
        ("--xla_a=1", "-xla_b", "--noxla_c", "--xla_d", "-1", "--xla_e", "word"),
        ("left out of LIBTPU_INIT_ARGS, about files or the log: xla_jf_dump_to, vmodule, flagfile",),
    )


def test_another_flag_is_another_program(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for flags in (
        "",
        "--xla_a=1",
        "--xla_a=2",
        "--noxla_a",
        "--xla_a=1 --xla_b=1",
        "--xla_tpu_scoped_vmem_limit_kib 1",
    ):
        monkeypatch.setenv("LIBTPU_INIT_ARGS", flags)
        found = asked(module, target="v5e")
        assert found.init_args == tuple(flags.split())
        digests.add(found.digest)
    assert len(digests) == 6
    assert found.options == {"xla_tpu_scoped_vmem_limit_kib": "1"}
    assert asked(module, target="v5e", xla_tpu_scoped_vmem_limit_kib=2).options == {
        "xla_tpu_scoped_vmem_limit_kib": "2"
    }


EFFORTS = [("jax_exec_time_optimization_effort", 0.5, {"exec_time_optimization_effort": "0.5"})]
if not hasattr(jax.config, EFFORTS[0][0]):
    EFFORTS = []  # jax 0.12 has levels alone


@pytest.mark.parametrize(
    ("setting", "value", "options"),
    [
        ("jax_optimization_level", "O1", {"optimization_level": "19"}),
        ("jax_memory_fitting_level", "O3", {"memory_fitting_level": "39"}),
        ("jax_compiler_enable_remat_pass", False, {"xla_disable_hlo_passes": "rematerialization"}),
        ("jax_enable_checks", True, {}),
        *EFFORTS,
    ],
)
def test_settings_of_jax_are_part_of_the_program(
    module: Path, setting: str, value: str | float, options: dict[str, str]
) -> None:
    plain = asked(module, target="v5e")
    before = getattr(jax.config, setting)
    jax.config.update(setting, value)
    try:
        found = asked(module, target="v5e")
    finally:
        jax.config.update(setting, before)
    assert plain.options == {}
    assert found.options == options
    assert (found.digest == plain.digest) == (options == {})


def test_the_levels_are_those_of_jax() -> None:
    try:
        from jax._src.config import EffortLevel
    except ImportError:  # jax 0.12
        from jax._src.compiler import CompilerEffortLevel as EffortLevel

    assert {name: EffortLevel(name).value for name in LEVELS} == LEVELS


def test_a_level_that_is_no_number(module: Path) -> None:
    with pytest.raises(BadInputError, match="optimization_level has to be a number, not 'O1'"):
        asked(module, target="v5e", optimization_level="O1")


def test_a_saved_module(module: Path) -> None:
    assert asked(module, target="v5e").lowered == MODULE
    with pytest.raises(BadInputError, match="or arguments were given with it"):
        asked(module, SHAPE, target="v5e")


def test_importing_stays_light() -> None:
    import subprocess
    import sys

    code = (
        "import sys, mallocgame; names = dir(mallocgame); mallocgame.optimize\n"
        "assert not {'jax', 'jaxlib', 'libtpu'} & sys.modules.keys()\n"
        "try:\n    mallocgame.nothing\nexcept AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "module 'mallocgame' has no attribute 'nothing'\n"
    light = "import sys, mallocgame; assert not {'jax', 'numpy', 'mallocgame.optimizer'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", light], check=True)
    for name in mallocgame.__all__:
        assert getattr(mallocgame, name) is not None
