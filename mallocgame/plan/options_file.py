"""Compiler options of an answer that is no plan, as a file: other global flags, another split, MSA switched off."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from mallocgame.plan.compiler_options import decode_options
from mallocgame.plan.confirmation import Confirmation, confirmation_from_json, confirmation_to_json
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
    text = json.dumps(options_to_json(content), allow_nan=False, indent=1)
    write_atomically(path, (text + "\n").encode())


def options_to_json(content: ProgramOptions) -> dict[str, Any]:
    """The file's value."""
    value = {"format": FORMAT, "version": VERSION, **asdict(content)}
    if content.confirmation is None:
        del value["confirmation"]
    else:
        value["confirmation"] = confirmation_to_json(content.confirmation)
    return value


def options_from_json(value: object, source: str) -> ProgramOptions:
    """What a file's value says; nothing in it is trusted.

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
