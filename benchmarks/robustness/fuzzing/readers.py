"""What is fuzzed: everything that reads a file or text, and what the commands do with it next.

A reader takes bytes and says in a few words what it found, or raises one of ``DOCUMENTED``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mallocgame.system.errors import MallocgameError
from xla_dump_parser import ParseError, parse_hlo
from xla_dump_parser.text import decode_text

Reader = Callable[[bytes], str]
DOCUMENTED = (MallocgameError, ParseError)
FOLDER = Path(__file__).parents[2] / "data" / "fuzz"
PARSER_DATA = FOLDER.parents[2] / "tests" / "parser" / "data"
PROBLEM_DATA = FOLDER.parents[2] / "tests" / "problem" / "data"


@cache
def scratch() -> Path:
    """A file's place for the readers that take paths; its name is another in each process."""
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="mallocgame-fuzz-", dir=shared if os.access(shared, os.W_OK) else None)
    return Path(folder) / "case"


def _file(data: bytes) -> Path:
    path = scratch()
    path.write_bytes(data)
    return path


def _hlo(data: bytes) -> str:
    from benchmarks.reading.corrupt import read_whole
    from mallocgame.problem.build import build_problem
    from mallocgame.problem.targets import get_target

    module = parse_hlo(decode_text(data, "case"), "case")
    count = read_whole(module)
    problem = build_problem(module, get_target("v5e"))
    return f"{count.bit_length()} {len(problem.tensors).bit_length()}"


@cache
def _scan() -> tuple[str, str, str]:
    """Schedule, final text and log of one real program."""
    from xla_dump_parser import read_text

    return tuple(  # type: ignore[return-value]
        read_text(PROBLEM_DATA / f"scan-v5e.{part}.gz") for part in ("before.txt", "after.txt", "log")
    )


def _log(data: bytes) -> str:
    from mallocgame.problem.build import build_problem
    from mallocgame.problem.targets import get_target
    from xla_dump_parser.compile_log import parse_compile_log, reduce_compile_log

    text = decode_text(data, "case")
    log = parse_compile_log(text)
    parse_compile_log(reduce_compile_log(text))
    before, after, _ = _scan()
    problem = build_problem(parse_hlo(before), get_target("v5e"), log, parse_hlo(after))
    return f"{len(problem.tensors).bit_length()} {problem.costs}"


def _final(data: bytes) -> str:
    from mallocgame.models.cycles.table import CycleTable
    from mallocgame.models.replay import read_back, replay_final
    from mallocgame.models.replay.observe import observe_final
    from mallocgame.problem.build import build_problem
    from mallocgame.problem.targets import get_target

    problem = build_problem(parse_hlo(_scan()[0]), get_target("v5e"))
    final = parse_hlo(decode_text(data, "case"), "case")
    e, m = (replay_final(problem, final, model).total for model in ("E", "M"))
    observe_final(problem, final, CycleTable(problem))
    return f"{e > m} {len(read_back(problem, final).copies).bit_length()}"


def _buffer_assignment(data: bytes) -> str:
    from xla_dump_parser import parse_buffer_assignment

    return str(len(parse_buffer_assignment(decode_text(data, "case"), "case")).bit_length())


def _live_range(data: bytes) -> str:
    from xla_dump_parser import parse_live_range

    return str(len(parse_live_range(decode_text(data, "case"), "case").ranges).bit_length())


def _memory_usage(data: bytes) -> str:
    from xla_dump_parser import parse_memory_usage_report

    return str(len(parse_memory_usage_report(decode_text(data, "case"), "case")).bit_length())


def _out_of_memory(data: bytes) -> str:
    from xla_dump_parser.out_of_memory import parse_out_of_memory

    found = parse_out_of_memory(decode_text(data, "case"), "case")
    return f"{len(found.largest).bit_length()} {len(found.report).bit_length()}"


