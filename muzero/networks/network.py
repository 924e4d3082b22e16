"""Representation, dynamics and prediction as one object without state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from muzero.networks.config import NetworkConfig
from muzero.networks.heads import Dynamics, Prediction
from muzero.networks.representation import Representation, Seen

Params = dict[str, Any]
"""Nested dict of float32 arrays, with the keys representation, dynamics and prediction on top."""


class SeenShape(NamedTuple):
    """Shapes of one observation, without a batch axis; see ``Seen``."""

    board: tuple[int, ...]
    uses: tuple[int, ...]
    supply: tuple[int, ...]
    scalars: tuple[int, ...]


def shape_of(observation: Seen) -> SeenShape:
    """The shapes of an observation that has no batch axis."""
    return SeenShape(*(tuple(getattr(observation, name).shape) for name in SeenShape._fields))


class _Example(NamedTuple):
    board: jax.Array
    uses: jax.Array
    supply: jax.Array
    scalars: jax.Array


@dataclass(frozen=True)
class Network:
    """The three networks of MuZero. Hashable, so that it can be a static argument of a jitted function.

    Attributes:
        config: sizes.
        shape: of what it sees.
        moves: how many answers there are.
    """

    config: NetworkConfig
    shape: SeenShape
    moves: int = 3

    def init(self, key: jax.Array) -> Params:
        """Fresh parameters."""
        keys = jax.random.split(key, 3)
        seen = _Example(*(jnp.zeros((1, *shape), jnp.float32) for shape in self.shape))
        latent = jnp.zeros((1, self.config.latent), jnp.float32)
        return {
            "representation": Representation(self.config).init(keys[0], seen)["params"],
            "dynamics": Dynamics(self.config, self.moves).init(keys[1], latent, jnp.zeros(1, jnp.int32))["params"],
            "prediction": Prediction(self.config, self.moves).init(keys[2], latent)["params"],
        }

    def represent(self, params: Params, observation: Seen) -> jax.Array:
        """Latent vectors float32 [B, latent] of observations [B]."""
        return cast(jax.Array, Representation(self.config).apply({"params": params["representation"]}, observation))

    def predict(self, params: Params, latent: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(policy logits [B, moves], value logits [B, bins]) of latent vectors; ``categorical.decode`` for values.

        The policy is not masked. Under the learned model it has to have learned itself, from targets that are 0 there,
        which moves are illegal.
        """
        found = Prediction(self.config, self.moves).apply({"params": params["prediction"]}, latent)
        return cast(tuple[jax.Array, jax.Array], found)

    def dynamics(self, params: Params, latent: jax.Array, move: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(latent vectors at the next decision [B, latent], logits of the rewards until then [B, bins]).

        Args:
            move: int [B].
        """
        found = Dynamics(self.config, self.moves).apply({"params": params["dynamics"]}, latent, move)
        return cast(tuple[jax.Array, jax.Array], found)


def count(params: Params) -> int:
    """How many numbers the parameters are."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
