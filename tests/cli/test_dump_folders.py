"""Folders that ``xla_dump_to`` wrote, as programs: which module, for which target and devices, with which options."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mallocgame
from mallocgame.programs import compiled_file
from mallocgame.programs.dump_program import chosen_module, dumped_target, program_of_dump
from mallocgame.programs.loading import load
from mallocgame.programs.readers import dump_folder
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from tests.bench.fake import STORED, stored
from tests.cli.support import PROGRAM, Outcome
from tests.cli.test_programs_of_any_framework import TEXT

Run = Callable[..., Outcome]
ARGUMENTS = """configured_properties {{
  routing_strategy: ROUTING_MESH
}}
tpu_topology_args {{
  version: TPU_VERSION_{version}
{variant}  platform_type: TPU_PLATFORM_TYPE_HARDWARE
  chips_per_host_bounds {{
    x: 2
    y: 2
    z: 1
  }}
  host_bounds {{
    x: 1
    y: {hosts}
    z: 1
  }}
}}
"""
EXECUTION = """num_replicas: 1
device_assignment {
  replica_count: 1
  computation_count: 4
  computation_devices {
    replica_device_ids: 0
  }
  computation_devices {
    replica_device_ids: 1
  }
  computation_devices {
    replica_device_ids: 3
  }
  computation_devices {
    replica_device_ids: 2
  }
}
"""
ENVIRONMENT = """xla_enable_async_collective_permute: AUTO
# xla_tpu_rwb_fusion in the current tpu_comp_env has a non-default value. Default flag value: true
xla_tpu_rwb_fusion: false
# xla_tpu_scoped_vmem_limit_kib in the current tpu_comp_env has a non-default value. Default flag value: -1
xla_tpu_scoped_vmem_limit_kib: 24576
# xla_enable_async_all_gather in the current tpu_comp_env has a non-default value. Default flag value: auto
xla_enable_async_all_gather: ENABLED
# xla_tpu_msa_tensor_overrides in the current tpu_comp_env has a non-default value. Default flag value: auto
xla_tpu_msa_tensor_overrides {
  msa_tensor_overrides {
    overrides {
      keep_in_default_memory {
      }
    }
  }
}
# xla_tpu_profile_path in the current tpu_comp_env has a non-default value. Default flag value: ""
xla_tpu_profile_path: "/etc/passwd"
xla_tpu_allocate_scoped_vmem_at_same_offset: true
"""


def _arguments(version: str = "VIPERFISH", variant: str = "", hosts: int = 1) -> str:
    return ARGUMENTS.format(version=version, variant=f'  variant: "{variant}"\n' if variant else "", hosts=hosts)


def _write(folder: Path, beginning: str, **files: str) -> None:
    """Files of a module; ``before_optimizations`` is ``.before_optimizations.txt``."""
    for name, text in files.items():
        (folder / f"{beginning}.{name}{'' if name == 'debug_options' else '.txt'}").write_text(text)


@pytest.fixture
def dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dump of two modules, compiled for v5p; captures are made by a compiler that knows one program."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "dump"
    folder.mkdir()
    small = TEXT.replace("  ROOT answer = f32[256,256]{1,0} tanh(product)\n", "").replace("  product", "  ROOT product")
    _write(folder, "module_0001.jit_step.cl_1", before_optimizations=TEXT, target_arguments=_arguments())
    _write(folder, "module_0002.jit_small.cl_1", before_optimizations=small, target_arguments=_arguments())
    return folder


@pytest.mark.parametrize(
    ("version", "variant", "hosts", "target", "topology"),
    [
        ("PUFFERFISH", "lite", 1, "v4 lite", "v4 lite:2x2"),
        ("PUFFERFISH", "", 2, "v4", "v4:2x4x1"),
        ("VIPERFISH", "lite", 1, "v5e", "v5e:2x2"),
        ("VIPERFISH", "", 1, "v5p", "v5p:2x2x1"),
        ("GHOSTLITE", "", 2, "v6e", "v6e:2x4"),
        ("6acc60406", "", 1, "tpu7x", "tpu7x:2x2x1"),
    ],
)
def test_it_says_its_target(dump: Path, version: str, variant: str, hosts: int, target: str, topology: str) -> None:
    _write(dump, "module_0001.jit_step.cl_1", target_arguments=_arguments(version, variant, hosts))
    assert dumped_target(chosen_module(dump, "jit_step")[0]) == (target, topology)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "damaged"), (_arguments("JELLYFISH"), "is of TPU version JELLYFISH, which is not known")],
)
def test_a_target_that_cannot_be_read(dump: Path, run: Run, text: str, words: str) -> None:
    _write(dump, "module_0001.jit_step.cl_1", target_arguments=text)
    outcome = run("inspect", dump)
    assert outcome.code == 2
    assert words in outcome.error


def test_devices_and_options(dump: Path) -> None:
    config = "memory_fitting_level: EFFORT_O1\noptimization_level: EFFORT_UNKNOWN\n"
    passes = 'xla_dump_to: "/x"\nxla_disable_hlo_passes: "rematerialization"\n'
    beginning = "module_0001.jit_step.cl_1"
    _write(dump, beginning, execution_options=EXECUTION, tpu_comp_env=ENVIRONMENT, hlo_module_config=config)
    _write(dump, beginning, debug_options=passes)
    program = program_of_dump(chosen_module(dump, None)[0], "v5p")
    assert program.topology == "v5p:2x2x1@0,1,3,2"
    assert program.options == {
        "xla_tpu_rwb_fusion": "false",
        "xla_tpu_scoped_vmem_limit_kib": "24576",
        "xla_enable_async_all_gather": "true",
        "xla_tpu_msa_tensor_overrides": "overrides { keep_in_default_memory { } }",
        "memory_fitting_level": "19",
        "xla_disable_hlo_passes": "rematerialization",
    }
    assert program.notes == ("left out of the dump's options, about files: xla_tpu_profile_path",)


def test_it_is_compiled_as_it_was(dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def compile_it(path: str, args: None, target: str, out: Path, **how: object) -> None:
        asked.append((Path(path).name, target, how["topology"], how["options"], how["init_args"]))
        out.write_bytes(STORED.read_bytes())

    monkeypatch.setattr(compiled_file, "capture", compile_it)
    for module in (compiled_file, dump_folder):
        name = "installed_versions" if module is compiled_file else "versions_here"
        monkeypatch.setattr(module, name, lambda: {"libtpu": "1"})
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_a=1")
    small, step = "module_0002.jit_small.cl_1", "module_0001.jit_step.cl_1"
    for beginning in (small, step):
        _write(dump, beginning, target_arguments=_arguments("PUFFERFISH", "lite"))
    told: list[str] = []
    loaded = load(dump, progress=told.append)
    listing = "2 modules: jit_step (3 instructions), jit_small (2 instructions)"
    assert told[:2] == ["target v4 lite: the file says so", f"{listing}; jit_step is taken, --module NAME for another"]
    assert loaded.problem.fingerprint == stored().problem().fingerprint
    assert told[1] in loaded.problem.notes
    load(dump, module="jit_small")
    load(dump, module=small)
    assert asked == [
        (f"{step}.before_optimizations.txt", "v4 lite", "v4 lite:2x2", {}, ()),
        (f"{small}.before_optimizations.txt", "v4 lite", "v4 lite:2x2", {}, ()),
    ]
    with pytest.raises(BadInputError, match="is for v4 lite, not for v5e; leave --target out"):
        load(dump, "v5e")


def test_a_schedule_where_no_compiler_is(dump: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_folder, "versions_here", dict)
    _write(dump, "module_0001.jit_step.cl_1", after_optimizations_before_buffer_assignment=PROGRAM)
    document = json.loads(run("inspect", dump, "--json").out)
    assert (document["module"], document["target"], document["tensors"]) == ("small", "v5p", 7)
    assert run("capture", dump, "--module", "nothing", "--out", dump / "x.mgz").code == 2


@pytest.mark.parametrize(
    ("mark", "kind"), [("cpu_after_optimizations", "CPU"), ("sm_9.0_gpu_after_optimizations", "GPU")]
)
def test_other_backends(dump: Path, run: Run, mark: str, kind: str) -> None:
    _write(dump, "module_0003.jit_host", before_optimizations=TEXT, **{mark: TEXT})
    assert chosen_module(dump, None)[0].name == "jit_step"
    for file in dump.glob("*cl_1*"):
        file.unlink()
    outcome = run("solve", dump)
    assert outcome.code == 2
    assert f"was dumped by the compiler of a {kind}; give the file module_0003.jit_host.before_opt" in outcome.error


def test_what_is_no_dump(tmp_path: Path, run: Run, dump: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no module here" in run("capture", empty, "--out", tmp_path / "x.mgz").error
    (empty / "module_0001.jit_f.cl_1.after_codegen.txt").write_text(PROGRAM)
    assert "no module here" in run("inspect", empty).error
    (dump / "module_0002.jit_small.cl_1.before_optimizations.txt").write_bytes(gzip.compress(TEXT.encode())[:-20])
    assert "cannot read the file" in run("inspect", dump).error


def test_two_of_one_name(dump: Path) -> None:
    _write(dump, "module_0009.jit_step.cl_1", before_optimizations=TEXT)
    with pytest.raises(BadInputError, match="several modules have the name 'jit_step'; there are: module_0001"):
        chosen_module(dump, "jit_step")
    assert chosen_module(dump, "module_0009.jit_step.cl_1")[0].name == "jit_step"


def test_a_proto_of_several_devices(dump: Path) -> None:
    beginning = "module_0001.jit_step.cl_1"
    (dump / f"{beginning}.before_optimizations.txt").rename(dump / f"{beginning}.before_optimizations.hlo.pb")
    _write(dump, beginning, execution_options=EXECUTION)
    module = chosen_module(dump, "jit_step")[0]
    assert module.instructions is None
    with pytest.raises(BadInputError, match="a proto does not say its devices, of which it has 4: dump it as text"):
        program_of_dump(module, "v5p")


@pytest.mark.libtpu
def test_a_real_dump(dump: Path, run: Run, tmp_path: Path) -> None:
    _write(
        dump, "module_0001.jit_step.cl_1", target_arguments=_arguments("VIPERFISH", "lite"), tpu_comp_env=ENVIRONMENT
    )
    document = json.loads(run("capture", dump, "--module", "jit_step", "--out", tmp_path / "step.mgz", "--json").out)
    assert (document["module"], document["target"], document["topology"]) == ("step", "v5e", "v5e:2x2")
    assert document["options"]["xla_tpu_scoped_vmem_limit_kib"] == "24576"
    plan = mallocgame.optimize(dump, module="jit_small", compiles=1, time_limit=2, cache=tmp_path / "answers")
    assert (plan.target, plan.confirmed) == ("v5p", True)


def test_what_the_compiler_refuses_is_read_from_its_schedule(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dump of a compile that ran out of memory tells what filled it."""

    def refuses(*_: object, **__: object) -> None:
        raise CompilerRefusedError("the compiler refused: RESOURCE_EXHAUSTED")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled_file, "capture", refuses)
    monkeypatch.setattr(compiled_file, "installed_versions", lambda: {"libtpu": "1"})
    monkeypatch.setattr(dump_folder, "versions_here", lambda: {"libtpu": "1"})
    folder = tmp_path / "dump"
    folder.mkdir()
    beginning = folder / "module_0000.small"
    beginning.with_suffix(".small.before_optimizations.txt").write_text(TEXT)
    outcome = run("inspect", folder, "--target", "v5e")
    assert (outcome.code, "RESOURCE_EXHAUSTED" in outcome.error) == (4, True)
    beginning.with_suffix(".small.after_optimizations_before_buffer_assignment.txt").write_text(PROGRAM)
    outcome = run("inspect", folder, "--target", "v5e")
    assert outcome.code == 0
    assert "peak" in outcome.out
    assert "note: not compiled anew: the compiler refused: RESOURCE_EXHAUSTED" in outcome.out
