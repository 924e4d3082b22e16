"""The results of a batch: a line of JSON for each job that has ended, in a file that is only appended to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mallocgame.batch.job import TIMED_OUT, Ended
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.lines_file import LinesFile, open_lines
from mallocgame.system.printable import printable

FINAL = (0, 2, 3, 4)
"""Exit codes of an answer, and of failures that would be the same another time."""

MAX_ERROR = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told of an answer.

    Attributes:
        module: name of the HLO module.
        target: e.g. ``"v5p"``.
        status: how the solver ended.
        confirmed: whether the compiler confirmed it.
        m_saved_share: what the plan saves under M against everything in HBM; None for the solver ``auto``.
        xla_over_e: time of XLA's default over that of a confirmed answer, under E; None without.
        xla_over_m: likewise under M.
    """

    module: str
    target: str
    status: str
    confirmed: bool
    m_saved_share: float | None
    xla_over_e: float | None
    xla_over_m: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended.

    Attributes:
        name: of the program.
        key: of its content and the options.
        code: exit code of the job, as `mallocgame.batch.job.Ended` has it.
        error: one line; empty where there is an answer.
        seconds: that the job took.
        out: file name of the plan in the folder of the results; empty where none was written, for nothing is
            predicted better than XLA's own placement.
        answer: None where there is none.
    """

    name: str
    key: str
    code: int
    error: str
    seconds: float
    out: str
    answer: Answer | None


class ResultsFile:
    """An open file of results; nobody else appends to it meanwhile.

    Attributes:
        last: the newest result of each program.
    """

    def __init__(self, path: Path, file: LinesFile) -> None:
        self._file, self._folder = file, path.parent
        self.last: dict[str, Result] = {}
        for number, line in enumerate(file.lines, 1):
            result = _from_json(checked.parse_json(line, f"{path}:{number}"), f"{path}:{number}")
            self.last[result.name] = result

    def append(self, result: Result) -> None:
        """Add a result; it is on the disk when this returns.

        Raises:
            BadInputError: it cannot be written.
        """
        self._file.append(json.dumps(asdict(result), allow_nan=False).encode())
        self.last[result.name] = result

    def is_done(self, name: str, key: str) -> bool:
        """Whether a program has a final result for this content and these options, and its plan is there."""
        result = self.last.get(name)
        if result is None or result.key != key or result.code not in FINAL:
            return False
        return result.code != 0 or not result.out or (self._folder / result.out).is_file()


@contextmanager
def open_results(path: Path) -> Iterator[ResultsFile]:
    """Open for appending, and make the file if it is missing. A last line that was cut off is dropped.

    Raises:
        BadInputError: it cannot be opened, another run appends to it, or a line is no result.
    """
    with open_lines(path) as file:
        yield ResultsFile(path, file)


def result_of(ended: Ended, out: str) -> Result:
    """The result of a job; whatever it printed, this is one line of bounded length."""
    code, error, answer = ended.code, "", None
    if code == 0:
        try:
            document: Any = checked.parse_json(ended.output.encode(), "output")
            answer = _answer(document)
            out = out if document["out"] is not None else ""
        except (BadInputError, KeyError, TypeError, ZeroDivisionError):
            code, error = 1, "the process printed no answer"
    elif code == TIMED_OUT:
        error = f"took longer than {ended.job.limit:g} s and was ended"
    elif code < 0:
        error = f"the process was killed by signal {-code}"
    else:
        error = _last_line(ended.errors) or f"the process ended with exit code {code}"
    return Result(ended.job.name, ended.job.key, code, error, round(ended.seconds, 3), out, answer)


def _answer(document: Any) -> Answer:
    """Of a document of ``solve``, or of ``solve --solver auto``."""
    e, m = None, None
    if document["confirmed"]:
        default, best = document["programs"][0], document["programs"][document["answer"]]
        e, m = default["e"] / best["e"], default["m"] / best["m"]
    texts = (document["module"], document["target"], document["status"])
    return Answer(*texts, document["confirmed"], document.get("m_saved_share"), e, m)


def _last_line(errors: str) -> str:
    lines = [line for line in errors.split("\n") if line.strip()]
    text = lines[-1].removeprefix("mallocgame: error: ") if lines else ""
    return printable(text)[:MAX_ERROR]


def _from_json(value: object, where: str) -> Result:
    found = checked.record(value, where, tuple(field.name for field in fields(Result)))
    code = found["code"]
    if not isinstance(code, int) or isinstance(code, bool):
        raise checked.bad(f"{where}: code", "an integer", code)
    out = checked.text(found["out"], f"{where}: out")
    if Path(out).name != out:
        raise checked.bad(f"{where}: out", "the name of a file", out)
    return Result(
        checked.text(found["name"], f"{where}: name"),
        checked.text(found["key"], f"{where}: key"),
        code,
        checked.text(found["error"], f"{where}: error"),
        checked.non_negative(found["seconds"], f"{where}: seconds"),
        out,
        _answer_from_json(found["answer"], f"{where}: answer", code),
    )


def _answer_from_json(value: object, where: str, code: int) -> Answer | None:
    if (value is None) == (code == 0):
        raise BadInputError(f"{where}: expected one exactly where the exit code is 0")
    if value is None:
        return None
    found = checked.record(value, where, tuple(field.name for field in fields(Answer)))
    return Answer(
        checked.text(found["module"], f"{where}.module"),
        checked.text(found["target"], f"{where}.target"),
        checked.text(found["status"], f"{where}.status"),
        checked.boolean(found["confirmed"], f"{where}.confirmed"),
        *(_share(found[name], f"{where}.{name}") for name in ("m_saved_share", "xla_over_e", "xla_over_m")),
    )


def _share(value: object, where: str) -> float | None:
    number = checked.scalar(value, where)
    if number is None or (isinstance(number, int | float) and not isinstance(number, bool)):
        return number
    raise checked.bad(where, "a number or null", value)
