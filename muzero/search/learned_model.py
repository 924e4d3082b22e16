"""Trees on the learned model: a node is a latent vector. Legality, rewards and the end are the network's guess."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mctx  # type: ignore[import-untyped]

from muzero.networks import Network, Params, decode


def recurrent(
    network: Network, params: Params, key: jax.Array, move: jax.Array, latent: jax.Array
) -> tuple[mctx.RecurrentFnOutput, jax.Array]:
    """mctx's recurrent function: the dynamics, and the prediction for where they lead."""
    del key
    latent, rewards = network.dynamics(params, latent, move)
    logits, values = network.predict(params, latent)
    reward = decode(rewards)
    output = mctx.RecurrentFnOutput(
        reward=reward, discount=jnp.ones_like(reward), prior_logits=logits, value=decode(values)
    )
    return output, latent
