"""The memory game in JAX: the rules of ``mallocgame.game.rules`` as pure functions that can be jitted and vmapped.

Importing this turns on 64-bit numbers in JAX (``jax_enable_x64``): times are float64, as in the reference.

    program = Program(problem)
    tables = tables_of(program, size_class_of(program))
    state = jax.jit(start)(tables)
    state, seconds_saved = jax.jit(step)(tables, state, move)

One compiled ``step`` serves all problems of a size class; stack the tables of several and ``vmap`` over them.
"""

from __future__ import annotations

import jax

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

from muzero.environment.conformance import ConformanceError, check  # noqa: E402
from muzero.environment.known import is_fast, with_known, with_places  # noqa: E402
from muzero.environment.observation import (  # noqa: E402
    BINS,
    BOARD_CHANNELS,
    SCALARS,
    SITES_AHEAD,
    SUPPLY_CHANNELS,
    USE_FEATURES,
    Observation,
    observe,
)
from muzero.environment.plans import plan_of  # noqa: E402
from muzero.environment.sizes import SIZE_CLASSES, SizeClass  # noqa: E402
from muzero.environment.state import State  # noqa: E402
from muzero.environment.steps import PASS, auto_reset, auto_reset_to, start, step  # noqa: E402
from muzero.environment.tables import Tables, size_class_of, tables_of  # noqa: E402

ENVIRONMENT_VERSION = 2
"""Goes up when the same moves give other states, rewards or observations; checkpoints carry it."""

__all__ = [
    "BINS",
    "BOARD_CHANNELS",
    "ENVIRONMENT_VERSION",
    "PASS",
    "SCALARS",
    "SITES_AHEAD",
    "SIZE_CLASSES",
    "SUPPLY_CHANNELS",
    "USE_FEATURES",
    "ConformanceError",
    "Observation",
    "SizeClass",
    "State",
    "Tables",
    "auto_reset",
    "auto_reset_to",
    "check",
    "is_fast",
    "observe",
    "plan_of",
    "size_class_of",
    "start",
    "step",
    "tables_of",
    "with_known",
    "with_places",
]
