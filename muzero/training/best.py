"""The best episode of each puzzle so far, as the paper keeps them: nothing that was found is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mallocgame.system.files import write_atomically
from muzero.training.puzzles import Puzzle
from muzero.training.self_play import Played

FILE = "best.json"
NEVER = -np.inf
"""Return of a puzzle that was not played yet."""


class Best:
    """Return and decisions of the best episode of each puzzle.

    Attributes:
        returns: float64 [P].
        moves: int8 arrays, decisions; forced moves are none.
    """

    def __init__(self, puzzles: Sequence[Puzzle]) -> None:
        self._puzzles = puzzles
        self._numbers = {puzzle.name: number for number, puzzle in enumerate(puzzles)}
        self.returns = np.full(len(puzzles), NEVER)
        self.moves = [np.zeros(0, np.int8) for _ in puzzles]

    def learn(self, puzzles: Sequence[Puzzle], numbers: np.ndarray, played: Played) -> list[int]:
        """Take over what is better. Lane b has played ``puzzles[numbers[b]]``; unknown puzzles do not count.

        Returns:
            The lanes with an episode that is the best one now.
        """
        improved: dict[int, int] = {}
        for lane, number in enumerate(numbers):
            own = self._numbers.get(puzzles[number].name)
            moves = played.decisions.moves[: played.lengths[lane], lane]
            if own is not None and self.offer(own, float(played.returns[lane]), moves):
                improved[own] = lane
        return list(improved.values())

    def offer(self, number: int, returned: float, moves: np.ndarray) -> bool:
        """Take over an episode of a puzzle if it is better; whether it is."""
        better = bool(returned > self.returns[number])
        if better:
            self.returns[number] = returned
            self.moves[number] = moves.astype(np.int8)
        return better

    def seconds(self, puzzle: Puzzle) -> float:
        """Under M of the best episode of a puzzle; infinite if there is none."""
        own = self._numbers.get(puzzle.name)
        return np.inf if own is None else float(puzzle.seconds(self.returns[own]))

    def write(self, folder: Path) -> None:
        """For people and other programs: by name seconds, share saved and moves (see ``mallocgame.game.Move``).

        Raises:
            BadInputError: the file cannot be written.
        """
        rows = {
            puzzle.name: {
                "seconds": self.seconds(puzzle),
                "hbm_seconds": puzzle.hbm_seconds,
                "moves": "".join(map(str, moves)),
            }
            for puzzle, moves, returned in zip(self._puzzles, self.moves, self.returns, strict=True)
            if returned > NEVER
        }
        write_atomically(folder / FILE, (json.dumps(rows, indent=1) + "\n").encode())

    def stored(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps, by name."""
        return {
            "best/returns": self.returns,
            "best/lengths": np.array([len(moves) for moves in self.moves], np.int32),
            "best/moves": np.concatenate([np.zeros(0, np.int8), *self.moves]),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what ``stored`` gave."""
        self.returns = arrays["best/returns"].copy()
        ends = np.cumsum(arrays["best/lengths"])
        self.moves = np.split(arrays["best/moves"], ends[:-1])
