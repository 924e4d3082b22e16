"""What a command answers: a JSON document, or the same as lines for people.

Every document has ``command``; durations are seconds, sizes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mallocgame.cli.progress import tell
from mallocgame.system.printable import printable

Document = dict[str, Any]
Value = Mapping[str, Any]
"""A document that is read."""


def show(document: Value, lines: Callable[[Any], list[str]], as_json: bool) -> None:
    """Print a document on stdout; ``lines`` says it in words, before them a target by default, after them the notes."""
    tell.stop()
    if as_json:
        print_json(document)
        return
    for line in (*_interrupted(document), *_targeted(document), *lines(document), *noted(document)):
        print(printable(line))


def print_json(document: Value) -> None:
    """Print a document as JSON on stdout."""
    print(json.dumps(document, indent=1, allow_nan=False))


def _interrupted(document: Value) -> list[str]:
    """Said before anything else."""
    return ["interrupted: this is the best so far"] if document.get("status") == "interrupted" else []


def _targeted(document: Value) -> list[str]:
    """The target, where nobody said one."""
    if "target_why" not in document:
        return []
    from mallocgame.programs.target_choice import UNSAID, told

    return [told(document["target"], UNSAID)] if document["target_why"] == UNSAID else []


def noted(document: Value) -> list[str]:
    """The notes of a document, a line each."""
    return [f"note: {note}" for note in document.get("notes", ())]
