"""The one-liner with the real compiler: what the user compiles is what was confirmed, whatever this process holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.libtpu

ROOT = Path(__file__).parents[2]

SCRIPT = """
import fcntl, glob, json, sys
lock = open("/tmp/libtpu_lockfile", "a")  # what a process that holds a TPU has locked
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

import jax, mallocgame, workloads
from mallocgame.optimizer import search

folder = sys.argv[1]
finals = {}

def compile(request, limits=None, real=search.compile_in_child):
    compiled = real(request, limits)
    finals[json.dumps(dict(request.options), sort_keys=True)] = compiled.final
    return compiled

search.compile_in_child = compile
function, args = workloads.get("tiny")()
lowered = jax.jit(function).lower(*mallocgame.abstract("v5e", *args))  # libtpu is in this process now
plan = mallocgame.optimize(lowered, time_limit=3, compiles=3, cache=folder + "/cache")
search.compile_in_child = None
again = mallocgame.optimize(lowered, time_limit=3, compiles=3, cache=folder + "/cache")
plan.check(lowered)
plan.check(function, *args, target="v5e")
try:
    plan.check(jax.jit(lambda x: x).lower(*mallocgame.abstract("v5e", args[0])))
except mallocgame.system.errors.BadInputError as error:
    refusal = str(error)
dump = {"xla_dump_to": folder + "/dump", "xla_dump_compact_gte": False}
lowered.compile(compiler_options=plan.compiler_options | dump)
(final,) = glob.glob(folder + "/dump/*.after_codegen.txt")
print(json.dumps({
    "verdict": plan.verdict, "kind": plan.kind, "saving": plan.saving, "confirmed": plan.confirmed,
    "flags": plan.flags(), "same": again == plan, "from_cache": again.from_cache, "refusal": refusal,
    "compiled": open(final).read(),
    "confirmed_final": finals[json.dumps(dict(plan.options), sort_keys=True)],
}))
"""

FLAGS = """
import glob, sys
import jax, mallocgame, workloads

function, args = workloads.get("tiny")()
lowered = jax.jit(function).lower(*mallocgame.abstract("v5e", *args))
lowered.compile(compiler_options={"xla_dump_to": sys.argv[1], "xla_dump_compact_gte": False})
(final,) = glob.glob(sys.argv[1] + "/*.after_codegen.txt")
print(open(final).read())
"""


def run(script: str, *arguments: object, **environment: str) -> str:
    """The output of a process with these variables in its environment, on a host that seems to have a TPU slice."""
    host = {"TPU_WORKER_HOSTNAMES": "a,b", "TPU_VISIBLE_CHIPS": "0", "TPU_WORKER_ID": "1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | host | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": "/nowhere"} | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def instructions(final: str) -> list[str]:
    """The instructions of a final text without the places of their sources."""
    plain = re.sub(r", metadata=\{[^{}]*\}", "", final)
    return [line for line in plain.splitlines() if line.startswith("  ") and " = " in line]


PROCESSES = {
    "plain": {},
    "flags": {
        "LIBTPU_INIT_ARGS": "-xla_tpu_scoped_vmem_limit_kib 20000 --noxla_jf_conv_output_fusion"
        " --xla_sc_disjoint_spmem=false --xla_tpu_impure_oom_fast_exit_threshold=-1",
    },
    "settings of jax": {"JAX_OPTIMIZATION_LEVEL": "O3", "JAX_COMPILER_ENABLE_REMAT_PASS": "0"},
}
"""What is in the environment of a process that compiles, and asks for an answer."""


@pytest.fixture(scope="module", params=PROCESSES)
def process(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, process: str) -> dict[str, Any]:
    output = run(SCRIPT, tmp_path_factory.mktemp("optimized"), **PROCESSES[process])
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    return answer


def test_the_answer_is_confirmed_and_never_worse(found: dict[str, Any]) -> None:
    assert found["confirmed"]
    assert found["verdict"] in ("better", "equal")
    assert (found["verdict"] == "equal") == (found["kind"] == "xla default")
    assert min(found["saving"]) >= -0.025


def test_the_second_call_needs_no_compiler(found: dict[str, Any]) -> None:
    assert found["from_cache"]
    assert found["same"]


def test_the_answer_is_for_this_program_however_its_device_is_said(found: dict[str, Any]) -> None:
    assert "the answer is for another program" in found["refusal"]


def test_what_lowered_compile_gives_is_what_was_confirmed(found: dict[str, Any]) -> None:
    confirmed = instructions(found["confirmed_final"])
    assert len(confirmed) > 50
    assert instructions(found["compiled"]) == confirmed


def test_flags_give_the_same_program(found: dict[str, Any], process: str, tmp_path: Path) -> None:
    output = run(FLAGS, tmp_path, **{**PROCESSES[process], "LIBTPU_INIT_ARGS": found["flags"]})
    assert found["flags"].startswith(PROCESSES[process].get("LIBTPU_INIT_ARGS", ""))
    assert instructions(output) == instructions(found["confirmed_final"])
