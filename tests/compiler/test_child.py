"""Children: every way to go wrong ends in one line, within the limits, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.compiler import child
from mallocgame.compiler.child import Limits, Request, compile_in_child
from mallocgame.system.errors import BadInputError, CompilerRefusedError, MallocgameError, NoAnswerError
from tests.compiler.models import DOTS

ROOT = Path(__file__).parents[2]
TOPOLOGY = "v5e:1x1"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Whatever happens, no folder of a compile may be left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.glob("mallocgame-*"))


@pytest.mark.parametrize("package", ["jax", "libtpu"])
def test_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = child.importlib.util.find_spec
    monkeypatch.setattr(child.importlib.util, "find_spec", lambda name: None if name == package else real(name))
    with pytest.raises(CompilerRefusedError, match=rf"{package} is not installed; install the tpu extra"):
        compile_in_child(Request(TOPOLOGY, function="tests.compiler.models:layers"))


def test_a_child_knows_nothing_of_a_tpu_host() -> None:
    host = {
        "TPU_VISIBLE_CHIPS": "0",
        "TPU_WORKER_HOSTNAMES": "a,b",
        "MEGASCALE_COORDINATOR_ADDRESS": "a:1",
        "CLOUD_TPU_TASK_ID": "1",
        "LIBTPU_INIT_ARGS": "--xla_tpu_scoped_vmem_limit_kib=1",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
        "JAX_PLATFORMS": "tpu",
        "PYTHONPATH": "/mine",
    }
    own = host | {"HOME": "/home/me", "TPU_LIBRARY_PATH": "/opt/libtpu.so", "JAX_FORCE_TPU_INIT": "1"}
    request = Request(TOPOLOGY, lowered="module @m {}", init_args=("-xla_a", "1"), vmodule="x=1")
    found = child.child_environment(own, request)
    assert found == {
        "HOME": "/home/me",
        "LIBTPU_INIT_ARGS": "-xla_a 1",
        "TPU_LIBRARY_PATH": "/opt/libtpu.so",
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_MIN_LOG_LEVEL": "0",
        "TPU_STDERR_LOG_LEVEL": "0",
        "TPU_VMODULE": "x=1",
        "PYTHONFAULTHANDLER": "",
        "PYTHONPATH": f"{ROOT}{os.pathsep}/mine",
    }
    del found["LIBTPU_INIT_ARGS"]
    assert child.child_environment(own, replace(request, init_args=())) == found
    function = Request(TOPOLOGY, function="m:f", vmodule="x=1")
    assert child.child_environment(own, function) == found | {"JAX_FORCE_TPU_INIT": "1"}


@pytest.mark.libtpu
@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        ("tests.compiler.models:raises", BadInputError, r"ValueError: first line second line \(models.py:\d+\)"),
        ("tests.compiler.models:none", BadInputError, "has no attribute 'none'"),
        ("tests.compiler.models:wrong_contract", BadInputError, "must return"),
        ("tests.compiler.models:does_not_trace", BadInputError, "TypeError"),
        ("tests.no_such_module:f", BadInputError, "No module named"),
        ("nothing", BadInputError, "is not MODULE:FUNCTION"),
        ("tests.compiler.models:exits", CompilerRefusedError, "status 7"),
    ],
)
def test_functions_that_go_wrong(function: str, kind: type[MallocgameError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        compile_in_child(Request(TOPOLOGY, function=function))
    assert "\n" not in str(caught.value)


@pytest.mark.libtpu
@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        (Request(TOPOLOGY, lowered="module @m {"), CompilerRefusedError, "refused"),
        (Request("v99:1x1", lowered="module @m {}"), CompilerRefusedError, "no TPU compiler for topology v99:1x1"),
        (
            Request(TOPOLOGY, lowered="module @m attributes {mhlo.num_partitions = 4 : i32} {}"),
            BadInputError,
            "v5e:1x1 has 1 devices, the program is for 4",
        ),
        (
            Request("v5e:2x2@0,1,2,2", lowered="module @m {}"),
            BadInputError,
            "v5e:2x2@0,1,2,2: not an order of its 4 devices",
        ),
        (
            Request("v5e", lowered="module @m attributes {mhlo.num_partitions = 512 : i32} {}"),
            BadInputError,
            "the program is for 512 devices; v5e is known with up to 256",
        ),
        (
            Request(TOPOLOGY, function="tests.compiler.models:layers", options={"xla_no_such_option": "1"}),
            CompilerRefusedError,
            "no compiler option xla_no_such_option; if it is a flag of the process, set it in LIBTPU_INIT_ARGS",
        ),
        (
            Request(TOPOLOGY, lowered="module @m {}", init_args=("--xla_no_such_flag=1",)),
            CompilerRefusedError,
            "libtpu refused a flag of LIBTPU_INIT_ARGS: Unknown command line flag 'xla_no_such_flag'",
        ),
        (
            Request(TOPOLOGY, lowered="module @m {}", init_args=("--noxla_msa_enable",)),
            CompilerRefusedError,
            "libtpu refused a flag of LIBTPU_INIT_ARGS: Illegal value '' specified for flag 'xla_msa_enable'",
        ),
    ],
)
def test_compiles_that_are_refused(request_: Request, kind: type[MallocgameError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        compile_in_child(request_)
    assert "\n" not in str(caught.value)


@pytest.mark.libtpu
def test_flags_of_libtpu_in_all_spellings_are_in_the_compile() -> None:
    def final(*init_args: str, **options: str) -> str:
        return compile_in_child(Request(TOPOLOGY, DOTS, options=options, init_args=init_args)).final

    default = final()
    assert "S(1)" in default
    assert final("--xla_sc_disjoint_spmem=false", "--xla_tpu_impure_oom_fast_exit_threshold", "-1", "word") == default
    off = final(xla_msa_enable="false")
    assert "S(1)" not in off
    for flags in (
        "--xla_msa_enable=false",
        "-xla_msa_enable=false",
        "--xla_msa_enable false",
        "word -xla_msa_enable false",
    ):
        assert final(*flags.split()) == off
    unfused = final(xla_jf_conv_output_fusion="false")
    assert unfused != default
    assert final("--noxla_jf_conv_output_fusion") == unfused
    assert final("--noxla_jf_conv_output_fusion", "--xla_jf_conv_output_fusion") == default
    assert final("--noxla_jf_conv_output_fusion", xla_jf_conv_output_fusion="true") == default


@pytest.mark.libtpu
def test_levels_of_optimization_are_in_the_compile() -> None:
    """At O1 the compiler assigns no memory space; at O3 it does."""
    low, high = (Request(TOPOLOGY, DOTS, options={"optimization_level": level}) for level in ("19", "39"))
    assert "S(1)" not in compile_in_child(low).final
    assert "S(1)" in compile_in_child(high).final


@pytest.mark.libtpu
def test_time_limit() -> None:
    started = time.monotonic()
    with pytest.raises(NoAnswerError, match="longer than 1 s"):
        compile_in_child(Request(TOPOLOGY, function="tests.compiler.models:sleeps"), Limits(seconds=1))
    assert time.monotonic() - started < 5


@pytest.mark.libtpu
def test_memory_limit() -> None:
    with pytest.raises(NoAnswerError, match=r"more than 1 GiB of memory"):
        compile_in_child(Request(TOPOLOGY, function="tests.compiler.models:takes_memory"), Limits(60, 2**30))


@pytest.mark.libtpu
def test_interrupt_kills_the_child(tmp_path: Path) -> None:
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a shell's background
        "from mallocgame.compiler.child import *\n"
        "compile_in_child(Request('v5e:1x1', function='tests.compiler.models:sleeps'))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    ) as parent:
        children: list[int] = []
        deadline = time.monotonic() + 20
        while not children and time.monotonic() < deadline:
            time.sleep(0.1)
            children = _children(parent.pid)
        assert children
        parent.send_signal(signal.SIGINT)
        assert parent.wait(timeout=10) != 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found
