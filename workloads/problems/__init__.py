"""The shipped problems: captures of the benchmark's programs in compact form, split by model family for the agent.

Solving, tests and training need nothing else: no libtpu, no JAX, no HLO.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mallocgame.plan.problem_file import SUFFIX, ProblemFile, load_problem
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from workloads.problems.splits import SPLITS, Split

__all__ = ["FOLDER", "INDEX", "SPLITS", "Entry", "Split", "index", "load", "names", "path", "read_index"]

FOLDER = Path(__file__).parent
INDEX = "index.json"
FORMAT = "mallocgame-problems"
VERSION = 1
MAX_INDEX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the index.

    Attributes:
        name: of the problem and, with ``.mgp``, of its file: ``WORKLOAD-TARGET``, e.g. ``"gpt2-v4lite"``.
        workload: name in the catalogue.
        family: of the workload.
        phase: of the workload.
        target: e.g. ``"v4 lite"``.
        split: the side of the family.
        instructions: length of the schedule.
    """

    name: str
    workload: str
    family: str
    phase: str
    target: str
    split: Split
    instructions: int


@cache
def index() -> tuple[Entry, ...]:
    """The shipped problems, in the order of their names."""
    return read_index(FOLDER / INDEX)


def names(split: Split | None = None) -> tuple[str, ...]:
    """Names of the problems of a split, or of all."""
    return tuple(entry.name for entry in index() if split in (None, entry.split))


def path(name: str) -> Path:
    """The file of a problem.

    Raises:
        KeyError: no such problem; the message lists the known ones.
    """
    if name not in names():
        raise KeyError(f"unknown problem {name!r}; known: {', '.join(names())}")
    return FOLDER / f"{name}{SUFFIX}"


def load(name: str) -> ProblemFile:
    """A problem with XLA's own placement.

    Raises:
        KeyError: no such problem.
        BadInputError: its file is damaged.
    """
    return load_problem(path(name))


_ENTRY = ("name", "workload", "family", "phase", "target", "split", "instructions")


def read_index(file: Path) -> tuple[Entry, ...]:
    """The rows of an index file.

    Raises:
        BadInputError: it cannot be read or is damaged.
    """
    top = checked.record(checked.read_json(file, MAX_INDEX_BYTES), str(file), ("format", "version", "seed", "problems"))
    if (top["format"], top["version"]) != (FORMAT, VERSION):
        raise BadInputError(f"{file}: not an index of problems of version {VERSION}")
    return checked.each(_entry)(top["problems"], f"{file}: problems")


def _entry(value: object, where: str) -> Entry:
    fields = checked.record(value, where, _ENTRY)
    split = next((split for split in SPLITS if split == fields["split"]), None)
    if split is None:
        raise checked.bad(f"{where}.split", f"one of {', '.join(SPLITS)}", fields["split"])
    return Entry(
        name=checked.name(fields["name"], f"{where}.name"),
        workload=checked.name(fields["workload"], f"{where}.workload"),
        family=checked.text(fields["family"], f"{where}.family"),
        phase=checked.text(fields["phase"], f"{where}.phase"),
        target=checked.text(fields["target"], f"{where}.target"),
        split=split,
        instructions=checked.natural(fields["instructions"], f"{where}.instructions"),
    )
