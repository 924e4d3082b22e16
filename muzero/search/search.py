"""One choice for each of many positions: the network alone, or a Gumbel MuZero tree (Danihelka et al., ICLR 2022)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mctx  # type: ignore[import-untyped]

from muzero.networks import Network, Params, decode
from muzero.search import exact_rules, learned_model
from muzero.search.environment import Environment, State, Tables
from muzero.search.masks import masked
from muzero.search.options import SearchOptions, Variant


class SearchResult(NamedTuple):
    """What is chosen for each of B positions.

    Attributes:
        action: int32 [B], legal but for finished states, where it is 0.
        weights: float32 [B, moves], the improved policy, a target for training; 0 for illegal moves.
        value: float32 [B], what the rest of the episode is thought to bring; 0 for finished states.
    """

    action: jax.Array
    weights: jax.Array
    value: jax.Array


def search(
    network: Network,
    params: Params,
    environment: Environment,
    tables: Tables,
    states: State,
    key: jax.Array,
    options: SearchOptions,
    temperature: jax.Array | None = None,
) -> SearchResult:
    """Choose a move in each of B states. Pure; to be jitted by the caller, static in network, environment, options.

    The legal moves mask the root; inside the tree EXACT_RULES masks each node by its own legal moves, and LEARNED_MODEL
    trusts the policy, which has learned what is legal. Under EXACT_RULES a finished state has value 0 and what leads to
    it discount 0; under LEARNED_MODEL the network has to know.

    Args:
        tables: as ``environment`` wants them.
        states: best at a decision (``advance``); where one move is legal, it is chosen.
        key: of all randomness.
        temperature: float32 [B], of each position, instead of ``options.temperature``.
    """
    if temperature is None:
        temperature = jnp.full(states.done.shape, options.temperature, jnp.float32)
    latent = network.represent(params, environment.observe(tables, states))
    logits, value_logits = network.predict(params, latent)
    logits = masked(logits, states.legal)
    value = jnp.where(states.done, 0, decode(value_logits))
    if options.variant is Variant.POLICY_ALONE:
        return _policy_alone(logits, value, states.legal, key, temperature)
    if options.variant is Variant.EXACT_RULES:
        embedding, recurrent = states, partial(exact_rules.recurrent, network, environment, tables)
    else:
        embedding, recurrent = latent, partial(learned_model.recurrent, network)
    found = mctx.gumbel_muzero_policy(
        params,
        key,
        mctx.RootFnOutput(prior_logits=logits, value=value, embedding=embedding),
        recurrent,
        options.simulations,
        invalid_actions=~states.legal,
        max_depth=options.max_depth,
        qtransform=partial(mctx.qtransform_completed_by_mix_value, epsilon=options.resolution),
        max_num_considered_actions=network.moves,
        gumbel_scale=temperature[:, None],
    )
    weights = jnp.where(states.legal, found.action_weights, 0)
    value = jnp.where(states.done, 0, found.search_tree.node_values[:, 0])
    return SearchResult(found.action, weights, value)


def _policy_alone(
    logits: jax.Array, value: jax.Array, legal: jax.Array, key: jax.Array, temperature: jax.Array
) -> SearchResult:
    noise = temperature[:, None] * jax.random.gumbel(key, logits.shape, jnp.float32)
    action = jnp.argmax(jnp.where(legal, logits + noise, -jnp.inf), axis=-1).astype(jnp.int32)
    return SearchResult(action, jnp.where(legal, jax.nn.softmax(logits, axis=-1), 0), value)
