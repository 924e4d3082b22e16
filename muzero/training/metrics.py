"""Figures of a training job over its iterations: lines of JSON, and TensorBoard where tensorboardX is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically
from mallocgame.system.lines_file import read_lines

FILE = "metrics.jsonl"
TENSORBOARD = "tensorboard"


class Metrics:
    """The figures of a job in its folder.

    A line is ``{"iteration": 3, "loss/value": 0.5, ...}``. Names that begin with ``time/`` are of the clock; all others
    are the same in every run of the same config on one CPU, killed and resumed or not.
    """

    def __init__(self, folder: Path, first: int) -> None:
        """Go on in a folder: lines of iteration ``first`` and later, which are to come again, are dropped.

        Raises:
            BadInputError: the file cannot be written.
        """
        self._path = folder / FILE
        kept = [line for line in read_metrics(folder) if line["iteration"] < first]
        write_atomically(self._path, "".join(map(_line, kept)).encode())
        self._board: Any = None
        try:
            from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
        except ModuleNotFoundError:
            return
        self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=first)

    def write(self, iteration: int, figures: Mapping[str, float]) -> None:
        """Append the figures of an iteration."""
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(_line({"iteration": iteration, **figures}))
        except OSError as error:
            raise BadInputError(f"{self._path}: cannot be written: {error.strerror}") from None
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Write what TensorBoard has in memory."""
        if self._board is not None:
            self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a folder; none if there is no file. A last line that a kill cut off is left out.

    Raises:
        BadInputError: the file cannot be read, or a line is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return []
    return [_figures(line, f"{path}:{number}") for number, line in enumerate(read_lines(path), 1)]


def _figures(line: bytes, where: str) -> dict[str, Any]:
    value = checked.parse_json(line, where)
    if not isinstance(value, dict):
        raise checked.bad(where, "an object", value)
    checked.natural(value.get("iteration"), f"{where}: iteration")
    return value


def _line(figures: Mapping[str, Any]) -> str:
    return json.dumps(figures) + "\n"
