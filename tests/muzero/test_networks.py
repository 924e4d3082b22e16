"""Networks: categorical numbers, shapes and dtypes, what an untrained network says, padding."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muzero.networks import NETWORKS, Network, NetworkConfig, Params, SeenShape, decode, encode
from muzero.networks.categorical import LIMIT, atoms, inverse, transform
from tests.muzero.tree_game import Seen

SHAPE = SeenShape(board=(16, 8, 3), uses=(6, 5), supply=(16, 2), scalars=(7,))
ENCODE = jax.jit(encode, static_argnums=1)
SIZES = NetworkConfig(channels=4, tower_blocks=1, width=8, heads=2, layers=1, latent=16, latent_blocks=1)


def seen(seed: int, batch: int = 3) -> Seen:
    """Random observations; the last two of six sites ahead are padding."""
    rng = np.random.default_rng(seed)
    found = Seen(*(jnp.asarray(rng.standard_normal((batch, *shape)), jnp.float32) for shape in SHAPE))
    return found._replace(uses=found.uses.at[:, 4:].set(0))


@given(st.floats(-200, 200))
def test_transform_and_its_inverse(x: float) -> None:
    assert inverse(transform(np.array(x))) == pytest.approx(x, rel=1e-9, abs=1e-12)
    assert transform(np.array(-x)) == -transform(np.array(x))


def test_transform_of_eight_units() -> None:
    """sqrt(8 + 1) - 1 + 0.001 x 8."""
    assert transform(np.array(8e-4)) == pytest.approx(2.008)


def test_atoms_are_dense_where_most_rewards_are() -> None:
    grid = atoms(101)
    assert (grid[0], grid[50], grid[100]) == (np.float32(-LIMIT), 0.0, np.float32(LIMIT))
    steps = np.diff(grid)
    assert (steps > 0).all()
    assert (steps[50] < 0.0015, steps[-1] > 0.04) == (True, True)


@settings(deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=5, max_size=5), st.sampled_from([2, 11, 101]))
def test_the_mean_of_encoded_numbers_is_exact(numbers: list[float], bins: int) -> None:
    """For each number within the limits, and for a mixture of them."""
    clipped = np.clip(numbers, -LIMIT, LIMIT)
    encoded = np.asarray(ENCODE(np.array(numbers), bins))
    assert (encoded >= 0).all()
    assert encoded.sum(axis=-1) == pytest.approx(np.ones(5))
    assert ((encoded > 0).sum(axis=-1) <= 2).all()
    assert encoded @ atoms(bins) == pytest.approx(clipped, abs=1e-6)
    assert encoded.mean(axis=0) @ atoms(bins) == pytest.approx(clipped.mean(), abs=1e-6)


def test_means_of_logits() -> None:
    logits = np.log(np.asarray(ENCODE(np.array([0.3, -0.02, 0.0, 1.25, -9.0]), 11)) + 1e-30)
    assert np.asarray(jax.jit(decode)(logits)) == pytest.approx([0.3, -0.02, 0.0, 1.25, -1.25], abs=1e-6)


def test_config_refuses_what_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="heads \\(3\\) has to divide width \\(32\\)"):
        replace(NETWORKS["tiny"], heads=3)
    with pytest.raises(ValueError, match="has to be positive"):
        replace(NETWORKS["tiny"], latent_blocks=0)


def test_presets_grow_and_base_can_be_shipped() -> None:
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(Network(NETWORKS[name], SHAPE).shapes()))
        for name in ("tiny", "small", "base")
    ]
    assert sizes == sorted(sizes)
    assert 4 * sizes[2] < 15e6


@pytest.mark.parametrize("board", [True, False])
def test_shapes_dtypes_and_an_untrained_network(board: bool) -> None:
    """float32 throughout though JAX has 64 bits; an untrained one finds all moves equally good, and everything 0."""
    network = Network(replace(SIZES, board=board), SHAPE)
    params = network.init(jax.random.key(1))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    found = jax.jit(lambda params, seen: everything(network, params, seen))(params, seen(0))
    latent, policy, value, after, reward = found
    assert [part.shape for part in found] == [(3, 16), (3, 3), (3, 101), (3, 16), (3, 101)]
    assert {part.dtype for part in found} == {jnp.dtype("float32")}
    for vectors in (latent, after):
        assert np.asarray(vectors.mean(axis=-1)) == pytest.approx(np.zeros(3), abs=1e-5)
        assert np.asarray(vectors.var(axis=-1)) == pytest.approx(np.ones(3), abs=1e-3)
    assert not policy.any()
    assert not value.any()
    assert not reward.any()
    assert np.abs(latent - after).max() > 0.1


def everything(network: Network, params: Params, observation: Seen) -> tuple[jax.Array, ...]:
    latent = network.represent(params, observation)
    after, reward = network.dynamics(params, latent, jnp.array([0, 1, 2]))
    return (latent, *network.predict(params, latent), after, reward)


def test_same_key_same_parameters() -> None:
    network = Network(SIZES, SHAPE)
    first, again, other = (jax.tree.leaves(network.init(jax.random.key(seed))) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_part_of_an_observation_counts_but_padding() -> None:
    """Each row of the batch has another part changed; row 0 only what sites that are padding stand for: nothing."""
    network = Network(SIZES, SHAPE)
    params = network.init(jax.random.key(1))
    one = jax.tree.map(lambda part: jnp.broadcast_to(part[:1], (6, *part.shape[1:])), seen(0))
    changed = one._replace(
        board=one.board.at[1, 3, 3, 0].add(1),
        uses=one.uses.at[2, 3, 0].add(1).at[3, 5, 0].add(1),
        supply=one.supply.at[4, 9, 1].add(1),
        scalars=one.scalars.at[5, 2].add(1),
    )
    represent = jax.jit(network.represent)
    distance = np.abs(np.asarray(represent(params, changed) - represent(params, one))).max(axis=-1)
    assert distance[0] == 0
    assert (distance[1:] > 1e-3).all()
