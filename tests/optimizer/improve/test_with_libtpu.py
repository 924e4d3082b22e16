"""The loop with the real compiler, on a small program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.plan.plan_file import save_plan

pytestmark = pytest.mark.libtpu


def test_a_small_program_is_improved_or_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "tiny.mgz"
    api.capture("tiny", target="v5e", workload=True, out=file)
    found = api.auto(file, time_limit=3.0, compiles=3, out=tmp_path / "answer.json", cache=tmp_path / "compiles")
    assert found.improved is not None
    improved = found.improved
    assert 1 <= improved.compiles <= 3
    assert improved.answer.row is not None
    assert improved.answer.row.e_seconds <= improved.default.e_seconds * 1.001
    assert improved.answer.row.m_seconds <= improved.default.m_seconds * 1.025
    assert [tried.kind for tried in improved.tried[:3]] == ["xla default", "split", "plan"]
    assert json.loads(api.export(tmp_path / "answer.json")) == dict(improved.answer.options)

    again = api.auto(file, time_limit=3.0, compiles=2, cache=tmp_path / "compiles")
    assert again.improved is not None
    assert [tried.row for tried in again.improved.tried[:3]] == [tried.row for tried in improved.tried[:3]]


def test_a_plan_is_carried_over_to_a_longer_program(tmp_path: Path) -> None:
    """Of four layers to five: the plan of the four is found again, and one compile tells what it is worth."""
    old, new = (layers(count, tmp_path / f"{count}.mgz") for count in (4, 5))
    first = api.auto(old, time_limit=3.0, compiles=3, cache=tmp_path / "compiles").improved
    assert first is not None
    plan = next(tried.plan for tried in first.tried if tried.plan is not None)
    save_plan(plan, tmp_path / "plan.json")
    found = api.auto(new, start_from=tmp_path / "plan.json", time_limit=3.0, compiles=1, cache=tmp_path / "compiles")
    assert found.improved is not None
    carried, tried = found.improved.carried, found.improved.tried[1]
    assert carried is not None
    assert carried.found == carried.groups == len({tensor.group for tensor in plan.tensors if tensor.is_fast})
    assert (tried.proposer, tried.failure, found.improved.compiles) == ("carried over", None, 1)
    assert tried.honoured == tried.sites
    assert found.notes[-1].startswith(f"plan carried over from plan.json: {carried.found} of {carried.found} groups")


def layers(count: int, file: Path) -> Path:
    """The capture of a perceptron with so many layers of one width."""
    import jax
    import jax.numpy as jnp

    def infer(x: jax.Array, weights: list[jax.Array]) -> jax.Array:
        for weight in weights:
            x = jax.nn.relu(x @ weight)
        return x

    one = jax.ShapeDtypeStruct((2048, 2048), jnp.bfloat16)
    api.capture(infer, args=(one, [one] * count), target="v5e", out=file)
    return file
