"""Agent files: given back as written, the same bytes each time, and no damage goes unnoticed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

from mallocgame.system.errors import BadInputError
from muzero.agent_file import HEADER, Agent, load_agent, save_agent
from muzero.environment import ENVIRONMENT_VERSION
from muzero.networks import Network, NetworkConfig, SeenShape

NETWORK = Network(
    NetworkConfig(channels=2, tower_blocks=1, width=4, heads=2, layers=1, latent=4, latent_blocks=1, bins=3),
    SeenShape(board=(8, 4, 1), uses=(2, 3), supply=(8, 1), scalars=(2,)),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agent") / "tiny.mga"
    save_agent(Agent(NETWORK, NETWORK.init(jax.random.key(3)), notes={"device": "none", "updates": 0}), path)
    return path


def test_given_back_as_written(written: Path, tmp_path: Path) -> None:
    agent = load_agent(written)
    assert agent.network == NETWORK
    assert agent.environment_version == ENVIRONMENT_VERSION
    assert agent.notes == {"device": "none", "updates": 0}
    original = NETWORK.init(jax.random.key(3))
    assert jax.tree.structure(agent.params) == jax.tree.structure(original)
    for found, expected in zip(jax.tree.leaves(agent.params), jax.tree.leaves(original), strict=True):
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)
    save_agent(agent, tmp_path / "again.mga")
    assert (tmp_path / "again.mga").read_bytes() == written.read_bytes()


def test_no_file_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no such file"):
        load_agent(tmp_path / "none.mga")
    (tmp_path / "text.mga").write_text("parameters")
    with pytest.raises(BadInputError, match="damaged, or no agent file"):
        load_agent(tmp_path / "text.mga")
    with zipfile.ZipFile(tmp_path / "other.mga", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(BadInputError, match="not an agent file"):
        load_agent(tmp_path / "other.mga")


def test_every_cut_and_flipped_bytes_are_noticed(written: Path, tmp_path: Path) -> None:
    """A cut anywhere; a flipped bit, where it is noticed at all, in one line: zip's own fields may not matter."""
    data, damaged = written.read_bytes(), tmp_path / "damaged.mga"
    for length in range(0, len(data), 1499):
        damaged.write_bytes(data[:length])
        with pytest.raises(BadInputError) as caught:
            load_agent(damaged)
        assert "\n" not in str(caught.value)
    whole, rng = load_agent(written), np.random.default_rng(0)
    errors = []
    for position in rng.integers(0, len(data), 40).tolist():
        damaged.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        try:
            found = load_agent(damaged)
        except BadInputError as error:
            errors.append(str(error))
            continue
        assert found.network == whole.network
        leaves = zip(jax.tree.leaves(found.params), jax.tree.leaves(whole.params), strict=True)
        assert all(np.array_equal(*pair) for pair in leaves)
    assert len(errors) > 20
    assert not any("\n" in error for error in errors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not an agent file"),
        ({"version": 2}, "of version 2; this reads 1"),
        ({"environment": ENVIRONMENT_VERSION + 1}, "train it anew"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"moves": "3"}, "expected an integer"),
        ({"network": {"channels": 2}}, "'tower_blocks' is missing"),
        ({"moves": 4}, "is not float32"),
    ],
)
def test_headers_that_do_not_fit(written: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    header, members = unpacked(written)
    repack(tmp_path / "x.mga", {**header, **change}, members)
    with pytest.raises(BadInputError, match=message):
        load_agent(tmp_path / "x.mga")


def test_parameters_that_do_not_fit(written: Path, tmp_path: Path) -> None:
    header, members = unpacked(written)
    first, second = sorted(members)[:2]
    infinite = members[first][:-4] + np.float32(np.inf).tobytes()
    wrong: list[tuple[dict[str, bytes], str]] = [
        ({name: data for name, data in members.items() if name != first}, "not those of its network"),
        ({**members, "parameters/more.npy": b""}, "not those of its network"),
        ({**members, first: members[first] + bytes(5000)}, "too large"),
        ({**members, first: infinite}, "is not finite"),
        ({**members, first: members[second][:60]}, "damaged"),
    ]
    for content, message in wrong:
        repack(tmp_path / "x.mga", header, content)
        with pytest.raises(BadInputError, match=message):
            load_agent(tmp_path / "x.mga")


def unpacked(path: Path) -> tuple[dict[str, object], dict[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop(HEADER)), members


def repack(path: Path, header: dict[str, object], members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(HEADER, json.dumps(header))
        for name, data in members.items():
            archive.writestr(name, data)
