"""Trees on the true rules: a node is a state of the environment."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mctx  # type: ignore[import-untyped]

from muzero.networks import Network, Params, decode
from muzero.search.environment import Environment, State, Tables
from muzero.search.forced import decide
from muzero.search.masks import masked

FORCED_MOVES = 8
"""Forced moves after a decision that belong to the same edge of the tree; what is left of them gets nodes of its own,
so that one position with many does not make the whole batch wait."""


def recurrent(
    network: Network,
    environment: Environment,
    tables: Tables,
    params: Params,
    key: jax.Array,
    move: jax.Array,
    states: State,
) -> tuple[mctx.RecurrentFnOutput, State]:
    """mctx's recurrent function: where a move leads, and what the network thinks of that."""
    del key
    states, rewards = decide(environment, tables, states, move, FORCED_MOVES)
    logits, values = network.predict(params, network.represent(params, environment.observe(tables, states)))
    output = mctx.RecurrentFnOutput(
        reward=rewards,
        discount=jnp.where(states.done, 0.0, 1.0).astype(jnp.float32),
        prior_logits=masked(logits, states.legal),
        value=jnp.where(states.done, 0, decode(values)),
    )
    return output, states
