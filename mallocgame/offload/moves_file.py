"""Files of the offload game's answers: the move of each named residual, and what the compiler made of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from mallocgame.offload.policy import AS_WRITTEN, READY, NamedMoves
from mallocgame.offload.problem import Move
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically

FORMAT = "mallocgame-offload-plan"
VERSION = 2
"""Of files that say more than version 1 has."""

MAX_FILE_BYTES = 2**24

_KEYS = ("format", "version", "program", "target", "budget", "moves", "options", "versions", "device_bytes", "seconds")
_SINCE_2 = ("ready", "everywhere", "state", "batch")


@dataclass(frozen=True)
class MovesFile:
    """What such a file holds.

    Attributes:
        program: ``MODULE:FUNCTION``.
        target: the device.
        budget: bytes of device memory that it is for.
        moves: of each name.
        options: compiler options that belong to it.
        versions: of the compiler that confirmed it; none where nothing did.
        device_bytes: that it needs, as the compiler says, or the model where nothing was compiled.
        seconds: under M, likewise.
        everywhere: whether they are for all checkpointed blocks of the program, whatever their policies; else for those
            that the builder wraps, or that are under ``mallocgame.policy``.
        state: leaf groups of the step's arguments that live in host memory (``mallocgame.offload.state``).
        batch: that the program was made for; None where it takes none.
    """

    program: str
    target: str
    budget: int
    moves: NamedMoves
    options: Mapping[str, str]
    versions: Mapping[str, str]
    device_bytes: int
    seconds: float
    everywhere: bool = False
    state: tuple[str, ...] = ()
    batch: int | None = None

    def to_python(self) -> str:
        """Python that a user can paste: the policy, and where state lives."""
        lines = []
        if self.everywhere and not self.moves.as_written:
            lines = ["# For all blocks under jax.checkpoint, whatever their policies."]
        state = [
            "",
            f"# In host memory: {', '.join(self.state)}.",
            "from mallocgame.offload.state import with_state_on_host",
            "",
            "# Of the jitted step and its abstract arguments:",
            f"# step, arguments = with_state_on_host(step, arguments, {{}}, {list(self.state)!r})",
        ]
        return (
            "".join(f"{line}\n" for line in lines)
            + self.moves.to_python()
            + ("".join(f"{line}\n" for line in state) if self.state else "")
        )


def save_moves(content: MovesFile, path: str | os.PathLike[str]) -> None:
    """Write atomically.

    Raises:
        BadInputError: ``path`` cannot be written.
    """
    further = {
        "ready": content.moves.ready,
        "everywhere": content.everywhere,
        "state": list(content.state),
        "batch": content.batch,
    }
    value: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION if any(further.values()) else 1,
        "program": content.program,
        "target": content.target,
        "budget": content.budget,
        "moves": None if content.moves.moves is None else dict(content.moves.moves),
        "options": dict(content.options),
        "versions": dict(content.versions),
        "device_bytes": content.device_bytes,
        "seconds": content.seconds,
        **(further if any(further.values()) else {}),
    }
    write_atomically(path, (json.dumps(value, allow_nan=False, indent=1) + "\n").encode())


def is_moves_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is one; False where it cannot be read."""
    try:
        value = checked.read_json(path, MAX_FILE_BYTES)
    except BadInputError:
        return False
    return isinstance(value, dict) and value.get("format") == FORMAT


def load_moves(path: str | os.PathLike[str]) -> MovesFile:
    """Read a file; nothing in it is trusted.

    Raises:
        BadInputError: it cannot be read, is damaged, or of another format or version.
    """
    source = str(path)
    value = checked.read_json(path, MAX_FILE_BYTES)
    version = value.get("version") if isinstance(value, dict) else None
    found = checked.record(value, source, (*_KEYS, *_SINCE_2) if version == VERSION else _KEYS)
    if found["format"] != FORMAT or version not in (1, VERSION):
        raise BadInputError(f"{source}: not a plan of the offload game that this mallocgame reads; make it again")
    moves = checked.optional(checked.mapping(checked.one_of(get_args(Move))))(found["moves"], f"{source}: moves")
    return MovesFile(
        program=checked.text(found["program"], f"{source}: program"),
        target=checked.text(found["target"], f"{source}: target"),
        budget=checked.natural(found["budget"], f"{source}: budget"),
        moves=NamedMoves(moves, _ready(found.get("ready", ""), source)),  # type: ignore[arg-type]
        options=checked.mapping(checked.text)(found["options"], f"{source}: options"),
        versions=checked.mapping(checked.text)(found["versions"], f"{source}: versions"),
        device_bytes=checked.natural(found["device_bytes"], f"{source}: device_bytes"),
        seconds=checked.non_negative(found["seconds"], f"{source}: seconds"),
        everywhere=checked.boolean(found.get("everywhere", False), f"{source}: everywhere"),
        state=tuple(checked.each(checked.text)(found.get("state", []), f"{source}: state")),
        batch=checked.optional(checked.natural)(found.get("batch"), f"{source}: batch"),
    )


def _ready(value: object, source: str) -> str:
    return str(checked.one_of(("", AS_WRITTEN, *READY))(value, f"{source}: ready"))
