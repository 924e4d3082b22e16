"""Updates of the parameters, the batch sharded over the devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
from jax.sharding import Mesh, NamedSharding

from mallocgame.system.errors import MallocgameError
from muzero.networks import Network, Params
from muzero.training.config import LearnerConfig
from muzero.training.losses import Losses, losses
from muzero.training.replay import Batch
from muzero.training.self_play import ALL, LANES


class Learner(NamedTuple):
    """What updates change.

    Attributes:
        params: of the network.
        target: parameters of a while ago, for reanalyse.
        optimiser: optax's state.
        updates: int32, how many there were.
    """

    params: Params
    target: Params
    optimiser: Any
    updates: jax.Array


class NotFiniteError(MallocgameError):
    """A loss is infinite or no number: the parameters are of no use any more."""


def learning_rate(config: LearnerConfig) -> optax.Schedule:
    """Update -> rate: up in a line, then down in a cosine."""
    peak = config.learning_rate
    parts: list[optax.Schedule] = [optax.linear_schedule(peak / (config.warm_up + 1), peak, config.warm_up)]
    if config.decay:
        parts.append(optax.cosine_decay_schedule(peak, config.decay, config.final_share))
    else:
        parts.append(optax.constant_schedule(peak))
    return optax.join_schedules(parts, [config.warm_up])


def optimiser(config: LearnerConfig) -> optax.GradientTransformation:
    """AdamW on clipped gradients."""
    adam = optax.adamw(learning_rate(config), weight_decay=config.weight_decay)
    return optax.chain(optax.clip_by_global_norm(config.clip), adam)


def begin(config: LearnerConfig, mesh: Mesh, params: Params) -> Learner:
    """Before the first update of these parameters, on all devices."""

    def made(params: Params) -> Learner:
        return Learner(params, params, optimiser(config).init(params), jnp.zeros((), jnp.int32))

    learner: Learner = jax.jit(made, out_shardings=NamedSharding(mesh, ALL))(params)
    return learner


def on_devices(mesh: Mesh, learner: Learner) -> Learner:
    """The same numbers, on all devices as ``begin`` has them."""
    placed: Learner = jax.device_put(learner, NamedSharding(mesh, ALL))
    return placed


def update(
    network: Network, config: LearnerConfig, mesh: Mesh, learner: Learner, batch: Batch
) -> tuple[Learner, Losses]:
    """One step of the optimiser; and, when it is time, the target parameters become the new ones."""
    return _update(network, config, mesh)(learner, batch)  # type: ignore[no-any-return]


def check_finite(config: LearnerConfig, first: int, found: list[Losses]) -> None:
    """Check the losses of updates ``first``, ``first`` + 1, ....

    Raises:
        NotFiniteError: one is not finite; it names the loss, the update and the learning rate.
    """
    rate = learning_rate(config)
    for number, one in enumerate(found):
        for name in ("policy", "value", "reward", "total"):
            value = float(getattr(one, name))
            if not np.isfinite(value):
                raise NotFiniteError(
                    f"the {name} loss is {value} at update {first + number}, learning rate "
                    f"{float(rate(first + number)):g}: training stops; the last checkpoint is from before (a lower "
                    "learning_rate or clip may help)"
                )


@cache
def _update(network: Network, config: LearnerConfig, mesh: Mesh) -> Callable[..., Any]:
    change = optimiser(config)

    def loss(params: Params, batch: Batch) -> tuple[jax.Array, Losses]:
        found = losses(network, params, batch, config.value_weight, config.reward_weight)
        return found.total, found

    def run(learner: Learner, batch: Batch) -> tuple[Learner, Losses]:
        gradient, found = jax.grad(loss, has_aux=True)(learner.params, batch)
        steps, state = change.update(gradient, learner.optimiser, learner.params)
        params = optax.apply_updates(learner.params, steps)
        updates = learner.updates + 1
        due = updates % config.target_updates == 0
        target = jax.tree.map(lambda new, old: jnp.where(due, new, old), params, learner.target)
        return Learner(params, target, state, updates), found

    everywhere, by_position = NamedSharding(mesh, ALL), NamedSharding(mesh, LANES)
    return jax.jit(run, in_shardings=(everywhere, by_position), out_shardings=everywhere)
