"""Representation, dynamics and prediction as one object without state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from muzero.networks.config import NetworkConfig
from muzero.networks.heads import Dynamics, Prediction
from muzero.networks.initial import draw
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
    board: Any
    uses: Any
    supply: Any
    scalars: Any


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
        """Fresh parameters, drawn on the host; the same for the same key wherever it runs. Not to be jitted."""
        words = np.asarray(jax.random.key_data(key)).astype(np.uint32).ravel()
        return cast(Params, jax.tree.map(jnp.asarray, draw(self.shapes(), np.random.default_rng(words))))

    def shapes(self) -> Any:
        """The parameters' ``jax.ShapeDtypeStruct``s, in the structure of ``Params``."""
        key = jax.random.key(0)
        struct: Any = jax.ShapeDtypeStruct
        seen = _Example(*(struct((1, *shape), np.float32) for shape in self.shape))
        latent, move = struct((1, self.config.latent), np.float32), struct((1,), np.int32)
        return {
            "representation": jax.eval_shape(Representation(self.config).init, key, seen)["params"],
            "dynamics": jax.eval_shape(Dynamics(self.config, self.moves).init, key, latent, move)["params"],
            "prediction": jax.eval_shape(Prediction(self.config, self.moves).init, key, latent)["params"],
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
