"""Settings of JAX that change what a program is compiled to, as compiler options."""

from __future__ import annotations

import sys
from typing import Any

from mallocgame.plan.compiler_options import DISABLED_PASSES, LEVELS

_LEVELS = {"optimization_level": "UNKNOWN", "memory_fitting_level": "O2"}
_EFFORTS = ("exec_time_optimization_effort", "memory_fitting_effort")
"""JAX's settings of these names, without ``jax_``; of levels with their defaults, those of efforts are zero."""


def options_of(config: Any) -> dict[str, str]:
    """What ``jax.config`` says beside JAX's defaults; it has no other setting that reaches the TPU's compiler.

    Args:
        config: ``jax.config``; a setting that this JAX does not have is at its default.
    """
    options = {} if getattr(config, "jax_compiler_enable_remat_pass", True) else {DISABLED_PASSES: "rematerialization"}
    for name, default in _LEVELS.items():
        level = getattr(config, f"jax_{name}", default)
        if level != default:
            options[name] = str(LEVELS[level])
    for name in _EFFORTS:
        effort = getattr(config, f"jax_{name}", 0.0)
        if effort != 0.0:
            options[name] = str(effort)
    return options


def options_of_jax() -> dict[str, str]:
    """The compiler options by JAX's settings in this process; none where it has not loaded JAX."""
    return options_of(sys.modules["jax"].config) if "jax" in sys.modules else {}
