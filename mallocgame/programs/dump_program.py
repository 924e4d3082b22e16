"""The program of a dump folder: its text from before optimization, and the target, devices and options it was for.

``target_arguments`` says chip and topology, ``execution_options`` the order of devices, ``hlo_module_config`` levels
and efforts. Options and flags that are not at their defaults are marked in ``tpu_comp_env``; ``flagfile`` has the flags
alone, and marks none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mallocgame.plan.compiler_options import DISABLED_PASSES, EFFORT, FILES, LEVELS, check_options
from mallocgame.problem.targets import DEVICES_PER_CHIP, TARGET_OF_DUMP, TOPOLOGIES
from mallocgame.problem.topologies import Topology
from mallocgame.system.errors import BadInputError
from xla_dump_parser import DumpModule, dump_modules, read_text

_VERSION = re.compile(r"^\s*version: TPU_VERSION_(\w+)$", re.MULTILINE)
_VARIANT = re.compile(r'^\s*variant: "(\w*)"$', re.MULTILINE)
_BOUNDS = re.compile(r"\b(?:chips_per_host|host)_bounds \{\s*x: (\d{1,4})\s*y: (\d{1,4})\s*z: (\d{1,4})\s*\}")
_DEVICES = re.compile(r"computation_devices \{([^}]*)\}")
_ID = re.compile(r"replica_device_ids: (\d{1,6})")
_OPTION = re.compile(
    r"^# (\w+) in the current tpu_comp_env has a non-default value\. Default flag value: (.*)\n"
    r"\1(?:: (.*)| \{\n((?:[ ].*\n)*)\})$",
    re.MULTILINE,
)
"""Name, default, and a value or a message of one option."""
_WRAPPED = re.compile(r"\w+ \{ (.*) \}")
_PASSES = re.compile(r'^\s*xla_disable_hlo_passes: "([\w.\-]+)"$', re.MULTILINE)
_LEVEL = re.compile(r"^(\w+): (?:EFFORT_)?(\w[\w.]*)$", re.MULTILINE)
_SWITCHES: Mapping[str, str] = {"ENABLED": "true", "DISABLED": "false", "AUTO": "auto"}
"""How a dump writes the values of options that are true, false or auto."""


@dataclass(frozen=True, slots=True)
class DumpProgram:
    """What a dump says of its program.

    Attributes:
        text: file with the program.
        target: e.g. ``"v5p"``.
        topology: of its devices, as text; None where the folder does not say.
        options: compiler options and flags that it was compiled with, as compiler options.
        notes: what a reader should know, one line each.
    """

    text: Path
    target: str
    topology: str | None
    options: Mapping[str, str]
    notes: tuple[str, ...]


def chosen_module(folder: Path, name: str | None) -> tuple[DumpModule, str | None]:
    """The module of a dump folder that is meant, and a line that lists all of them where there are several.

    Args:
        folder: that ``xla_dump_to`` named.
        name: of the module, or the beginning of its files' names; None for the one with most instructions.

    Raises:
        BadInputError: there is none of this name, none at all, or none that a TPU's compiler was given.
        xla_dump_parser.ParseError: the folder cannot be read.
    """
    found = dump_modules(folder)
    if not found:
        raise BadInputError(
            f"{folder}: no module here, neither before_optimizations nor a schedule before memory space assignment; "
            "compile with the option xla_dump_to=FOLDER"
        )
    fitting = [module for module in found if module.backend in (None, "TPU")]
    if not fitting:
        kinds = " and a ".join(sorted({str(module.backend) for module in found}))
        raise BadInputError(
            f"{folder}: was dumped by the compiler of a {kinds}; give the file {_program_name(found)} to compile that "
            "program for a TPU"
        )
    listing = None
    if len(fitting) > 1:
        listing = f"{len(fitting)} modules: " + ", ".join(
            f"{module.name} ({'?' if module.instructions is None else module.instructions} instructions)"
            for module in fitting[:20]
        )
    if name is None:
        return fitting[0], listing and f"{listing}; {fitting[0].name} is taken, --module NAME for another"
    named = [module for module in fitting if name == module.beginning] or [
        module for module in fitting if name == module.name
    ]
    if len(named) != 1:
        known = ", ".join((module.beginning if named else module.name) for module in (named or fitting)[:20])
        how = "several modules have the name" if named else "no module"
        raise BadInputError(f"{folder}: {how} {name!r}; there are: {known}")
    return named[0], listing


def _program_name(modules: tuple[DumpModule, ...]) -> str:
    return next((module.program.name for module in modules if module.program is not None), "before_optimizations")


def dumped_target(module: DumpModule) -> tuple[str, str] | None:
    """Target and topology that a module was compiled for; None where its files do not say.

    Raises:
        BadInputError: it is a TPU that is not known, or the file is damaged.
        xla_dump_parser.ParseError: the file cannot be read.
    """
    file = module.files.get("target_arguments.txt")
    if file is None:
        return None
    text = read_text(file)
    version, variant, bounds = _VERSION.search(text), _VARIANT.search(text), _BOUNDS.findall(text)
    if version is None or len(bounds) != 2:
        raise BadInputError(f"{file}: damaged: it has to say a version and bounds of chips and hosts")
    named = (version[1], variant[1] if variant else "")
    target = TARGET_OF_DUMP.get(named)
    if target is None:
        raise BadInputError(f"{file}: is of TPU version {' '.join(named).strip()}, which is not known")
    dimensions = len(next(iter(TOPOLOGIES[target].values())).split("x"))
    sides = [int(chips) * int(hosts) for chips, hosts in zip(*bounds, strict=True)][:dimensions]
    return target, str(Topology(f"{target}:{'x'.join(map(str, sides))}", order=_order(module, target, sides)))


def _order(module: DumpModule, target: str, sides: list[int]) -> tuple[int, ...]:
    """The order of devices, where the program has all of the topology's in another than that of their ids."""
    ids = _ids(module)
    whole = list(range(prod(sides) * DEVICES_PER_CHIP[target]))
    return ids if sorted(ids) == whole and list(ids) != whole else ()


