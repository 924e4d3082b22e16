"""Which target a program is for: the one that was asked for, else what its file says, else a documented default.

A target that was not asked for is told before anything else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mallocgame.problem.targets import DEFAULT_TARGET, get_target
from mallocgame.system.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

    from mallocgame.problem.schema import Target
    from mallocgame.system.progress import Progress

ASKED = "asked for"
SAID = "the file says so"
UNSAID = "the file does not say one, --target NAME for another"


def target_said(path: Path, asked: Target | None, said: str, progress: Progress) -> str:
    """Why a file that says its target is for that.

    Args:
        path: of the file.
        asked: the target that was asked for, if one was.
        said: name of the file's own.
        progress: is told of a target that was not asked for.

    Raises:
        BadInputError: another one was asked for.
    """
    if asked is None:
        progress(told(said, SAID))
        return SAID
    if asked.name != said:
        raise BadInputError(f"{path}: is for {said}, not for {asked.name}; leave --target out")
    return ASKED


def target_chosen(asked: Target | None, progress: Progress) -> tuple[Target, str]:
    """The target of a file that does not say its own, and why it is that; arguments as ``target_said``."""
    if asked is not None:
        return asked, ASKED
    progress(told(DEFAULT_TARGET, UNSAID))
    return get_target(DEFAULT_TARGET), UNSAID


def told(target: str, why: str) -> str:
    """A target and the reason for it, as a line."""
    return f"target {target}: {why}"


def reason(lines: Sequence[str], target: str) -> str:
    """Why a program is for a target, from the lines that were told."""
    return next((why for why in (SAID, UNSAID) if told(target, why) in lines), ASKED)
