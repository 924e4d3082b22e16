"""``memory``: captures, dumps, messages, and programs that do not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.checkpointed import CHECKPOINTED
from tests.cli.support import Outcome
from tests.report.memory.made import ASSIGNMENT, MODULE, REPORT

Run = Callable[..., Outcome]
KEPT = Path(__file__).parents[1] / "kept" / "data"

MESSAGE = """RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20.50G of 15.48G hbm. Too much.

  Largest program allocations in hbm:

  1. Size: 16.00G
     Operator: op_name="jit(f)/gather" source_file="model.py" source_line=12
     Shape: f32[33554432,1]{1,0:T(8,128)}
     Unpadded size: 128.00M
     XLA label: fusion.1 = fusion(param.1), kind=kLoop
     Allocation type: HLO temp
     ==========================
"""


def test_capture(run: Run) -> None:
    out = run("memory", KEPT / "tiny.mgz").out
    assert "jit_infer for v4 lite\nHBM          5.62 MiB of 7.75 GiB: fits\n" in out
    assert "by kind      arguments 5.543 MiB, outputs 16 KiB, temporaries 64.5 KiB, thread-local 1.5 KiB\n" in out
    assert "fast memory  24.77 MiB of 128.00 MiB: fits\n" in out
    row = next(line for line in out.splitlines() if line.startswith("x.1  "))
    assert row.split()[:6] == ["x.1", "4", "MiB", "2", "x", "argument"]


def test_document(run: Run) -> None:
    document = json.loads(run("memory", KEPT / "tiny.mgz", "--json").out)
    assert (document["command"], document["fits"]) == ("memory", True)
    (peak,) = document["peaks"]
    assert peak["live"] + peak["rest"] == document["memories"][0]["total"] == sum(document["kinds"].values()) == 5896192


def test_dump_folder_is_taken_as_it_is(run: Run, tmp_path: Path) -> None:
    """As a compile leaves it that ran out of memory: no code, and no text of where it began."""
    for end, text in {
        "after_optimizations_before_buffer_assignment": MODULE,
        "after_optimizations": MODULE,
        "after_optimizations-buffer-assignment": ASSIGNMENT.replace("540672", "99999999999"),
        "after_optimizations-memory-usage-report": REPORT.replace("549376", "100000008703"),
    }.items():
        (tmp_path / f"module_0000.made.cl_1.{end}.txt").write_text(text)
    outcome = run("memory", tmp_path, "--target", "v5e")
    assert outcome.code == 0
    assert "HBM          93.13 GiB of 15.75 GiB: does not fit, 77.38 GiB too much\n" in outcome.out
    assert "93.13 GiB of the temporaries hold nothing then" in outcome.out


BEFORE = """HloModule made, buffer_donor={ (0, {}) }

ENTRY %main (x: f32[1024], s: f32[1024]) -> (f32[1024]) {
  %x = f32[1024] parameter(0)
  %s = f32[1024] parameter(1)
  ROOT %t = (f32[1024]) tuple(%s)
}
"""


def test_a_dump_says_what_was_donated(run: Run, tmp_path: Path) -> None:
    """Of 8,704 bytes, x's 4,096 were donated: its place is no output's, for the one of its shape has that of s."""
    for end, text in {
        "before_optimizations": BEFORE,
        "after_optimizations_before_buffer_assignment": MODULE,
        "after_optimizations": MODULE,
        "after_optimizations-buffer-assignment": ASSIGNMENT.partition("allocation 3")[0],
    }.items():
        (tmp_path / f"module_0000.made.cl_1.{end}.txt").write_text(text)
    out = run("memory", tmp_path, "--target", "v5e").out
    assert (
        "x f32[1024]{0:T(1024)}, 4 KiB, is donated, and no output took its place: the outputs of its shape (1)" in out
    )


def test_message(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "message.txt"
    file.write_text(MESSAGE)
    outcome = run("memory", file)
    assert outcome.code == 0
    first = outcome.out.splitlines()[:10]
    assert first[1] == "HBM          20.50 GiB of 15.48 GiB: does not fit, 5.02 GiB too much"
    assert "16 GiB for 128 MiB of elements (128 x): 1 elements of dimension 1 are padded to 128" in first[2]
    assert "listed       16 GiB of HBM in its largest allocations; not listed 4.5 GiB" in first
    assert "jit(f)/gather, model.py:12" in outcome.out


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("small.mgp", None, "has no buffer assignment, which says what lies where: give a capture"),
        ("log.txt", MESSAGE.replace("16.00G", "much"), "log.txt:0:0: 'much' is not a size such as 1.50G"),
        ("log.txt", "nothing of interest", "log.txt:1:1: "),
    ],
)
def test_bad_input_is_one_line(run: Run, tmp_path: Path, name: str, text: str | None, words: str) -> None:
    file = tmp_path / name
    file.write_bytes((KEPT / "tiny.mgp").read_bytes() if text is None else text.encode())
    outcome = run("memory", file)
    assert outcome.code == 2
    assert words in outcome.error


PROGRAMS = f"""
import jax, jax.numpy as jnp

