"""What a training job is told: every option, its default and its bounds, as a TOML file.

A file has ``seed``, ``iterations``, ``network`` and their like at its top, and a table for each section below. What it
leaves out has its default; ``to_toml`` writes them all, so that a job's folder says what was run.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from mallocgame.system.errors import BadInputError
from mallocgame.system.files import read_bytes
from mallocgame.system.printable import one_line

MAX_CONFIG_BYTES = 1 << 16


def _number(default: float, least: float, most: float = math.inf) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


def _word(default: str, *words: str) -> Any:
    return field(default=default, metadata={"words": words})


@dataclass(frozen=True)
class ProblemsConfig:
    """What is played.

    Attributes:
        splits: of the shipped problem files: all of these splits.
        names: further shipped problem files by name.
        generated: problems made up by ``workloads.generator``.
        generator_seed: of the first of them; each has the next.
        generated_instructions: the most that a made-up problem has.
        most_sites: problems with more sites are left out (and told of).
        variants: of each shipped problem, with other sizes of fast memory: from a fourth of the real one to twice it.
        known: plans that an observation shows, each problem with each of them: ``none``, ``greedy`` (the solver's) and
            ``hasty`` (of a few steps of local search). An answer shows greedy's, and then the best plan so far.
    """

    splits: tuple[str, ...] = ("train",)
    names: tuple[str, ...] = ()
    generated: int = _number(64, 0, 100_000)
    generator_seed: int = _number(0, 0, 2**31 - 1)
    generated_instructions: int = _number(60, 2, 4096)
    most_sites: int = _number(1024, 1)
    variants: int = _number(0, 0, 1000)
    known: tuple[str, ...] = ("none",)


@dataclass(frozen=True)
class SearchConfig:
    """Of every search in self-play, reanalyse and evaluation; see ``muzero.search.SearchOptions``.

    Attributes:
        variant: ``learned-model`` (MuZero), ``exact-rules`` or ``policy-alone``, which learns its moves by imitation
            alone (``imitation.share``), and with no demonstrations from the best of its own episodes.
        simulations: network evaluations a search.
        max_depth: of the tree; 0 for as deep as there are simulations.
        temperature: of the noise in the calmest lane of self-play; 1 samples from the policy, 0 is greedy.
        hottest: of the noise in the wildest lane; between the two the lanes are spread evenly in the logarithm. At 1 a
            search that is sure of its values hardly explores; a few hot lanes find what costs at first and pays later.
    """

    variant: str = _word("exact-rules", "learned-model", "exact-rules", "policy-alone")
    simulations: int = _number(16, 1, 4096)
    max_depth: int = _number(0, 0, 4096)
    temperature: float = _number(1.0, 1e-3, 100.0)
    hottest: float = _number(4.0, 1e-3, 100.0)


@dataclass(frozen=True)
class ImitationConfig:
    """Episodes whose moves are taught as they are: demonstrations after local search, and the best episodes so far.

    Attributes:
        share: of each batch that is drawn from them.
        iterations: the first so many learn from nothing else, and nothing is played.
        steps: of local search; demonstrations follow its plan or a known one, whichever gives the best episode. 0 for
            none of them.
        episodes: demonstrations of a problem with a known plan; the first makes no errors.
        errors: chance of another move than the plan's at each decision of the other demonstrations.
    """

    share: float = _number(0.0, 0.0, 1.0)
    iterations: int = _number(0, 0)
    steps: int = _number(0, 0)
    episodes: int = _number(1, 1, 1000)
    errors: float = _number(0.1, 0.0, 1.0)


@dataclass(frozen=True)
class SelfPlayConfig:
    """What an iteration plays.

    Attributes:
        lanes: episodes played at once, all of problems of one size class; a multiple of the devices.
        generations: how many such batches of episodes.
        reanalysed: how many batches of the replay are searched anew with the target parameters.
        ray_workers: processes of a Ray cluster that play the generations; 0 to play in the job's own process.
        moves: decisions of all lanes in one call of the compiled program; between two calls Ctrl-C is heard.
    """

    lanes: int = _number(32, 1, 65536)
    generations: int = _number(1, 1, 1024)
    reanalysed: int = _number(1, 0, 1024)
    ray_workers: int = _number(0, 0, 4096)
    moves: int = _number(16, 1, 4096)


@dataclass(frozen=True)
class ReplayConfig:
    """Which positions the learner sees.

    Attributes:
        positions: that are kept; the oldest batch of episodes goes first.
        priority_exponent: 0 draws all alike, 1 in proportion to the last error of the value.
        importance_exponent: how far the loss corrects for the draw; 1 in full.
    """

    positions: int = _number(20_000, 1)
    priority_exponent: float = _number(0.6, 0.0, 10.0)
    importance_exponent: float = _number(0.4, 0.0, 1.0)


@dataclass(frozen=True)
class LearnerConfig:
    """How the parameters follow the replay.

    Attributes:
        batch: positions an update; a multiple of the devices.
        updates: an iteration.
        unroll: moves that the learned model is unrolled for; 0 trains representation and prediction alone.
        value_steps: moves whose rewards a value target sums before it takes a search's value; 0 for all to the end.
        learning_rate: at its peak, reached linearly after ``warm_up`` updates.
        warm_up: updates.
        decay: updates after the warm-up in which a cosine lowers the rate to ``final_share`` of the peak; 0 for none.
        final_share: of the peak.
        clip: largest norm of the gradient.
        weight_decay: of AdamW.
        value_weight: of the value's loss beside the policy's.
        reward_weight: of the reward's loss beside the policy's.
        target_updates: updates between two copies of the parameters to the target parameters.
    """

    batch: int = _number(64, 1, 65536)
    updates: int = _number(32, 1, 100_000)
    unroll: int = _number(3, 0, 64)
    value_steps: int = _number(0, 0)
    learning_rate: float = _number(1e-3, 0.0, 1e30)
    warm_up: int = _number(50, 0)
    decay: int = _number(0, 0)
    final_share: float = _number(0.1, 0.0, 1.0)
    clip: float = _number(5.0, 1e-9)
    weight_decay: float = _number(1e-4, 0.0, 1.0)
    value_weight: float = _number(0.5, 0.0)
    reward_weight: float = _number(0.5, 0.0)
    target_updates: int = _number(64, 1)


@dataclass(frozen=True)
class EvaluationConfig:
    """How progress is measured.

    Attributes:
        problems: ``validation`` (the shipped split) or ``training`` (what is trained on).
        every: iterations between two evaluations; 0 for none.
        reference_steps: of local search, whose best plan counts as best known beside what training found. An episode
            after it shows how often the policy's first choice is the plan's move.
        most_sites: of the shipped problems, those with more sites are left out.
    """

    problems: str = _word("validation", "validation", "training")
    every: int = _number(10, 0)
    reference_steps: int = _number(20_000, 0)
    most_sites: int = _number(1024, 1)


@dataclass(frozen=True)
class TrainConfig:
    """A training job.

    Attributes:
        seed: of every random choice.
        iterations: of self-play, reanalyse and updates.
        minutes: after which no further iteration begins; 0 for no limit.
        network: name in ``muzero.networks.NETWORKS``.
        board: whether the network sees the board; false for the ablation.
        checkpoint_every: iterations between two checkpoints.
    """

    seed: int = _number(0, 0, 2**31 - 1)
    iterations: int = _number(100, 1)
    minutes: float = _number(0.0, 0.0)
    network: str = "tiny"
    board: bool = True
    checkpoint_every: int = _number(5, 1)
    problems: ProblemsConfig = ProblemsConfig()
    search: SearchConfig = SearchConfig()
    imitation: ImitationConfig = ImitationConfig()
    self_play: SelfPlayConfig = SelfPlayConfig()
    replay: ReplayConfig = ReplayConfig()
    learner: LearnerConfig = LearnerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def to_toml(self) -> str:
        """All options as a TOML file that ``parse_config`` takes."""
        top, tables = [], []
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if dataclasses.is_dataclass(value):
                lines = [f"{name} = {_toml(part)}" for name, part in vars(value).items()]
                tables.append("\n".join(["", f"[{entry.name}]", *lines]))
            else:
                top.append(f"{entry.name} = {_toml(value)}")
        return "\n".join([*top, *tables]) + "\n"


def _toml(value: object) -> str:
    """A number, truth, text or list of texts. Texts are names without quotes, backslashes or control characters."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def load_config(path: str | os.PathLike[str]) -> TrainConfig:
    """The config in a TOML file.

    Raises:
        BadInputError: it cannot be read or ``parse_config`` refuses it.
    """
    try:
        text = read_bytes(path, MAX_CONFIG_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: cannot be read: not UTF-8") from None
    return parse_config(text, str(Path(path)))


def parse_config(text: str, source: str) -> TrainConfig:
    """The config that a TOML text says; ``source`` begins the error messages.

    Raises:
        BadInputError: no TOML, an unknown key, or a value of a wrong type or out of bounds, with its line.
    """
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise BadInputError(f"{source}: nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise BadInputError(f"{source}: not TOML: {one_line(error, 200)}") from None
    return _decode(TrainConfig, found, _Source(text, source), "")  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Source:
    """A TOML text, to say where something stands."""

    text: str
    name: str

    def at(self, table: str, key: str) -> str:
        """``file:line`` of a key of a table, as the file writes it; only ``file`` where it does so in another way."""
        current = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
            if header is not None:
                current = header[1].strip("\"'")
            plain = re.match(r"""\s*["']?([^\s"'=#]+)["']?\s*=""", line)
            is_key = plain is not None and plain[1] == key and current == table
            if is_key or (header is not None and not table and current == key):
                return f"{self.name}:{number}"
        return self.name


def _decode(made: Any, found: dict[str, Any], source: _Source, table: str) -> Any:
    """A config or section of type ``made`` from a TOML table."""
    hints, known = get_type_hints(made), {entry.name: entry for entry in dataclasses.fields(made)}
    values: dict[str, Any] = {}
    for key, value in found.items():
        where = source.at(table, key)
        if key not in known:
            raise BadInputError(f"{where}: unknown option {key[:80]!r}; known: {', '.join(known)}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise BadInputError(f"{where}: {key} is a table, [{key}]")
            values[key] = _decode(hints[key], value, source, key)
        else:
            values[key] = _value(value, hints[key], known[key].metadata, f"{where}: {key}")
    return made(**values)


def _value(value: object, kind: Any, bounds: Any, where: str) -> Any:
    """A value of type ``kind`` within its bounds."""
    if kind is str:
        words = bounds.get("words")
        if not isinstance(value, str) or (words and value not in words) or not _is_plain(value):
            raise BadInputError(f"{where}: expected {' or '.join(map(repr, words)) if words else 'a name'}")
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise BadInputError(f"{where}: expected true or false")
        return value
    if kind in (int, float):
        types = (int, float) if kind is float else (int,)
        least, most = bounds["least"], bounds["most"]
        huge = isinstance(value, int) and value > sys.float_info.max
        if isinstance(value, bool) or not isinstance(value, types) or not least <= value <= most or huge:
            kind_text = "a number" if kind is float else "an integer"
            bound = f"from {least:g}" + ("" if most == math.inf else f" to {most:g}")
            raise BadInputError(f"{where}: expected {kind_text} {bound}")
        return kind(value)
    if not isinstance(value, list) or not all(isinstance(item, str) and _is_plain(item) for item in value):
        raise BadInputError(f"{where}: expected a list of names")
    return tuple(value)


def _is_plain(text: str) -> bool:
    """Whether it can stand between quotes in a TOML file as it is."""
    return text.isprintable() and '"' not in text and "\\" not in text
