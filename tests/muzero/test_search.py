"""Search: hand-made trees, masks, ends, forced moves, and optima of small games against brute force."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from muzero.networks import encode
from muzero.search import SearchOptions, SearchResult, Variant, advance, decide, search
from tests.muzero.tree_game import (
    MOVES,
    Seen,
    Tree,
    TreeState,
    nodes,
    random_tree,
    repeated,
    start,
    tree_game,
    values,
)

DEPTH = 3
RUN = jax.jit(search, static_argnums=(0, 2, 6))


class Uniform:
    """A network that finds ``params["prior"]`` everywhere, and every position worth ``params["worth"]``.

    Its model of the game: a move's number, in tenths, is its reward, and nothing changes.
    """

    moves = MOVES

    def represent(self, params: dict[str, jax.Array], seen: Seen) -> jax.Array:
        return jnp.zeros((len(seen.scalars), 1), jnp.float32)

    def predict(self, params: dict[str, jax.Array], latent: jax.Array) -> tuple[jax.Array, jax.Array]:
        prior = jnp.broadcast_to(params["prior"], (len(latent), MOVES))
        return prior, _logits(jnp.full(len(latent), params["worth"]))

    def dynamics(self, params: dict[str, jax.Array], latent: jax.Array, move: jax.Array) -> tuple[jax.Array, jax.Array]:
        return latent, _logits(move / 10)


UNIFORM = Uniform()


def _logits(numbers: jax.Array) -> jax.Array:
    return jnp.log(encode(numbers, 101) + 1e-30)


def tree(rewards: dict[tuple[int, int], float], legal: dict[int, tuple[int, ...]]) -> Tree:
    """Rewards by (node, move), else 0; legal moves by node, else all of inner nodes. A node without any is an end."""
    made = np.zeros((nodes(DEPTH), MOVES), np.float32)
    allowed = np.zeros((nodes(DEPTH), MOVES), bool)
    allowed[: nodes(DEPTH - 1)] = True
    for key, reward in rewards.items():
        made[key] = reward
    for node, moves in legal.items():
        allowed[node] = [move in moves for move in range(MOVES)]
    return Tree(made, allowed)


def run(
    game: Tree,
    simulations: int,
    variant: Variant = Variant.EXACT_RULES,
    *,
    worth: float = 0.0,
    prior: tuple[float, float, float] = (0.0, 0.0, 0.0),
    temperature: float = 0.0,
    batch: int = 2,
    states: TreeState | None = None,
) -> SearchResult:
    """A search of the same position in each lane, or of these states."""
    states = repeated(start(game), batch) if states is None else states
    params = {"prior": jnp.array(prior, jnp.float32), "worth": jnp.float32(worth)}
    heat = jnp.full(len(states.node), temperature, jnp.float32)
    options = SearchOptions(variant, simulations)
    found: SearchResult = RUN(UNIFORM, params, tree_game(), game, states, jax.random.key(0), options, heat)
    return found


def test_golden_tree_of_exact_rules() -> None:
    """Root: 0 gives 0.1, 1 gives 0.2, 2 is illegal; below 0 lies a 0.5, below 1 nothing. Four simulations see 0, 1, and
    each again (sequential halving of two moves): the end of 0 - 1 with 0.5, as mixed values are equal and 0 comes first
    only where priors are; so below 0 the first legal move, 1, is taken, and below 1 move 0.

    Node values are means over visits: root (0 + 0.1 + 0.2 + 0.6 + 0.2) / 5, of which 0 is the network's own value.
    """
    game = tree(
        {(0, 0): 0.1, (0, 1): 0.2, (0, 2): 9.0, (1, 1): 0.5},
        {0: (0, 1), 1: (1, 2), **dict.fromkeys(range(4, 13), ())},
    )
    found = run(game, 4)
    assert found.action.tolist() == [0, 0]
    assert np.asarray(found.value) == pytest.approx([0.22, 0.22], abs=1e-6)
    weights = np.asarray(found.weights[0])
    assert weights[2] == 0.0
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] > 0.9


def test_the_value_of_what_lies_beyond_counts_but_not_beyond_the_end() -> None:
    """The network thinks each position worth 0.5; four simulations see each of two moves twice.

    Where both moves end the game only rewards count, as discount and value are 0 there: the root's mean is
    (0.5 + 2 x 0.1 + 2 x 0.3) / 5. Where the game goes on it is (0.5 + 2 x 0.6 + 2 x 0.8) / 5.
    """
    rewards = {(0, 0): 0.1, (0, 1): 0.3}
    ends = run(tree(rewards, {0: (0, 1), 1: (), 2: ()}), 4, worth=0.5)
    assert ends.action.tolist() == [1, 1]
    assert np.asarray(ends.value) == pytest.approx([0.26, 0.26], abs=1e-5)
    goes_on = run(tree(rewards, {0: (0, 1)}), 4, worth=0.5)
    assert goes_on.action.tolist() == [1, 1]
    assert np.asarray(goes_on.value) == pytest.approx([0.66, 0.66], abs=1e-5)


@pytest.mark.parametrize("variant", Variant)
def test_illegal_moves_are_never_chosen(variant: Variant) -> None:
    """Though the policy likes the illegal move best, and it would give most; from a finished state nothing follows."""
    game = tree({(0, 2): 9.0, (1, 0): 9.0}, {0: (0, 1), 1: (1,)})
    states = repeated(start(game), 64)
    ended = TreeState(jnp.full(64, 39, jnp.int32), jnp.zeros((64, MOVES), bool), jnp.ones(64, bool))
    states = TreeState(*(leaf.at[60:].set(end[60:]) for leaf, end in zip(states, ended, strict=True)))
    found = run(game, 8, variant, prior=(0.0, 0.0, 20.0), temperature=1.0, states=states)
    assert set(found.action[:60].tolist()) <= {0, 1}
    assert not np.asarray(found.weights[:60, 2]).any()
    assert np.asarray(found.weights[:60].sum(axis=-1)) == pytest.approx(np.ones(60), abs=1e-6)
    assert np.isfinite(np.asarray(found.value)).all()
    assert found.action[60:].tolist() == [0] * 4
    assert not np.asarray(found.weights[60:]).any()
    assert not np.asarray(found.value[60:]).any()


def test_exact_rules_find_the_optimum() -> None:
    """With more simulations than the tree has nodes, each move played is worth as much as the best one.

    The network thinks every position worth more than any is, else what was tried first and gave something looks better
    than all that was not, and stays. An illegal move inside the tree would give 100.
    """
    for seed in range(8):
        game = random_tree(seed, DEPTH, legal_share=0.5)
        best = values(game)
        found = run(game, 300, worth=1.0)
        assert found.value.max() <= 1.0
        for action in found.action.tolist():
            assert game.rewards[0, action] + best[1 + action] == pytest.approx(best[0])


def test_learned_model_follows_its_dynamics() -> None:
    """In the model move 2 always gives 0.2."""
    found = run(tree({}, {}), 8, Variant.LEARNED_MODEL, batch=64)
    assert found.action.tolist() == [2] * 64
    assert found.weights[0, 2] > found.weights[0, 1] > found.weights[0, 0]


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_policy_alone_takes_the_best_or_samples(temperature: float) -> None:
    prior = (0.0, 1.0, 2.0)
    found = run(tree({}, {}), 8, Variant.POLICY_ALONE, prior=prior, worth=0.25, temperature=temperature, batch=2000)
    assert np.asarray(found.value) == pytest.approx(np.full(2000, 0.25), abs=1e-6)
    odds = np.exp(np.array(prior) / temperature) if temperature else np.array([0, 0, 1])
    shares = np.bincount(np.asarray(found.action), minlength=3) / 2000
    assert shares == pytest.approx(odds / odds.sum(), abs=0.05 if temperature else 0)
    assert np.asarray(found.weights[0]) == pytest.approx(np.exp(prior) / np.exp(prior).sum(), abs=1e-6)


def test_same_key_same_choice_but_lanes_differ() -> None:
    game = random_tree(3, DEPTH)
    first, again = (run(game, 8, temperature=10.0, batch=64) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(set(first.action.tolist())) > 1


def test_forced_moves_are_played_through() -> None:
    """Node 0 leaves 1 alone, its child 2 has a choice, its other child 3 leads to the end by 0 alone."""
    game = tree({(0, 1): 0.1, (2, 0): 0.2, (7, 2): 0.4}, {0: (1,), 2: (0, 2), 7: (2,), 9: (0,)})
    environment = tree_game()
    states, rewards = jax.jit(partial(advance, environment, game))(repeated(start(game), 2))
    assert states.node.tolist() == [2, 2]
    assert rewards.tolist() == pytest.approx([0.1, 0.1])
    states, rewards = jax.jit(partial(decide, environment, game))(states, jnp.array([0, 2], jnp.int32))
    assert states.done.tolist() == [True, True]
    assert states.node.tolist() == [3 * 7 + 3, 3 * 9 + 1]
    assert rewards.tolist() == pytest.approx([0.6, 0.0])


def test_forced_moves_up_to_a_limit() -> None:
    game = tree({(0, 1): 0.1, (2, 1): 0.2}, {0: (1,), 2: (1,), 8: (1,)})
    states, rewards = jax.jit(partial(advance, tree_game(), game, limit=2))(repeated(start(game), 1))
    assert states.node.tolist() == [8]
    assert rewards.tolist() == pytest.approx([0.3])


def test_each_position_its_own_problem() -> None:
    """Tables with a batch axis give what each gives alone."""
    games = [random_tree(seed, DEPTH) for seed in range(4)]
    stacked = Tree(*(np.stack(arrays) for arrays in zip(*games, strict=True)))
    states = jax.vmap(start)(stacked)
    params = {"prior": jnp.zeros(MOVES, jnp.float32), "worth": jnp.float32(1.0)}
    options = SearchOptions(Variant.EXACT_RULES, 300, temperature=0.0)
    found = RUN(UNIFORM, params, tree_game(shared=False), stacked, states, jax.random.key(0), options)
    for action, game in zip(found.action.tolist(), games, strict=True):
        best = values(game)
        assert game.rewards[0, action] + best[1 + action] == pytest.approx(best[0])


def test_options_out_of_range() -> None:
    for options in ({"simulations": 0}, {"max_depth": 0}, {"temperature": -1.0}, {"resolution": 0.0}):
        with pytest.raises(ValueError, match=r"ha(s|ve) to be|cannot be"):
            SearchOptions(**options)  # type: ignore[arg-type]