S = jax.ShapeDtypeStruct


def too_big():
    '''The gather's rows of three are padded to 128: 4 GiB take 170.'''
    def take(index, table):
        return jnp.sort(jnp.take(table, index, axis=0), axis=0)
    return jax.jit(take), (S((360_000_000,), jnp.int32), S((1000, 3), jnp.float32))


def step():
    def train(state, x):
        return state + x.sum(0, dtype=jnp.float32), jnp.sin(x)
    return jax.jit(train, donate_argnums=0), (S((512, 512), jnp.float32), S((64, 512, 512), jnp.bfloat16))

{CHECKPOINTED}"""


@pytest.mark.libtpu
def test_a_program_that_does_not_fit(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "programs_of_memory.py").write_text(PROGRAMS)
    monkeypatch.chdir(tmp_path)
    outcome = run("memory", "programs_of_memory:too_big", "--target", "v5e")
    assert outcome.code == 0
    first = outcome.out.splitlines()[:10]
    assert "of 15.75 GiB: does not fit, " in first[1]
    assert any("3 elements of dimension 1 are padded to" in line for line in first)
    assert any("programs_of_memory.py:10: " in line for line in first)


@pytest.mark.libtpu
def test_the_hosts_memory_is_apart(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "programs_of_memory.py").write_text(PROGRAMS)
    monkeypatch.chdir(tmp_path)
    document = json.loads(run("memory", "programs_of_memory:offloaded", "--target", "v5e", "--json").out)
    totals = {memory["name"]: memory["total"] for memory in document["memories"]}
    hbm, host = document["peaks"]
    assert (hbm["memory_space"], host["memory_space"]) == (0, 5)
    assert totals["host"] == host["live"] + host["rest"] == 2 * 2**26
    assert [buffer["size"] for buffer in host["buffers"]] == [2**26, 2**26]
    assert totals["HBM"] == hbm["live"] + hbm["rest"] == sum(document["kinds"].values())


ANALYSIS = """
import json, os, sys
import jax
from jax.sharding import SingleDeviceSharding
from mallocgame.compiler.described import describe
import programs_of_memory

(device,) = describe("v5e:1x1")
function, args = programs_of_memory.step()
one = SingleDeviceSharding(device)
placed = [jax.ShapeDtypeStruct(arg.shape, arg.dtype, sharding=one) for arg in args]
found = function.lower(*placed).compile().memory_analysis()
names = ("argument", "output", "alias", "generated_code")
print(json.dumps({name: getattr(found, f"{name}_size_in_bytes") for name in names}))
"""


@pytest.mark.libtpu
def test_kinds_are_those_of_memory_analysis(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its temporaries are another figure: of this program 0, where the buffer assignment has 33,280 bytes."""
    (tmp_path / "programs_of_memory.py").write_text(PROGRAMS)
    monkeypatch.chdir(tmp_path)
    document = json.loads(run("memory", "programs_of_memory:step", "--target", "v5e", "--json").out)
    kinds = document["kinds"]
    quiet = {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    said = subprocess.run(
        [sys.executable, "-c", ANALYSIS],
        env={**os.environ, **quiet, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(said.splitlines()[-1]) == {
        "argument": kinds["arguments"] + kinds["aliased"],
        "output": kinds["outputs"] + kinds["aliased"],
        "alias": kinds["aliased"],
        "generated_code": document["code_bytes"],
    }
