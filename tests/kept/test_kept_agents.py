"""An agent and a checkpoint that 83db586 wrote: the same parameters, the same outputs, a job that can go on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from mallocgame.system.progress import silent
from muzero.agent_file import Agent, load_agent, save_agent
from muzero.environment import ENVIRONMENT_VERSION
from muzero.memory_game import memory_game
from muzero.networks import NetworkConfig
from muzero.precision import double_precision
from muzero.training import checkpoint
from muzero.training.config import load_config, parse_config
from muzero.training.imitation import stored_episodes
from muzero.training.job import Job, Setting
from muzero.training.metrics import read_metrics
from muzero.training.problems import training_puzzles
from muzero.training.replay import stored_generations
from tests.kept.packed import packed

DATA = Path(__file__).with_name("data") / "agent"
NETWORK = NetworkConfig(
    channels=2, tower_blocks=1, width=8, heads=2, layers=1, latent=16, latent_blocks=1, bins=11, board=True
)
MOVES = [[0, 0], [1, 1], [0, 2], [2, 0], [1, 2], [2, 0]]
"""Of the two episodes of the last generation, decision by decision."""


@pytest.fixture(scope="module")
def agent() -> Agent:
    """The kept agent."""
    return load_agent(DATA / "agent.mga")


def digest(arrays: Iterable[Any]) -> str:
    """SHA-256 of the bytes of arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.asarray(array).tobytes())
    return found.hexdigest()


def test_an_agent_is_read_and_written_again(agent: Agent, tmp_path: Path) -> None:
    assert agent.network.config == NETWORK
    assert agent.network.shape == ((32, 32, 4), (48, 20), (32, 4), (26,))
    assert (agent.network.moves, agent.environment_version) == (3, 2)
    assert agent.notes == {"updates": 8, "device": "cpu cpu"}
    leaves = jax.tree.leaves(agent.params)
    assert (len(leaves), sum(leaf.size for leaf in leaves)) == (89, 8843)
    assert digest(leaves) == "ac1f701420f6c79c93b79b82b59cc30a672d2bd9f1b62ef44b64aec92497fb4a"
    save_agent(agent, tmp_path / "agent.mga")
    assert packed(tmp_path / "agent.mga") == packed(DATA / "agent.mga")


def test_an_agent_sees_decides_and_foresees_the_same(agent: Agent) -> None:
    """Of an observation that rises evenly from 0 to 1; another CPU may add in another order."""
    network = agent.network
    seen: Any = SimpleNamespace(
        **{
            name: np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(1, *shape)
            for name, shape in network.shape._asdict().items()
        }
    )

    def outputs(params: Any) -> tuple[jax.Array, ...]:
        latent = network.represent(params, seen)
        after, rewards = network.dynamics(params, latent, np.array([2], np.int32))  # type: ignore[arg-type]
        return (*network.predict(params, latent), after, rewards)

    policy, values, after, rewards = map(np.asarray, jax.jit(outputs)(agent.params))
    assert policy[0].tolist() == pytest.approx([-0.19433896, -0.60079348, 0.64992690], abs=1e-5)
    assert values[0, 5:].tolist() == pytest.approx(
        [0.37888935, -0.43755519, 0.76142663, -1.21455157, 0.85452485, 0.59417295], abs=1e-5
    )
    assert after[0, :4].tolist() == pytest.approx([-0.86979097, 0.43151820, 1.10576665, 1.04227114], abs=1e-5)
    assert rewards[0, 4:10].tolist() == pytest.approx(
        [-0.55983812, 1.05704761, 0.81821215, 0.33731830, -0.44640934, -0.07303502], abs=1e-5
    )


def test_a_checkpoint_is_read() -> None:
    found = checkpoint.newest(DATA, silent)
    assert found is not None
    path, kept = found
    assert path.name == "checkpoint-00000002.mgc"
    assert (kept.header["environment"], kept.header["iteration"]) == (2, 2)
    assert kept.header["puzzles"] == ["generated-0", "generated-1"]
    assert len(kept.arrays) == 383
    assert digest(kept.arrays[name] for name in sorted(kept.arrays)) == (
        "3e84f97a4cfb549175133e98e4f992f643ddc07370f569be8d1e05dc5b10c2a6"
    )
    generations, episodes = stored_generations(kept.arrays), stored_episodes(kept.arrays)
    assert (len(generations), generations[1]["moves"].tolist()) == (2, MOVES)
    assert [episode["moves"][:, 0].tolist() for episode in episodes] == [[2, 1, 2, 2, 2, 2]]


def test_a_config_is_read_and_written_again() -> None:
    config = load_config(DATA / "config.toml")
    assert (config.iterations, config.network, config.search.variant) == (2, "least", "policy-alone")
    assert config.to_toml() == (DATA / "config.toml").read_text(encoding="utf-8")
    assert config == load_config(DATA.with_name("train.toml"))
    (path,) = checkpoint.files_in(DATA)
    assert config == parse_config(checkpoint.read(path).header["config"], str(path))


def test_the_figures_of_a_job_are_read() -> None:
    rows = read_metrics(DATA)
    assert [row["iteration"] for row in rows] == [0, 1, 2]
    assert (rows[0]["loss/total"], rows[1]["play/return"]) == (2.338351249694824, 0.5000000121071935)


def test_a_job_goes_on_from_a_checkpoint(agent: Agent, tmp_path: Path) -> None:
    """Without the recorded games: to walk them again, JAX compiles the whole game, which takes a minute."""
    folder = shutil.copytree(DATA, tmp_path / "agent")
    (path,) = checkpoint.files_in(folder)
    kept = checkpoint.read(path)
    learned = {name: array for name, array in kept.arrays.items() if not name.startswith(("replay/", "imitation/"))}
    config = replace(load_config(folder / "config.toml"), iterations=3)
    with double_precision():
        puzzles, _ = training_puzzles(config, silent, demonstrate=False)
        environment = memory_game(shared=False)
        setting = Setting(
            environment, agent.network, ENVIRONMENT_VERSION, puzzles, puzzles, folder, silent, lambda _: None
        )
        job = Job(config, setting)
        job.restore(path, checkpoint.Checkpoint(kept.header, learned))
        assert (job.iteration, int(job.learner.updates)) == (2, 8)
        assert digest(jax.tree.leaves(job.learner.params)) == digest(jax.tree.leaves(agent.params))
        assert job.best.returns.tolist() == [-np.inf, 0.9999999888241291]
        assert [moves.tolist() for moves in job.best.moves] == [[], [2, 1, 2, 2, 2, 2]]
        assert [puzzle.name for puzzle in puzzles] == kept.header["puzzles"]
        job.best.write(folder)
    assert (folder / "best.json").read_bytes() == (DATA / "best.json").read_bytes()