def _problem(data: bytes) -> str:
    from mallocgame.models.replay import replay_plan
    from mallocgame.plan.problem_file import from_bytes
    from mallocgame.plan.validate import validate
    from mallocgame.report.inspection import inspect_problem

    content = from_bytes(data, "case")
    inspection = inspect_problem(content.problem, content.default.m_seconds)
    if content.default.plan is None:
        return f"{inspection.loops.bit_length()} no plan"
    violations = validate(content.problem, content.default.plan)
    if not violations:
        replay_plan(content.problem, content.default.plan, "M")
    return f"{inspection.loops.bit_length()} {violations[0].cause if violations else 'valid'}"


def _capture(data: bytes) -> str:
    from mallocgame.compiler.capture_file import load_capture, load_versions, to_bytes

    path = _file(data)
    load_versions(path)
    capture = load_capture(path)
    problem = capture.problem()
    capture.cycles()
    to_bytes(capture)
    return f"{problem.costs} {len(problem.tensors).bit_length()}"


def _answer(data: bytes) -> str:
    """Plans and files of compiler options, and their way into flags."""
    from mallocgame.compiler.export import formats as export
    from mallocgame.plan.answer_file import load_answer
    from mallocgame.plan.named_plan import NamedPlan

    answer = load_answer(_file(data))
    program = answer if isinstance(answer, NamedPlan) else answer.options
    texts = [write(program) for write in (export.to_json, export.to_python, export.to_libtpu_init_args)]
    compile(texts[1], "case", "exec")
    return f"{type(answer).__name__} {texts[2].count(' --').bit_length()}"


def _csv(data: bytes) -> str:
    from mallocgame.packing import csv_file

    table = csv_file.read_csv(_file(data))
    text = csv_file.format_csv(table, [0] * len(table.buffers))
    return f"{len(table.buffers).bit_length()} {text.count(',').bit_length()}"


def _rows(data: bytes) -> str:
    """Rows of the benchmark, results of batches, figures of training: files of lines."""
    from mallocgame.batch.results import open_results
    from mallocgame.bench.rows_file import open_rows
    from mallocgame.bench.tables import html, markdown
    from muzero.training.metrics import read_metrics

    path = _file(data)
    found = []
    for read in (open_rows, open_results):
        try:
            with read(path) as file:
                if read is open_rows:
                    rows = tuple(file.rows.values())  # type: ignore[attr-defined]
                    found.append(f"{len(rows)} rows {len(html(rows, True)) > len(markdown(rows, True))}")
                else:
                    found.append(f"{len(file.last)} results")  # type: ignore[attr-defined]
        except DOCUMENTED as error:
            found.append(type(error).__name__)
    metrics = path.with_name("metrics.jsonl")
    metrics.write_bytes(data)
    return f"{found} {len(read_metrics(path.parent)).bit_length()}"


def _agent(data: bytes) -> str:
    from muzero.agent_file import load_agent

    return str(len(load_agent(_file(data)).notes).bit_length())


def _checkpoint(data: bytes) -> str:
    from muzero.training.checkpoint import read

    found = read(_file(data))
    return f"{len(found.header).bit_length()} {len(found.arrays).bit_length()}"


def _config(data: bytes) -> str:
    from muzero.training.config import load_config

    return str(load_config(_file(data)).iterations.bit_length())


def _mlir(data: bytes) -> str:
    from mallocgame.compiler.devices import devices_of

    return str(devices_of(decode_text(data, "case")).bit_length())


def _refusal(data: bytes) -> str:
    from mallocgame.compiler.failures import parse_refusal

    return str(parse_refusal(data.decode("utf-8", "replace")) is None)


READERS: dict[str, Reader] = {
    "agent": _agent,
    "answer": _answer,
    "buffer_assignment": _buffer_assignment,
    "capture": _capture,
    "checkpoint": _checkpoint,
    "config": _config,
    "csv": _csv,
    "final": _final,
    "hlo": _hlo,
    "live_range": _live_range,
    "log": _log,
    "memory_usage": _memory_usage,
    "mlir": _mlir,
    "out_of_memory": _out_of_memory,
    "problem": _problem,
    "refusal": _refusal,
    "rows": _rows,
}
