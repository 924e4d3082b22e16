"""Answers as files: a plan, compiler options, or what ``mallocgame.optimize`` writes, which holds one of the two."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mallocgame.plan import options_file
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.options_file import ProgramOptions, options_from_json, options_to_json
from mallocgame.plan.plan_file import FORMAT as PLAN_FORMAT
from mallocgame.plan.plan_file import MAX_FILE_BYTES, plan_from_json, plan_to_json
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError

OPTIMIZED = "mallocgame-optimized"
"""The format of ``mallocgame.optimize``'s answers."""

Answer = NamedPlan | ProgramOptions


def is_answer(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is what `load_answer` reads; False where it cannot be read."""
    try:
        value = checked.read_json(path, MAX_FILE_BYTES)
    except BadInputError:
        return False
    return isinstance(value, dict) and value.get("format") in (OPTIMIZED, options_file.FORMAT, PLAN_FORMAT)


def load_answer(path: str | os.PathLike[str]) -> Answer:
    """Read the file of an answer; nothing in it is trusted. One of ``optimize`` of before gives its options.

    Raises:
        BadInputError: it is none, or damaged.
    """
    value, source = checked.read_json(path, MAX_FILE_BYTES), str(path)
    if not isinstance(value, dict) or value.get("format") != OPTIMIZED:
        return answer_from_json(value, source)
    if value.get("proof") is not None:
        return answer_from_json(value["proof"], f"{source}: proof")
    names = ("kind", "about", "module", "target", "fingerprint", "versions", "options")
    options = {name: value[name] for name in names if name in value}
    return options_from_json({"format": options_file.FORMAT, "version": options_file.VERSION, **options}, source)


def answer_to_json(answer: Answer) -> Mapping[str, Any]:
    """A file's value."""
    return plan_to_json(answer) if isinstance(answer, NamedPlan) else options_to_json(answer)


def answer_from_json(value: object, source: str) -> Answer:
    """What a plan file or an options file holds.

    Raises:
        BadInputError: it is neither, or damaged; ``source`` begins the message.
    """
    if isinstance(value, dict) and value.get("format") == options_file.FORMAT:
        return options_from_json(value, source)
    return plan_from_json(value, source)
