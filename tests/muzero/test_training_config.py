"""Training configs: what is written is read back, and what is wrong is named with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.system.errors import BadInputError
from muzero.training.config import LearnerConfig, ProblemsConfig, TrainConfig, load_config, parse_config

EVERY_OPTION = TrainConfig(
    seed=7,
    minutes=1.5,
    network="small",
    board=False,
    problems=ProblemsConfig(splits=(), names=("gpt2-tpu7x", "heat-v4"), generated=3),
    learner=LearnerConfig(learning_rate=3e-4, value_steps=5),
)


def test_a_written_config_is_read_back() -> None:
    text = EVERY_OPTION.to_toml()
    assert parse_config(text, "x") == EVERY_OPTION
    assert 'names = ["gpt2-tpu7x", "heat-v4"]' in text
    assert {"seed = 7", "board = false"} < set(text.splitlines())


@settings(deadline=None)
@given(
    st.floats(0.0, 1e3),
    st.integers(0, 2**31 - 1),
    st.lists(st.text(st.characters(categories=["Ll", "Nd"]), max_size=5), max_size=3),
)
def test_any_config_is_read_back(rate: float, seed: int, names: list[str]) -> None:
    config = replace(
        TrainConfig(), seed=seed, problems=ProblemsConfig(names=tuple(names)), learner=LearnerConfig(learning_rate=rate)
    )
    assert parse_config(config.to_toml(), "x") == config


def test_nothing_given_is_all_defaults() -> None:
    assert parse_config("", "x") == TrainConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1\nspeed = 2\n", "c.toml:2: unknown option 'speed'; known: seed, iterations"),
        ("[learner]\nbatch = 1\n[replay]\nbatch = 1\n", "c.toml:4: unknown option 'batch'; known: positions"),
        ("seed = 1\n\n[lerner]\nbatch = 1\n", "c.toml:3: unknown option 'lerner'"),
        ("[learner]\n# batch = 3\nbatch = 0\n", "c.toml:3: batch: expected an integer from 1 to 65536"),
        ("[learner]\nbatch = 2.5\n", "c.toml:2: batch: expected an integer"),
        ("[learner]\nclip = true\n", "c.toml:2: clip: expected a number from 1e-09"),
        ("[learner]\nlearning_rate = nan\n", "c.toml:2: learning_rate: expected a number"),
        (f"minutes = {10**400}\n", "c.toml:1: minutes: expected a number from"),
        ("board = 1\n", "c.toml:1: board: expected true or false"),
        ("[search]\nvariant = 'exact'\n", "c.toml:2: variant: expected 'learned-model' or 'exact-rules'"),
        ("[problems]\nsplits = 'train'\n", "c.toml:2: splits: expected a list of names"),
        ("[problems]\nnames = ['a\"b']\n", "c.toml:2: names: expected a list of names"),
        ("learner = 3\n", "c.toml:1: learner is a table"),
        ("seed = \n", "c.toml: not TOML: .*line 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message.replace("[", r"\[")):
        parse_config(text, "c.toml")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read: No such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInputError, match="cannot be read: not UTF-8"):
        load_config(tmp_path / "binary.toml")
    (tmp_path / "long.toml").write_text("#" * 70_000)
    with pytest.raises(BadInputError, match="larger than"):
        load_config(tmp_path / "long.toml")
