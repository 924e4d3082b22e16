"""The result of a probe as a file: what ``mallocgame probe --json`` prints, and every sample."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mallocgame.probe.document import of_probe
from mallocgame.system.files import write_atomically

if TYPE_CHECKING:
    from mallocgame.probe.measure import Probe

FORMAT = "mallocgame-probe"
VERSION = 1


def save_result(found: Probe, path: str | os.PathLike[str]) -> None:
    """Write atomically. ``samples`` has a row for each round: seconds of a call of each program.

    Raises:
        BadInputError: ``path`` cannot be written.
    """
    samples = [[float(f"{seconds:.6g}") for seconds in row] for row in found.samples]
    value = {"format": FORMAT, "version": VERSION, **of_probe(found, None), "samples": samples}
    write_atomically(path, (json.dumps(value, allow_nan=False) + "\n").encode())
