"""Compiler options of an answer that is no plan, as a file: other global flags, another split, MSA switched off."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import get_args

from mallocgame.plan.compiler_options import decode_options
from mallocgame.plan.confirmation import Confirmation, confirmation_from_json, confirmation_to_json
from mallocgame.plan.plan_file import FORMAT as PLAN_FORMAT
from mallocgame.plan.plan_file import MAX_FILE_BYTES, NamedPlan, load_plan
from mallocgame.plan.verdict import Kind
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically

FORMAT = "mallocgame-options"
VERSION = 1


@dataclass(frozen=True)
class ProgramOptions:
    """What makes the compiler give one program.

    Attributes:
        kind: what the program is.
        about: what the options do, in a few words.
        module: name of the HLO module.
        target: e.g. ``"v5p"``.
        fingerprint: of the schedule of XLA's default.
        versions: of the compiler that confirmed it.
        options: of the compiler; none for XLA's default.
        confirmation: what its compiles confirmed; None in files of before it was kept.
    """

    kind: Kind
    about: str
    module: str
    target: str
    fingerprint: str
    versions: Mapping[str, str]
    options: Mapping[str, str]
    confirmation: Confirmation | None = None


def save_options(content: ProgramOptions, path: str | os.PathLike[str]) -> None:
    """Write atomically.

    Raises:
        BadInputError: ``path`` cannot be written.
    """
    value = {"format": FORMAT, "version": VERSION, **asdict(content)}
    if content.confirmation is None:
        del value["confirmation"]
    else:
        value["confirmation"] = confirmation_to_json(content.confirmation)
    text = json.dumps(value, allow_nan=False, indent=1)
    write_atomically(path, (text + "\n").encode())


def is_answer(path: str | os.PathLike[str]) -> bool:
    """Whether a file says that it is what `load_answer` reads; False where it cannot be read."""
    try:
        value = checked.read_json(path, MAX_FILE_BYTES)
    except BadInputError:
        return False
    return isinstance(value, dict) and value.get("format") in (FORMAT, PLAN_FORMAT)


def load_answer(path: str | os.PathLike[str]) -> NamedPlan | ProgramOptions:
    """Read a plan file or an options file; nothing in it is trusted.

    Raises:
        BadInputError: it is neither, or damaged.
    """
    value, source = checked.read_json(path, MAX_FILE_BYTES), str(path)
    if isinstance(value, dict) and value.get("format") == FORMAT:
        return _from_json(value, source)
    return load_plan(path)


def _from_json(value: object, source: str) -> ProgramOptions:
    """The content of a file; nothing in it is trusted.

    Raises:
        BadInputError: it is damaged, of another version, or has options that read or write files.
    """
    names = tuple(attribute.name for attribute in fields(ProgramOptions))
    found = checked.record(
        {"confirmation": None, **value} if isinstance(value, dict) else value, source, ("format", "version", *names)
    )
    if found["version"] != VERSION:
        raise BadInputError(f"{source}: of version {str(found['version'])[:20]}; this mallocgame has {VERSION}")
    return ProgramOptions(
        kind=checked.one_of(get_args(Kind))(found["kind"], f"{source}: kind"),  # type: ignore[arg-type]
        about=checked.text(found["about"], f"{source}: about"),
        module=checked.text(found["module"], f"{source}: module"),
        target=checked.text(found["target"], f"{source}: target"),
        fingerprint=checked.text(found["fingerprint"], f"{source}: fingerprint"),
        versions=checked.mapping(checked.text)(found["versions"], f"{source}: versions"),
        options=decode_options(found["options"], f"{source}: options"),
        confirmation=checked.optional(confirmation_from_json)(found["confirmation"], f"{source}: confirmation"),
    )
