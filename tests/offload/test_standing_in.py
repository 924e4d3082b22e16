"""The policy that stands in, and policies taken over: what is traced is what the policy written out gives."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

import mallocgame
from mallocgame.offload.moves_file import MovesFile, save_moves
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.standing_in import following
from mallocgame.system.errors import BadInputError

ANSWER = NamedMoves({"hidden": "keep", "active": "offload"})
ARGUMENTS = jnp.ones((3, 8, 8)), jnp.ones((4, 8))
DOTS = jax.checkpoint_policies.dots_saveable


def block(x: jax.Array, w: jax.Array) -> jax.Array:
    return x + checkpoint_name(jnp.sin(checkpoint_name(x @ w, "hidden")), "active") @ w.T


wrapped_when_imported = functools.partial(jax.remat, policy=DOTS)(block)


def scanned(checkpointed: Callable[..., Any]) -> Any:
    def loss(weights: jax.Array, x: jax.Array) -> jax.Array:
        return (jax.lax.scan(lambda x, w: (checkpointed(x, w), None), x, weights)[0] ** 2).sum()

    return jax.jit(jax.grad(loss))


def traced(step: Any) -> str:
    """The gradient's jaxpr, without the name of its policy."""
    return re.sub(r"policy=.*", "policy", str(jax.make_jaxpr(step)(*ARGUMENTS)))


EXPECTED = {
    "default": traced(scanned(jax.checkpoint(block))),
    "answer": traced(scanned(jax.checkpoint(block, policy=ANSWER.policy))),
    "dots": traced(scanned(jax.checkpoint(block, policy=DOTS))),
    "plain": traced(scanned(block)),
}


def test_they_are_four_programs() -> None:
    assert len(set(EXPECTED.values())) == 4


def test_without_an_answer_it_saves_nothing() -> None:
    assert traced(scanned(jax.checkpoint(block, policy=mallocgame.policy))) == EXPECTED["default"]


@pytest.mark.parametrize("everywhere", [False, True])
def test_the_policy_does_what_is_followed(everywhere: bool) -> None:
    step = scanned(jax.checkpoint(block, policy=mallocgame.policy))
    assert traced(step) == EXPECTED["default"]
    with following(ANSWER, everywhere):
        assert traced(step) == EXPECTED["answer"]
    with following(NamedMoves(None), everywhere):
        assert traced(step) == EXPECTED["plain"]
    with following(NamedMoves(None, "dots_saveable"), everywhere):
        assert traced(step) == EXPECTED["dots"]
    assert traced(step) == EXPECTED["default"]


@pytest.mark.parametrize(
    "checkpointed", [wrapped_when_imported, jax.checkpoint(block, policy=DOTS), jax.checkpoint(block)]
)
def test_other_policies_are_taken_over_only_everywhere(checkpointed: Any) -> None:
    step = scanned(checkpointed)
    before = traced(step)
    with following(ANSWER, True):
        assert traced(step) == EXPECTED["answer"]
    with following(NamedMoves(None), True):
        assert traced(step) == EXPECTED["plain"]
    for moves, everywhere in ((ANSWER, False), (NamedMoves(None, "as written"), True)):
        with following(moves, everywhere):
            assert traced(step) == before


def saved(step: Any, *arguments: Any) -> int:
    """How many checkpointed blocks a gradient has, and copies to the host."""
    text = str(jax.make_jaxpr(step)(*arguments))
    return text.count("differentiated=True")


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return checkpoint_name(nn.Dense(8)(x), "hidden") * 2


def test_remat_of_flax_is_taken_over() -> None:
    x = jnp.ones((4, 8))
    linen = nn.remat(Layer, policy=DOTS)()
    parameters = linen.init(jax.random.key(0), x)
    layer = nnx.Linear(8, 8, rngs=nnx.Rngs(0))
    graph, state = nnx.split(layer)

    def of_nnx(state: Any, x: jax.Array) -> jax.Array:
        block = nnx.remat(lambda layer, x: checkpoint_name(layer(x), "hidden") * 2, policy=DOTS)
        return block(nnx.merge(graph, state), x).sum()

    losses = ((lambda p, x: linen.apply(p, x).sum(), parameters), (of_nnx, state))
    for loss, given in losses:
        assert saved(jax.grad(loss), given, x) == 1
        with following(NamedMoves(None), True):
            assert saved(jax.grad(loss), given, x) == 0


def written(path: Path, moves: NamedMoves, everywhere: bool) -> Path:
    save_moves(MovesFile("m:f", "v5e", 1, moves, {}, {}, 1, 1.0, everywhere), path)
    return path


def test_a_kept_answer_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MALLOCGAME_POLICY", str(written(tmp_path / "answer.json", ANSWER, False)))
    assert traced(scanned(jax.checkpoint(block, policy=mallocgame.policy))) == EXPECTED["answer"]
    monkeypatch.setenv("MALLOCGAME_POLICY", str(tmp_path / "none.json"))
    with pytest.raises(BadInputError, match=r"none\.json"):
        mallocgame.policy(None)


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_kept_answer_is_applied(everywhere: bool, tmp_path: Path) -> None:
    ours, others = scanned(jax.checkpoint(block, policy=mallocgame.policy)), scanned(wrapped_when_imported)
    with mallocgame.applied(written(tmp_path / "answer.json", ANSWER, everywhere)):
        assert traced(ours) == EXPECTED["answer"]
        assert traced(others) == EXPECTED["answer" if everywhere else "dots"]


def test_importing_the_policy_does_not_import_jax() -> None:
    code = "import mallocgame, sys; mallocgame.policy, mallocgame.applied; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
