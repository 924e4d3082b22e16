"""From a plan to flags, to a proof, to a page and to words."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mallocgame.api.arguments import PathLike
from mallocgame.compiler.export.formats import Format
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture
    from mallocgame.compiler.verification import Verification
    from mallocgame.plan.options_file import ProgramOptions
    from mallocgame.plan.plan_file import NamedPlan
    from mallocgame.report.comparison import Comparison


ReportFormat = Literal["html", "svg", "png", "trace"]


def export(
    plan: PathLike | NamedPlan | ProgramOptions,
    format: Format = "compiler-options",
    max_bytes: int | None = None,
    progress: Progress | None = None,
) -> str:
    """A plan, or an answer that is none, as text for the place where a user puts it.

    Args:
        plan: a file, a plan, or options; for ``"minimalloc-csv"`` also a file of a program, as ``solve`` takes it: then
            of all that could be in fast memory, for as long as it lives.
        format: of the text.
        max_bytes: that the flags may have, as one string of the environment with its name; of a plan that takes more
            the part that is told that saves most, which is not confirmed. None for no such bound.
        progress: is told what is left out.

    Raises:
        BadInputError: the file is damaged, the format is unknown, or there is nothing to say within the bytes.
    """
    from mallocgame.compiler.export.formats import WRITERS, environment_bytes
    from mallocgame.compiler.export.within import within
    from mallocgame.offload.moves_file import is_moves_file, load_moves
    from mallocgame.plan.answer_file import load_answer
    from mallocgame.plan.named_plan import NamedPlan

    if format not in get_args(Format):
        raise BadInputError(f"unknown format {format!r}; known: {', '.join(get_args(Format))}")
    if format == "minimalloc-csv":
        if max_bytes is not None:
            raise BadInputError("--max-bytes is for flags, and minimalloc-csv has none")
        return _buffers(plan, progress or silent)
    if isinstance(plan, str | os.PathLike) and is_moves_file(plan):
        if format != "python":
            raise BadInputError(f"{plan}: an answer of fit is a policy: use --format python")
        return load_moves(plan).to_python()
    answer = load_answer(plan) if isinstance(plan, str | os.PathLike) else plan
    if max_bytes is None:
        return WRITERS[format](answer if isinstance(answer, NamedPlan) else answer.options)
    if not isinstance(answer, NamedPlan):
        if environment_bytes(answer.options) > max_bytes:
            raise BadInputError(f"these options are no plan, and take {environment_bytes(answer.options)} bytes")
        return WRITERS[format](answer.options)
    part = within(answer, max_bytes)
    if part.left_out and progress is not None:
        progress(f"left {part.left_out} alias groups in HBM for {max_bytes} bytes; what is left is not confirmed")
    return WRITERS[format](part.options)


def _buffers(plan: PathLike | NamedPlan | ProgramOptions, progress: Progress) -> str:
    """What a plan has in fast memory, or what of a program could be, as CSV."""
    from mallocgame.compiler.export.buffers import buffers_of_plan, buffers_of_problem
    from mallocgame.plan.answer_file import is_answer, load_answer
    from mallocgame.plan.named_plan import NamedPlan
    from mallocgame.programs.loading import load

    if isinstance(plan, str | os.PathLike) and not is_answer(plan):
        problem = load(plan, progress=progress).problem
        progress(f"{problem.target.name} has {problem.target.fast_bytes} bytes of fast memory for them")
        return buffers_of_problem(problem)
    answer = load_answer(plan) if isinstance(plan, str | os.PathLike) else plan
    if not isinstance(answer, NamedPlan):
        raise BadInputError("these compiler options are no plan: for buffers export the file of the program")
    return buffers_of_plan(answer)


def verify(
    plan: PathLike | NamedPlan, file: PathLike | Capture | None = None, *, progress: Progress | None = None
) -> Verification:
    """Compile a plan or other answer of ``solve`` again, read it back, and replay E and M beside XLA's default.

    Args:
        plan: a plan, or the file of one or of compiler options.
        file: of its program, or a capture at hand; None for where the answer's file says that it was. At another memory
            split than that of the file the program is compiled first.
        progress: called with one line at each step.

    Raises:
        BadInputError: a damaged file, an answer for another program, or nothing to compile.
        CompilerRefusedError, NoAnswerError: the compiler refused the answer, relaxed plans included.
    """
    from mallocgame.compiler.capture import Capture
    from mallocgame.compiler.child import compile_in_child
    from mallocgame.compiler.verify import verify as verify_plan
    from mallocgame.compiler.verify import verify_options
    from mallocgame.plan.answer_file import load_answer
    from mallocgame.plan.named_plan import NamedPlan
    from mallocgame.problem.given import recorded_in
    from mallocgame.programs.answered import program_of_answer

    told = progress or silent
    answer = load_answer(plan) if isinstance(plan, str | os.PathLike) else plan
    source = Path(plan) if isinstance(plan, str | os.PathLike) else Path("the plan")
    if isinstance(file, Capture):
        given = recorded_in(answer.options, str(source)) if isinstance(answer, NamedPlan) else file.given
        capture, first = replace(file, given=given), None
    else:
        program = program_of_answer(
            answer, source, None if file is None else Path(file), lambda: compile_in_child, told
        )
        if program.capture is None:
            raise BadInputError(f"{program.loaded.source}: is no capture (.mgz): make one with `mallocgame capture`")
        capture, first = program.capture, program.first
    if isinstance(answer, NamedPlan):
        return verify_plan(answer, capture, first=first, progress=told)
    return verify_options(answer, capture)[0]


@dataclass(frozen=True)
class Reported:
    """A report that was written.

    Attributes:
        out: where.
        format: what it is.
        size: bytes.
        comparison: what it shows.
    """

    out: Path
    format: ReportFormat
    size: int
    comparison: Comparison


def report(
    plan: PathLike,
    file: PathLike | None = None,
    *,
    format: ReportFormat = "html",
    out: PathLike | None = None,
    verify: bool = False,
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> Reported:
    """Write what a plan does beside XLA's default: a page, a picture, or a trace for Perfetto.

    Args:
        plan: a plan file, or a file of compiler options that ``solve`` wrote.
        file: of its program, as ``solve`` takes it; None for the one that the answer says it was solved from.
        format: a self-contained HTML page, the memory maps as a picture, or both timelines in Chrome's trace format.
        out: None for the plan's path with the format's suffix.
        verify: recompile first, and show what the compiler makes of the plan; there has to be a program to compile.
            What was confirmed when the answer was found is shown as confirmed anyway.
        cache: folder of finished compiles; None for the one that the answer says.
        progress: called with one line at each step.

    Raises:
        BadInputError: a file cannot be used or written, or is for another program; a picture without matplotlib.
        CompilerRefusedError, NoAnswerError: as ``verify``.
        xla_dump_parser.ParseError: ``file`` is damaged.
    """
    from mallocgame.report.rendering import SUFFIXES, render
    from mallocgame.system.files import write_atomically

    if format not in get_args(ReportFormat):
        raise BadInputError(f"unknown format {format!r}; known: {', '.join(get_args(ReportFormat))}")
    path = Path(plan).with_suffix(SUFFIXES[format]) if out is None else Path(out)
    check_writable(path)
    comparison = _compared(plan, file, verify, cache, progress)
    data = render(comparison, format, str(plan))
    write_atomically(path, data)
    return Reported(path, format, len(data), comparison)


def explain(
    plan: PathLike,
    file: PathLike | None = None,
    *,
    verify: bool = False,
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What a plan moves and why it pays, what is left and what bounds it; the JSON document of the command.

    ``mallocgame.report.explain_text.explained`` says it in words. Arguments and errors are those of ``report``.
    """
    from mallocgame.report.explanation import of_comparison

    return of_comparison(_compared(plan, file, verify, cache, progress))


def _compared(
    plan: PathLike, file: PathLike | None, verify: bool, cache: PathLike | None, progress: Progress | None
) -> Comparison:
    from mallocgame.report.inputs import read_comparison

    return read_comparison(plan, file, anew=verify, cache=cache, progress=progress or silent)
