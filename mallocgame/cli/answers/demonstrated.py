"""The main job of the README: one model, two targets, from capture to a confirmed table and two memory maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame import api
from mallocgame.cli.answers import automatic, captured
from mallocgame.cli.answers.verified import verdict
from mallocgame.cli.show import Document, Value, noted
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.verify import without_msa
from mallocgame.plan.verdict import verdict_words
from mallocgame.report.table import plain_table
from mallocgame.report.units import change, duration, size
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from mallocgame.system.progress import Progress, Stage, within

if TYPE_CHECKING:
    from mallocgame.compiler.capture import Capture
    from mallocgame.compiler.verification import Row
    from mallocgame.optimizer.improve import Improved
    from mallocgame.optimizer.knowledge.candidates import Tried


def run(
    workload: str, targets: Sequence[str], time_limit: float, compiles: int, out: Path, progress: Progress
) -> Document:
    """Capture ``workload`` for each target, let ``auto`` work on it, and draw the memory maps into the folder ``out``.

    Args:
        workload: a name of the registry.
        targets: e.g. ``("v4 lite", "v5p")``.
        time_limit: seconds of search, each target.
        compiles: how many, each target; XLA's default and MSA off are not among them.
        out: made if it is missing; gets a capture, an answer and a picture for each target, and the compiles.
        progress: called with one line at each step.

    Returns:
        The JSON document of the command.

    Raises:
        MallocgameError: as ``capture``, ``solve --solver auto`` and ``report`` do.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{out}: cannot be made: {error.strerror}") from None
    parts = [_one_target(workload, target, time_limit, compiles, out, progress) for target in targets]
    return {"command": "demo", "workload": workload, "targets": parts}


def _one_target(
    workload: str, target: str, time_limit: float, compiles: int, out: Path, progress: Progress
) -> Document:
    stem = f"{workload}-{target.replace(' ', '')}"
    capture_file, answer_file, picture = (out / f"{stem}{suffix}" for suffix in (".mgz", ".json", ".png"))
    cache = out / "compiles"

    tell = within(f"{workload} for {target}", progress)
    tell(Stage("compiling"))
    capture = api.capture(workload, target=target, out=capture_file, workload=True)
    found = api.auto(
        capture_file, time_limit=time_limit, compiles=compiles, out=answer_file, cache=cache, progress=tell
    )
    assert found.improved is not None, "a capture can be compiled"
    tell(Stage("compiling with MSA switched off"))
    off = _msa_off(capture, cache)
    api.report(answer_file, format="png", out=picture, cache=cache, progress=tell)
    return {
        "target": target,
        "capture": captured.of_capture(capture, capture_file),
        "auto": automatic.of_automatic(found, answer_file),
        "rows": _rows(found.improved, off),
        "picture": str(picture),
    }


def _msa_off(capture: Capture, cache: Path) -> Row | None:
    """None where the program does not compile so, or cannot be compared."""
    try:
        return without_msa(capture, CompileCache(cache))
    except (CompilerRefusedError, NoAnswerError):
        return None


def _rows(found: Improved, off: Row | None) -> list[Document]:
    """XLA's default, MSA off, and the answer."""
    answer, default = found.answer, found.default
    assert answer.row is not None, "an answer is confirmed"
    rows: list[tuple[str, Row, Tried | None]] = [("XLA's default", default, None), ("answer", answer.row, answer)]
    if off is not None:
        rows.insert(1, ("MSA off", off, None))
    return [
        {
            "name": name,
            "about": None if tried is None else tried.about,
            "e": row.e_seconds,
            "m": row.m_seconds,
            "peak_fast": row.peak_fast,
            "honoured": None if tried is None else tried.honoured,
            "sites": None if tried is None else tried.sites,
            "verdict": _verdict(row, default, tried),
        }
        for name, row, tried in rows
    ]


def _verdict(row: Row, default: Row, tried: Tried | None) -> str:
    if row is default:
        return ""
    return verdict(row, default) if tried is None or tried.verdict is None else verdict_words(tried.verdict)


_HEADER = ("", "E", "vs XLA", "M", "vs XLA", "peak fast", "honoured", "verdict")


def lines(document: Value) -> list[str]:
    """The answer in words: one table of all targets, then what became of each."""
    rows = [_cells(part, row) for part in document["targets"] for row in part["rows"]]
    found = plain_table(f"{document['workload']}: every row compiled, read back and replayed", _HEADER, rows)
    for part in document["targets"]:
        kept, auto = part["capture"], part["auto"]
        found += [
            "",
            f"{part['target']}: {kept['instructions']} instructions, {kept['tensors']} tensors; compiled in "
            f"{kept['seconds']:.0f} s by libtpu {kept['versions'].get('libtpu')}; {auto['compiles']} compiles, "
            f"{auto['compile_seconds']:.0f} s, search {auto['search_seconds']:.0f} s",
            f"answer: {part['rows'][-1]['about']}, in {auto['out']}",
            f"capture {kept['out']}, memory maps {part['picture']}",
            *noted(auto),
        ]
    return found


def _cells(part: Value, row: Value) -> tuple[str, ...]:
    default = part["rows"][0]
    return (
        f"{part['target']}: {row['name']}",
        duration(row["e"]),
        change(row["e"], default["e"]),
        duration(row["m"]),
        change(row["m"], default["m"]),
        size(row["peak_fast"]),
        "" if row["sites"] is None else f"{row['honoured']}/{row['sites']}",
        row["verdict"],
    )
