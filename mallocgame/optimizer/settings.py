"""How ``optimize`` is asked to search: what an answer depends on beside the program."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass, field, fields
from typing import get_args

from mallocgame.compiler.versions import versions_here
from mallocgame.optimizer.start import Start
from mallocgame.plan.objective import Objective
from mallocgame.problem.given import Given
from mallocgame.system.errors import BadInputError
from mallocgame.system.version import __version__


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a search.

    Attributes:
        time_limit: seconds of search; compiles come on top.
        compiles: how many beside XLA's default.
        compile_time: seconds that these may take; None for no such bound.
        objective: what the answer is best under, of all programs that beat XLA's default.
        strict: whether another memory split may not lose under M.
        seed: of all random choices.
        given: what the user says of the program.
        start: the answer that it starts from; None for none.

    Raises:
        BadInputError: one is out of range.
    """

    time_limit: float
    compiles: int
    compile_time: float | None
    objective: Objective
    strict: bool
    seed: int
    given: Given = field(default_factory=Given)
    start: Start | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_limit) and self.time_limit > 0):
            raise BadInputError(f"the time limit has to be a positive number of seconds, not {self.time_limit}")
        if self.compiles < 1:
            raise BadInputError(f"at least one compile is needed to confirm anything, not {self.compiles}")
        if self.compile_time is not None and not (math.isfinite(self.compile_time) and self.compile_time > 0):
            raise BadInputError(f"the compile time has to be a positive number of seconds, not {self.compile_time}")
        if self.objective not in get_args(Objective):
            raise BadInputError(f"unknown objective {self.objective!r}; known: {', '.join(get_args(Objective))}")

    def key(self, program: str) -> str:
        """64 hex digits over a program's digest, these settings, the compiler that is installed, and mallocgame."""
        # TPU_LIBRARY_PATH puts another compiler in the place of the installed one.
        library = os.environ.get("TPU_LIBRARY_PATH", "")
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values |= {"given": None, "start": self.start and self.start.digest}
        settings = {name: value for name, value in values.items() if value is not None} | self.given.recorded()
        parts = (program, settings, versions_here(), library, __version__)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
