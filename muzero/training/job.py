"""The training job: iterations of self-play, reanalyse and updates, which can be stopped and resumed anywhere.

All chance of an iteration comes from the job's seed and the iteration's number, and episodes end in the iteration that
began them. So a checkpoint is the learner's arrays, the recorded episodes and the best ones; what a network saw is made
again from the moves. On one CPU a resumed job does bit for bit what it would have done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line
from mallocgame.system.progress import Progress
from muzero.networks import Network, Params
from muzero.search import MOVES, Environment, SearchOptions, Variant
from muzero.training import checkpoint as files
from muzero.training.best import Best
from muzero.training.checkpoint import Checkpoint
from muzero.training.config import TrainConfig, parse_config
from muzero.training.demonstrations import Demonstration
from muzero.training.evaluate import HeldOut, accuracy, evaluate
from muzero.training.imitation import Imitation, episode_of, stored_episodes
from muzero.training.learner import Learner, begin, check_finite, on_devices, update
from muzero.training.metrics import Metrics
from muzero.training.puzzles import Puzzle, draw, groups, stacked
from muzero.training.replay import Generation, Replay, joined, stored_generations
from muzero.training.self_play import AXIS, Played, Player, Traced, generation_of, play, trace

FREE_TO_CHANGE = ("iterations", "minutes", "checkpoint_every")
"""Options that a resumed job may have otherwise than the job before; and ``ray_workers``."""


class Task(NamedTuple):
    """A batch of episodes to be played.

    Attributes:
        problems: int64 [lanes], numbers of the training puzzles.
        key: of the searches' noise.
    """

    problems: np.ndarray
    key: jax.Array


Elsewhere = Callable[[Params, Sequence[Task], np.ndarray], Iterable[Played]]
"""(parameters, tasks, temperatures of the lanes) -> the episodes of each task, in order."""


@dataclass(frozen=True)
class Setting:
    """What a job plays and where it writes.

    Attributes:
        environment: the game.
        network: that learns.
        version: of the environment; a checkpoint is for one version.
        train: puzzles that are played.
        evaluated: puzzles that progress is measured on.
        demonstrations: of puzzles of ``train``, to learn from; the first one of a puzzle is its best.
        held_out: demonstrations of puzzles of ``evaluated``, to compare the policy with.
        folder: for checkpoints, metrics and the best episodes.
        progress: told one line an iteration.
        checkpointed: called with the learner after each checkpoint is written.
        elsewhere: plays in the job's stead, on other machines; None to play here.
    """

    environment: Environment
    network: Network
    version: int
    train: Sequence[Puzzle]
    evaluated: Sequence[Puzzle]
    folder: Path
    progress: Progress
    checkpointed: Callable[[Learner], None]
    demonstrations: Sequence[Demonstration] = ()
    held_out: Sequence[Demonstration] = ()
    elsewhere: Elsewhere | None = None


class Job:
    """A job in progress.

    Attributes:
        learner: parameters and optimiser.
        replay: recorded episodes.
        imitation: episodes whose moves are taught as they are.
        best: the best episode of each training puzzle.
        iteration: how many are done.
    """

    def __init__(self, config: TrainConfig, setting: Setting) -> None:
        """A fresh job.

        Raises:
            BadInputError: the config does not fit the devices or the puzzles.
        """
        devices, walkers = jax.devices(), _walkers()
        lanes, batch = ("self_play.lanes", config.self_play.lanes), ("learner.batch", config.learner.batch)
        for (name, count), among in ((lanes, devices), (batch, devices), (lanes, walkers)):
            if count % len(among):
                raise BadInputError(f"{name} is {count}, which {len(among)} devices cannot share alike")
        if not setting.train:
            raise BadInputError("there is no problem to train on: see [problems] of the config")
        if config.search.variant == Variant.POLICY_ALONE.value and config.imitation.share == 0:
            raise BadInputError(
                "search.variant is policy-alone, whose own choices teach it no moves: set imitation.share above 0"
            )
        self.config, self.setting = config, setting
        self._groups = groups(setting.train)
        coldest, hottest = config.search.temperature, config.search.hottest
        self._heat = np.geomspace(coldest, hottest, config.self_play.lanes).astype(np.float32)
        self._mesh, self._walkers = Mesh(np.array(devices), (AXIS,)), Mesh(np.array(walkers), (AXIS,))
        self._player = Player(
            setting.environment, setting.network, search_options(config), self._mesh, moves=config.self_play.moves
        )
        self.learner = begin(config.learner, self._mesh, setting.network.init(jax.random.key(config.seed)))
        self.replay = Replay(config.replay)
        self.imitation = Imitation()
        self.best = Best(setting.train)
        self._held_out: HeldOut | None = None
        self.iteration = 0
        self._spent = 0.0

    def run(self) -> None:
        """Iterate until the config says to stop.

        The figures of iteration i: an evaluation of what the i iterations before gave, then what is played and learned
        in it; the last line is an evaluation alone.

        Raises:
            NotFiniteError: a loss is not finite.
            BadInputError: a file cannot be written.
        """
        config, started = self.config, monotonic() - self._spent
        metrics = Metrics(self.setting.folder, self.iteration)
        last = False
        try:
            if self.iteration == 0 and not self.imitation.positions:
                self._demonstrate()
            while not last:
                last = self.iteration == config.iterations or 0 < config.minutes * 60 <= monotonic() - started
                figures: dict[str, float] = {}
                if config.evaluation.every and (last or self.iteration % config.evaluation.every == 0):
                    figures |= self._evaluate()
                if not last:
                    figures |= self._iterate()
                figures["time/seconds"] = self._spent = monotonic() - started
                metrics.write(self.iteration, figures)
                self.setting.progress(_line(self.iteration, figures))
                self.iteration += not last
                if last or self.iteration % config.checkpoint_every == 0:
                    self._write()
        finally:
            metrics.close()

    def _iterate(self) -> dict[str, float]:
        """One iteration; its figures."""
        config = self.config
        rng = np.random.default_rng([config.seed, self.iteration])
        key = jax.random.fold_in(jax.random.key(config.seed), self.iteration)
        figures: dict[str, float] = {}
        if self.iteration >= config.imitation.iterations:
            figures |= self._self_play(rng, key)
        if self.replay.positions or self.imitation.positions:
            begun = monotonic()
            figures |= self._learn(rng)
            figures["time/learn"] = monotonic() - begun
        return figures

    def _self_play(self, rng: np.random.Generator, key: jax.Array) -> dict[str, float]:
        """New episodes, and old ones searched anew. Without search they teach values, but no moves."""
        config, begun = self.config, monotonic()
        returns, decisions = [], 0
        numbers = range(config.self_play.generations)
        tasks = [
            Task(draw(rng, self._groups, config.self_play.lanes), jax.random.fold_in(key, number)) for number in numbers
        ]
        for task, played in zip(tasks, self._play(tasks), strict=True):
            problems = task.problems
            improved = self.best.learn(self.setting.train, problems, played)
            returns.append(played.returns)
            decisions += int(played.lengths.sum())
            if len(played.decisions.moves):
                seen = self._trace(problems, played.decisions.moves).observations
                generation = generation_of(played, problems, seen)
                if self._player.options.variant is Variant.POLICY_ALONE:
                    generation.weights[:] = 0
                self.replay.add(generation)
                self._imitate(generation, improved)
        figures = {"play/return": float(np.mean(returns)), "play/decisions": float(decisions)}
        figures["play/best"] = float(np.mean(self.best.returns[np.isfinite(self.best.returns)]))
        figures["time/play"] = monotonic() - begun
        if not self.replay.generations:
            return figures
        begun = monotonic()
        for number in range(config.self_play.reanalysed):
            own = jax.random.fold_in(key, config.self_play.generations + number)
            self._reanalyse(self.replay.generations[int(rng.integers(len(self.replay.generations)))], own)
        figures["time/reanalyse"] = monotonic() - begun
        return figures

    def _imitate(self, generation: Generation, lanes: Sequence[int]) -> None:
        """Teach these lanes of a generation as they were played, if anything is."""
        if self.config.imitation.share > 0:
            for lane in lanes:
                if generation.lengths[lane]:
                    self.imitation.replace(episode_of(generation, lane, generation.moves[:, lane]))

    def _demonstrate(self) -> None:
        """Take in the demonstrations, and what they are worth."""
        shown = [one for one in self.setting.demonstrations if len(one.moves)]
        walked = self._walked(self.setting.train, [one.puzzle for one in shown], [one.moves for one in shown])
        for one, found in zip(shown, walked, strict=True):
            self.best.offer(one.puzzle, float(found.returns[0]), one.moves)
            self.imitation.add(episode_of(_generation(one, found), 0, one.taught))
        if shown:
            self.setting.progress(f"{len(shown)} demonstrations, {self.imitation.positions} decisions")

    def _walked(self, puzzles: Sequence[Puzzle], numbers: Sequence[int], moves: Sequence[np.ndarray]) -> list[Traced]:
        """Recorded episodes walked again, as many at once as there are lanes; one lane each."""
        lanes = self.config.self_play.lanes
        found: dict[int, Traced] = {}
        for group in groups([puzzles[number] for number in numbers]):
            self.setting.progress(f"{len(found)} of {len(numbers)} episodes walked again")
            for start in range(0, len(group), lanes):
                chosen = group[start : start + lanes]
                rows = np.resize(chosen, lanes)
                made = np.full((max(len(moves[row]) for row in rows), lanes), -1, np.int8)
                for lane, row in enumerate(rows):
                    made[: len(moves[row]), lane] = moves[row]
                tables = stacked(puzzles, np.array([numbers[row] for row in rows]))
                every = trace(self.setting.environment, self._walkers, self.config.self_play.moves, tables, made)
                for lane, row in enumerate(chosen):
                    found[row] = _lane(every, lane, len(moves[row]))
        return [found[row] for row in range(len(numbers))]

    def _play(self, tasks: Sequence[Task]) -> Iterable[Played]:
        """The episodes of each task, in order: here, or wherever the setting has them played."""
        if self.setting.elsewhere is not None:
            return self.setting.elsewhere(self.learner.params, tasks, self._heat)
        return (
            play(self._player, self.learner.params, stacked(self.setting.train, task.problems), task.key, self._heat)
            for task in tasks
        )

    def _trace(self, problems: np.ndarray, moves: np.ndarray) -> Traced:
        """Recorded moves walked again."""
        tables = stacked(self.setting.train, problems)
        return trace(self.setting.environment, self._walkers, self.config.self_play.moves, tables, moves)

    def _reanalyse(self, generation: Generation, key: jax.Array) -> None:
        """Search all positions of a generation anew, with the target parameters."""
        tables = stacked(self.setting.train, generation.problems)
        target = self.learner.target
        played = play(self._player, target, tables, key, self._heat, follow=generation.moves)
        generation.weights, generation.values = played.decisions.weights, played.decisions.values

    def _learn(self, rng: np.random.Generator) -> dict[str, float]:
        """The updates of an iteration; means of their losses. Priorities change when all of them are done."""
        config = self.config.learner
        taught = round(self.config.imitation.share * config.batch) if self.imitation.positions else 0
        sources = [(self.imitation.episodes, taught), (self.replay, config.batch - taught)]
        if not self.replay.positions or self.iteration < self.config.imitation.iterations:
            sources = [(self.imitation.episodes, config.batch)]
        sources = [(source, count) for source, count in sources if count]
        drawn = [[source.draw(rng, count) for source, count in sources] for _ in range(config.updates)]
        targets = [source.targets(config.value_steps) for source, _ in sources]
        first, found = int(self.learner.updates), []
        for positions in drawn:
            parts = zip(sources, positions, targets, strict=True)
            batch = joined([source.batch(part, config.unroll, own) for (source, _), part, own in parts])
            self.learner, losses = update(self.setting.network, config, self._mesh, self.learner, batch)
            found.append(losses)
        found = jax.device_get(found)
        check_finite(config, first, found)
        if sources[-1][0] is self.replay:
            for positions, losses in zip(drawn, found, strict=True):
                self.replay.update(positions[-1], np.asarray(losses.errors)[-len(positions[-1]) :])
        names = ("total", "policy", "value", "reward")
        return {f"loss/{name}": float(np.mean([getattr(losses, name) for losses in found])) for name in names}

    def _evaluate(self) -> dict[str, float]:
        begun = monotonic()
        setting = self.setting
        found = evaluate(self._player, self.learner.params, setting.evaluated, self.config.self_play.lanes, self.best)
        figures = {f"evaluation/{name}": value for name, value in found.items()}
        if setting.held_out:
            if self._held_out is None:
                self._held_out = self._walk_held_out()
            agreed = accuracy(setting.network, self.learner.params, self._held_out)
            figures |= {f"held_out/{name}": value for name, value in agreed.items()}
        return {**figures, "time/evaluation": monotonic() - begun}

    def _walk_held_out(self) -> HeldOut:
        shown = [one for one in self.setting.held_out if len(one.moves)]
        walked = self._walked(self.setting.evaluated, [one.puzzle for one in shown], [one.moves for one in shown])
        seen = jax.tree.map(
            lambda *parts: np.concatenate([part[:, 0] for part in parts]), *(w.observations for w in walked)
        )
        return HeldOut(seen, np.concatenate([one.taught for one in shown]))

    def _write(self) -> None:
        """Write a checkpoint, the best episodes, and what the setting wants."""
        leaves = jax.tree_util.tree_leaves_with_path(self.learner)
        arrays = {f"learner{jax.tree_util.keystr(path)}": np.asarray(leaf) for path, leaf in leaves}
        header = {
            "environment": self.setting.version,
            "config": self.config.to_toml(),
            "puzzles": [puzzle.name for puzzle in self.setting.train],
            "iteration": self.iteration,
            "seconds": self._spent,
        }
        kept = Checkpoint(header, {**arrays, **self.replay.stored(), **self.imitation.stored(), **self.best.stored()})
        files.write(self.setting.folder, self.iteration, kept)
        self.best.write(self.setting.folder)
        self.setting.checkpointed(self.learner)

    def restore(self, path: Path, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            BadInputError: it is of another config, other puzzles or another version of the environment, or its games
                do not hold together.
        """
        header, arrays = checkpoint.header, checkpoint.arrays
        if header.get("environment") != self.setting.version:
            raise BadInputError(
                f"{path}: of version {header.get('environment')} of the environment; this one is {self.setting.version}"
            )
        _check_config(path, str(header.get("config")), self.config)
        if header.get("puzzles") != [puzzle.name for puzzle in self.setting.train]:
            raise BadInputError(f"{path}: of other training problems than there are now")
        leaves, structure = jax.tree_util.tree_flatten_with_path(self.learner)
        found = []
        for place, leaf in leaves:
            array = arrays.get(f"learner{jax.tree_util.keystr(place)}")
            if array is None or array.shape != leaf.shape or array.dtype != leaf.dtype:
                raise BadInputError(f"{path}: {jax.tree_util.keystr(place)} is missing or of another shape")
            found.append(array)
        self.learner = on_devices(self._mesh, jax.tree_util.tree_unflatten(structure, found))
        try:
            self._restore_games(arrays)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadInputError(f"{path}: damaged games: {one_line(error, 200)}") from None
        self.iteration = checked.natural(header.get("iteration"), f"{path}: iteration")
        self._spent = checked.non_negative(header.get("seconds"), f"{path}: seconds")

    def _restore_games(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The replay and the best episodes of a checkpoint."""
        self.replay = Replay(self.config.replay)
        for stored in stored_generations(arrays):
            observations = self._trace(stored["problems"], stored["moves"]).observations
            self.replay.generations.append(Generation(**stored, observations=observations))
        self.imitation = Imitation()
        kept = stored_episodes(arrays)
        numbers = [int(one["problems"][0]) for one in kept]
        walked = self._walked(self.setting.train, numbers, [one["moves"][:, 0] for one in kept])
        for one, again in zip(kept, walked, strict=True):
            self.imitation.add(Generation(**one, observations=again.observations))
        self.best.restore(arrays)


def _generation(shown: Demonstration, found: Traced) -> Generation:
    """A demonstration as a generation of one lane."""
    shape = found.rewards.shape
    return Generation(
        problems=np.array([shown.puzzle], np.int32),
        lengths=np.array([len(shown.moves)], np.int32),
        moves=shown.moves[:, None],
        rewards=found.rewards,
        weights=np.zeros((*shape, MOVES), np.float32),
        values=np.zeros(shape, np.float32),
        priorities=np.zeros(shape),
        observations=found.observations,
    )


def _lane(traced: Traced, lane: int, length: int) -> Traced:
    """One lane by itself."""

    def cut(array: Any) -> Any:
        return array[:length, lane : lane + 1].copy()

    return Traced(jax.tree.map(cut, traced.observations), cut(traced.rewards), traced.returns[lane : lane + 1])


def search_options(config: TrainConfig) -> SearchOptions:
    """Of every search of a job."""
    search = config.search
    return SearchOptions(Variant(search.variant), search.simulations, search.max_depth or None)


def _check_config(path: Path, before: str, config: TrainConfig) -> None:
    """Refuse to go on with other options.

    Raises:
        BadInputError: an option differs that may not.
    """
    old = parse_config(before, str(path))
    free = {name: getattr(config, name) for name in FREE_TO_CHANGE}
    workers = replace(old.self_play, ray_workers=config.self_play.ray_workers)
    known = set(replace(old, self_play=workers, **free).to_toml().splitlines())
    new = [line for line in config.to_toml().splitlines() if line not in known]
    if new:
        raise BadInputError(f"{path}: of a job with other options; new: {'; '.join(new[:3])}")


def _walkers() -> list[jax.Device]:
    """Devices that walk recorded episodes again: without a network a move is many small steps, faster on CPUs."""
    try:
        return jax.devices("cpu")
    except RuntimeError:  # JAX_PLATFORMS leaves them out
        return jax.devices()


def _line(iteration: int, figures: dict[str, float]) -> str:
    """Progress in one line."""
    told = {name: value for name, value in figures.items() if not name.startswith("time/")}
    parts = (f"{name} {value:.4g}" for name, value in told.items())
    return ", ".join([f"iteration {iteration}", f"{figures['time/seconds']:.0f} s", *parts])
