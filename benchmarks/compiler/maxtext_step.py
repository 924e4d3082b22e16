"""MaxText's training step (maxtext 0.2.5), as ``mallocgame memory`` and ``fit`` take it; no TPU is needed.

In an environment with MaxText (Python 3.12, ``pip install "maxtext[tpu]==0.2.5"``) and what mallocgame needs, from the
repository's root:

    python -m mallocgame fit benchmarks.compiler.maxtext_step:v5e --target v5e --budget 50%
    MAXTEXT="per_device_batch_size=512" python -m mallocgame memory benchmarks.compiler.maxtext_step:v5e --target v5e

``MAXTEXT`` has further words for MaxText's configuration. The step is made as MaxText's own
``trainers/pre_train/train_compile.py`` makes it for a topology that is not there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax
import maxtext
from flax.core.spmd import logical_axis_rules
from maxtext.configs import pyconfig
from maxtext.trainers.pre_train import train, train_compile
from maxtext.utils import maxtext_utils, sharding

BASE = Path(maxtext.__file__).parent / "configs" / "base.yml"

LIKE_LLAMA_2 = {
    "model_name": "llama2-7b",
    "override_model_config": True,
    "base_emb_dim": 1024,
    "base_num_query_heads": 8,
    "base_num_kv_heads": 8,
    "base_mlp_dim": 2816,
    "base_num_decoder_layers": 4,
    "head_dim": 128,
    "vocab_size": 8192,
    "per_device_batch_size": 2,
    "max_target_length": 1024,
    "dataset_type": "synthetic",
}
"""Llama 2 with 4 scanned layers of 1024 and 2 x 1024 tokens a device."""

QUIET = {
    "compile_topology_num_slices": 1,
    "enable_checkpointing": False,
    "base_output_directory": "out/maxtext",
    "run_name": "compiled",
    "skip_jax_distributed_system": True,
    "log_config": False,
}


class InMesh:
    """A jitted step that is traced in MaxText's mesh, by its rules for axes."""

    def __init__(self, step: Any, mesh: Any, rules: Any) -> None:
        self.step, self.mesh, self.rules = step, mesh, rules

    def __call__(self, *arguments: Any) -> Any:
        return self.step(*arguments)

    def trace(self, *arguments: Any) -> Any:
        """What ``jax.jit`` has under this name."""
        with jax.set_mesh(self.mesh), logical_axis_rules(self.rules):
            return self.step.trace(*arguments)


def training_step(topology: str, *words: str) -> tuple[InMesh, tuple[Any, ...]]:
    """The step and its abstract arguments.

    Args:
        topology: by MaxText's names, e.g. ``"v5e-4"``.
        words: ``NAME=VALUE`` of its configuration.
    """
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")  # as MaxText's own entry points set it
    chosen = {"compile_topology": topology, **QUIET, **LIKE_LLAMA_2}
    given = [f"{name}={value}" for name, value in chosen.items()]
    config = pyconfig.initialize(["train_compile", str(BASE), *given, *words])
    mesh = train_compile.get_topology_mesh(config)
    arguments, _, state, _, model = train_compile.get_shaped_inputs(mesh, config)
    parameters, state = sharding.maybe_update_params_sharding_with_opt(config, state)
    state = sharding.build_zero1_input_state_mesh_shardings(config, state, parameters)
    function, given_as, back_as, static, donated = maxtext_utils.get_functional_train_with_signature(
        train.train_step, sharding.get_input_data_sharding(config, mesh), state, model, config, parameters
    )
    step = jax.jit(
        function, in_shardings=given_as, out_shardings=back_as, static_argnums=static, donate_argnums=donated
    )
    return InMesh(step, mesh, config.logical_axis_rules), tuple(arguments)


def v5e() -> tuple[InMesh, tuple[Any, ...]]:
    """For the four chips of ``v5e:2x2``."""
    return training_step("v5e-4", *os.environ.get("MAXTEXT", "").split())


def v5p() -> tuple[InMesh, tuple[Any, ...]]:
    """For the four chips of ``v5p:2x2x1``."""
    return training_step("v5p-8", *os.environ.get("MAXTEXT", "").split())
