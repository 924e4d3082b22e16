"""The agent that comes with the package: small enough, of this environment, trained as the files beside it say."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import numpy as np

from muzero import SHIPPED
from muzero.agent_file import load_agent
from muzero.environment import ENVIRONMENT_VERSION
from muzero.networks import NETWORKS
from muzero.training.config import load_config

MOST_BYTES = 15_000_000


def test_it_can_be_read_and_was_trained() -> None:
    assert SHIPPED.stat().st_size <= MOST_BYTES
    agent = load_agent(SHIPPED)
    assert agent.environment_version == ENVIRONMENT_VERSION
    updates = agent.notes["updates"]
    assert isinstance(updates, int)
    assert updates > 100
    assert str(agent.notes["device"]).startswith(("cpu ", "gpu "))
    last = agent.params["prediction"]["policy_out"]["kernel"]
    assert np.any(np.asarray(last)), "the last layer of an untrained policy is 0"
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(agent.params))


def test_the_config_beside_it_is_its_own() -> None:
    config = load_config(SHIPPED.with_suffix(".toml"))
    assert load_agent(SHIPPED).network.config == replace(NETWORKS[config.network], board=config.board)
    assert "test" not in config.problems.splits
    assert "validation" not in config.problems.splits


def test_the_curve_beside_it_falls() -> None:
    """How surprised the policy is by what it is taught: three legal answers alike at first are a surprise of log 3."""
    rows = [json.loads(line) for line in SHIPPED.with_suffix(".jsonl").read_text().splitlines()]
    losses = [row["loss/policy"] for row in rows if "loss/policy" in row]
    assert losses[-1] < 0.5 * losses[0] < 0.5 * np.log(3)
    assert [row["iteration"] for row in rows] == list(range(len(rows)))
