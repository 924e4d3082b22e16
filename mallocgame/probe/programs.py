"""What a probe is asked to run: programs by name, each with compiler options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.programs.environment import check_environment
from mallocgame.system.errors import BadInputError

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture
    from mallocgame.plan.named_plan import NamedPlan
    from mallocgame.plan.options_file import ProgramOptions

MAX_OPTIONS_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Program:
    """One executable to be. Exactly one of ``function`` and ``lowered`` is set.

    Attributes:
        name: what the user called it.
        function: ``MODULE:FUNCTION``; called without arguments it returns (function, arguments). Arguments that are
            arrays are the real inputs, abstract ones get made-up inputs. Or the path of a module file.
        lowered: StableHLO text of a lowered module.
        target: that the lowered module is for; None where it does not say.
        options: compiler options, as text; none for XLA's default.
        capture: that the lowered module is from, if it is.
    """

    name: str
    function: str | None = None
    lowered: str | None = None
    target: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    capture: Capture | None = None


def programs_of(names: Sequence[str | os.PathLike[str]]) -> tuple[Program, ...]:
    """The programs of a command line.

    Args:
        names: each is a program (``MODULE:FUNCTION``, a capture, a module file), or a JSON file for the
            program before it: a plan, an answer of ``solve``, or an object of compiler options. An answer that comes
            first has its own program before it, as XLA compiles it by default.

    Raises:
        BadInputError: a file cannot be used, is for another program, or has no program before it.
    """
    found: list[Program] = []
    base: Program | None = None
    for path in names:
        name = os.fspath(path)
        if name.endswith(".json"):
            if base is None:
                base = _of_answer(name)
                found.append(base)
            found.append(with_options(base, name))
        else:
            base = _program(name)
            found.append(base)
    return tuple(found)


def _of_answer(name: str) -> Program:
    """The program that an answer says it is for."""
    from mallocgame.plan.answer_file import load_answer
    from mallocgame.programs.answered import recorded_program
    from mallocgame.system import checked_json

    value = checked_json.read_json(name, MAX_OPTIONS_BYTES)
    if isinstance(value, dict) and "format" in value:
        return _program(str(recorded_program(load_answer(name), Path(name))))
    raise BadInputError(f"{name}: options need a program before them: MODULE:FUNCTION, a capture, or a module file")


def of_capture(capture: Capture, name: str) -> Program:
    """XLA's default for a captured program."""
    return Program(name, lowered=capture.lowered, target=capture.target, options=dict(capture.options), capture=capture)


def with_answer(base: Program, answer: NamedPlan | ProgramOptions, name: str) -> Program:
    """A program with the options of a plan, or of an answer that is none.

    Raises:
        BadInputError: it is for another program or target.
    """
    from mallocgame.compiler.export.options import compiler_options
    from mallocgame.plan.named_plan import NamedPlan

    _check_answer(base, answer, name)
    options = compiler_options(answer) if isinstance(answer, NamedPlan) else answer.options
    return replace(base, name=name, target=answer.target, options={**base.options, **options})


def with_options(base: Program, path: str) -> Program:
    """A program with the options of a JSON file, as ``programs_of`` has it."""
    from mallocgame.plan.answer_file import load_answer
    from mallocgame.plan.compiler_options import decode_options
    from mallocgame.system import checked_json

    value = checked_json.read_json(path, MAX_OPTIONS_BYTES)
    if isinstance(value, dict) and "format" not in value:
        return replace(base, name=path, options={**base.options, **decode_options(_texts(value), path)})
    return with_answer(base, load_answer(path), path)


def _texts(value: Mapping[str, object]) -> dict[str, object]:
    """True, false and whole numbers as the compiler writes them."""
    from mallocgame.plan.compiler_options import text_of

    return {key: text_of(item) if isinstance(item, bool | int) else item for key, item in value.items()}


def _program(name: str) -> Program:
    from mallocgame.compiler.capture_file import is_capture, load_capture
    from mallocgame.compiler.module_file import is_program, stablehlo_text

    path = Path(name)
    if path.is_file() and is_capture(path):
        capture = load_capture(path)
        check_environment(capture.init_args, os.environ, name)
        return of_capture(capture, name)
    if is_program(path):
        text = stablehlo_text(name)
        return Program(name, function=os.path.abspath(name) if text is None else None, lowered=text)
    module, _, function = name.partition(":")
    if path.exists() or not (module and function):
        raise BadInputError(
            f"{name}: not a program: give MODULE:FUNCTION, a capture (.mgz) or a module file (FILE.mlir, .hlo, .pb)"
        )
    return Program(name, function=name)


def _check_answer(base: Program, answer: NamedPlan | ProgramOptions, name: str) -> None:
    """Refuse what is for another program than a capture's; another split is another schedule, which is not known."""
    from mallocgame.plan.named_plan import NamedPlan

    if base.target is not None and answer.target != base.target:
        raise BadInputError(f"{name}: is for {answer.target}, but {base.name} is for {base.target}")
    if base.capture is None:
        return
    if isinstance(answer, NamedPlan) and answer.scoped_vmem_kib != base.capture.scoped_vmem_kib:
        return
    if answer.fingerprint != base.capture.problem().fingerprint:
        raise BadInputError(f"{name}: is for another program or schedule than {base.name}")
