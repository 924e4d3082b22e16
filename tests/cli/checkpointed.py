"""A step whose blocks are under a policy, for the programs that the tests write."""

from __future__ import annotations

CHECKPOINTED = """
import jax, jax.ad_checkpoint, jax.numpy as jnp

S = jax.ShapeDtypeStruct
policies = jax.checkpoint_policies


def checkpointed(policy):
    '''Of each of two blocks `hidden` is saved for the backward pass: 8192 x 4096 in bf16, 64 MiB.'''
    def block(w, x):
        return x + jax.ad_checkpoint.checkpoint_name(jnp.tanh(x @ w[0]), "hidden") @ w[1]
    def loss(ws, x):
        for w in ws:
            x = jax.checkpoint(block, policy=policy)(w, x)
        return jnp.mean(x.astype(jnp.float32) ** 2)
    w = S((1024, 4096), jnp.bfloat16), S((4096, 1024), jnp.bfloat16)
    return jax.jit(jax.grad(loss)), ([w] * 2, S((8192, 1024), jnp.bfloat16))


def offloaded():
    return checkpointed(policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[], names_which_can_be_offloaded=["hidden"],
        offload_src="device", offload_dst="pinned_host",
    ))
"""
