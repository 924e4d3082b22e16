"""What a search starts from: an answer for another compiler, or for the program as it was."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mallocgame.plan.answer_file import Answer, load_answer
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import digest_of_file


@dataclass(frozen=True)
class Start:
    """An answer to start from.

    Attributes:
        name: of its file.
        answer: what the file says.
        digest: 64 hex digits over the file.
    """

    name: str
    answer: Answer
    digest: str

    @property
    def made_by(self) -> str:
        """The compiler that it is of, in words."""
        return f"an answer of libtpu {self.answer.versions.get('libtpu', 'of no known version')}"

    def check(self, target: str) -> None:
        """Refuse an answer for another target.

        Raises:
            BadInputError: it is for another one.
        """
        if self.answer.target != target:
            raise BadInputError(
                f"{self.name}: an answer for {self.answer.target}, and the program is compiled for {target}: fast "
                f"memories differ; start from an answer for {target}, or from none"
            )


def load_start(path: str | os.PathLike[str]) -> Start:
    """Read an answer of ``solve --solver auto`` or of ``mallocgame.optimize``; nothing in it is trusted.

    Raises:
        BadInputError: it is none, or damaged.
    """
    return Start(Path(path).name, load_answer(path), digest_of_file(Path(path)) or "")
