"""The recipes run as they are written, with the real compiler; a second run finds the first one's answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.libtpu

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PRINTS = {
    "plain_jax": ("jit_infer for v5p: ", "bytes of temporaries; kept in "),
    "flax_training": ("jit_train_step for v6e: ", "compiled with "),
    "maxtext_flags": ("jit_block for v5e: ", "compile_xla_flags: --xla_tpu_spmd_rng_bit_generator_unsafe=true "),
    "libtpu_init_args": ("jit_infer for v4 lite: ", "compiled under "),
}


def run(name: str, cache: Path) -> list[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu"}
    for variable in ("LIBTPU_INIT_ARGS", "XLA_FLAGS"):
        environment.pop(variable, None)
    script = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(script, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def test_every_recipe_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PRINTS)


@pytest.mark.parametrize("name", PRINTS)
def test_a_recipe_runs_and_its_second_run_is_the_same(name: str, tmp_path: Path) -> None:
    first = run(name, tmp_path)
    assert first[0].startswith(PRINTS[name][0])
    assert PRINTS[name][1] in first[1]
    assert "confirmed by the compiler" in first[0]
    (answer,) = (tmp_path / "mallocgame").glob("*.json")
    written = answer.stat().st_ino
    assert run(name, tmp_path) == first
    assert answer.stat().st_ino == written