def _ids(module: DumpModule) -> tuple[int, ...]:
    """The devices of a module, by replica and partition; none where its files do not say."""
    file = module.files.get("execution_options.txt")
    by_partition = [] if file is None else [_ID.findall(ids) for ids in _DEVICES.findall(read_text(file))]
    return tuple(int(number) for replica in zip(*by_partition, strict=False) for number in replica)


def program_of_dump(module: DumpModule, target: str) -> DumpProgram:
    """What the files of a module say of its program, which has to be there, for the target that was chosen.

    Raises:
        BadInputError: as ``dumped_target``, or an option is damaged.
        xla_dump_parser.ParseError: a file cannot be read.
    """
    assert module.program is not None, "a program was dumped"
    if module.instructions is None and len(_ids(module)) > 1:
        raise BadInputError(
            f"{module.program}: a proto does not say its devices, of which it has {len(_ids(module))}: dump it as text"
        )
    said = dumped_target(module)
    options, notes = _options(module)
    check_options(options)
    return DumpProgram(module.program, target, None if said is None else said[1], options, notes)


def _options(module: DumpModule) -> tuple[dict[str, str], tuple[str, ...]]:
    """Compiler options, and notes on what of them is not known or left out."""
    found, left = {}, []
    environment = module.files.get("tpu_comp_env.txt")
    if environment is not None:
        for name, default, value, block in _OPTION.findall(read_text(environment)):
            if any(word in name for word in FILES):
                left.append(name[:80])
            else:
                found[name] = _message(block, default) if block else _SWITCHES.get(value, value.strip('"'))
    settings = module.files.get("hlo_module_config.txt")
    if settings is not None:
        for name, value in _LEVEL.findall(read_text(settings)):
            if name in EFFORT and value not in ("UNKNOWN", "0") and (name, value) != ("memory_fitting_level", "O2"):
                found[name] = str(LEVELS.get(value, value))
    debug = module.files.get("debug_options")
    passes = None if debug is None else _PASSES.search(read_text(debug))
    if passes is not None:
        found[DISABLED_PASSES] = passes[1]
    notes = [f"left out of the dump's options, about files: {', '.join(left)}"] if left else []
    if environment is None and module.backend == "TPU":
        notes.append("the dump has no tpu_comp_env, so options and flags of its compile are not known")
    return found, tuple(notes)


def _message(block: str, default: str) -> str:
    """The text proto of an option; one that may be ``auto`` as well has a field around it."""
    text = " ".join(block.split())
    wrapped = _WRAPPED.fullmatch(text) if default == "auto" else None
    return wrapped[1] if wrapped else text
