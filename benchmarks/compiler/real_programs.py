"""Programs of other people through ``mallocgame solve``: are they taken, and is the answer better than XLA's default?

    python -m benchmarks.compiler.real_programs --out FOLDER [--targets v5e v5p "v4 lite"] [--compiles 4]
                        [--time-limit 20] [--seed 0] [--python PYTHON] [--show] PROGRAM...

PROGRAM is what ``mallocgame solve`` takes: a file, e.g. HLO text from before optimization, or MODULE:FUNCTION, which is
captured first. Each is solved for each target by the command as a user types it, in a process of its own. FOLDER has
``programs.jsonl``, a row for each program and target with all that was tried, and ``table.md``, made of the rows. A
program that has its row is not solved again; ``--show`` solves nothing.

Counted are the programs that the tool answered and those that the compiler refused, with its reason; answers worse than
XLA's default; the sites of all confirmed plans that the compiler honoured. Exit code 1 where the tool turned a program
away, an answer is worse, or fewer than 99.5 % of the sites were honoured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from mallocgame.bench.programs import with_verdict
from mallocgame.system.errors import CompilerRefusedError
from mallocgame.system.files import write_atomically
from mallocgame.system.lines_file import open_lines

HONOURED = 0.995
"""Share of the sites that have to be honoured (issue 20)."""

REFUSED = CompilerRefusedError.exit_code

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", help="files, or MODULE:FUNCTION")
    parser.add_argument("--targets", nargs="+", default=["v5e", "v5p", "v4 lite"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows and the table")
    parser.add_argument("--compiles", type=int, default=4, help="beside XLA's default")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds of search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("out/compiles"), help="finished compiles")
    parser.add_argument("--python", default=sys.executable, help="that has the packages of the programs")
    parser.add_argument("--show", action="store_true", help="only make the table anew")
    given = parser.parse_args(arguments)
    with open_lines(given.out / "programs.jsonl") as file:
        rows: list[Row] = [json.loads(line) for line in file.lines]
        done = {(row["program"], row["target"]) for row in rows}
        for program in () if given.show else given.programs:
            for target in given.targets:
                if (_name(program), target) not in done:
                    rows.append(_solve(program, target, given))
                    file.append(json.dumps(rows[-1]).encode())
                    print(_line(rows[-1]), flush=True)
    text = "".join(f"{line}\n" for line in table(rows))
    write_atomically(given.out / "table.md", text.encode())
    print(text, end="")
    return int(not _passes(rows))


def _name(program: str) -> str:
    """Of a program in its row: of a file the last part of its path."""
    return Path(program).name


def _solve(program: str, target: str, given: argparse.Namespace) -> Row:
    """The row of one program for one target."""
    command = [given.python, "-m", "mallocgame", "solve", program, "--target", target, "--solver", "auto", "--json"]
    command += ["--compiles", str(given.compiles), "--time-limit", str(given.time_limit), "--seed", str(given.seed)]
    started = monotonic()
    ended = subprocess.run([*command, "--cache", str(given.cache)], capture_output=True, text=True, check=False)
    path = Path(program)
    row: Row = {
        "program": _name(program),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
        "target": target,
        "compiles": given.compiles,
        "time_limit": given.time_limit,
        "seed": given.seed,
        "seconds": round(monotonic() - started, 1),
        "exit_code": ended.returncode,
        "failure": None if ended.returncode == 0 else (ended.stderr.strip().splitlines() or [""])[-1][:1000],
    }
    if ended.returncode != 0:
        return row
    found = json.loads(ended.stdout)
    del found["file"]  # of the captured program, in the user's cache
    return row | {"found": found}


def _answer(row: Row) -> Row:
    found: Row = row["found"]["programs"][row["found"]["answer"]]
    return dict(with_verdict(found))


def _ratio(row: Row, model: str) -> float:
    """Seconds of XLA's default over those of the answer, under E or M."""
    default = row["found"]["programs"][0][model]
    return float(default / _answer(row)[model]) if default else 1.0


def _sites(rows: Sequence[Row]) -> tuple[int, int]:
    """Sites that were honoured, of all sites of the plans that the compiler accepted."""
    plans = [tried for row in rows if row["exit_code"] == 0 for tried in row["found"]["programs"] if tried["sites"]]
    return sum(tried["honoured"] for tried in plans), sum(tried["sites"] for tried in plans)


def _passes(rows: Sequence[Row]) -> bool:
    turned_away = [row for row in rows if row["exit_code"] not in (0, REFUSED)]
    worse = [row for row in rows if row["exit_code"] == 0 and _answer(row)["verdict"] == "worse"]
    honoured, sites = _sites(rows)
    return not turned_away and not worse and honoured >= HONOURED * sites


def _line(row: Row) -> str:
    if row["exit_code"] != 0:
        return f"| {row['program']} | {row['target']} | | | | | {row['seconds']:.0f} | {row['failure'][:120]} |"
    answer, honoured = _answer(row), "-"
    if answer["sites"]:
        honoured = f"{answer['honoured']}/{answer['sites']}"
    figures = f"{_ratio(row, 'e'):.3f} | {_ratio(row, 'm'):.3f} | {honoured} | {row['found']['compiles']}"
    return f"| {row['program']} | {row['target']} | {figures} | {row['seconds']:.0f} | {answer['about']} |"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown: a row for each program and target, and what they come to."""
    yield "XLA / E and XLA / M are XLA's default over the answer: above 1 is faster. Seconds are wall time."
    yield ""
    yield "| program | target | XLA / E | XLA / M | honoured | compiles | seconds | answer |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for row in sorted(rows, key=lambda row: (row["program"], row["target"])):
        yield _line(row)
    answered = [row for row in rows if row["exit_code"] == 0]
    verdicts = [_answer(row)["verdict"] for row in answered]
    refused = sum(row["exit_code"] == REFUSED for row in rows)
    honoured, sites = _sites(rows)
    share = f" ({honoured / sites:.2%})" if sites else ""
    yield ""
    yield (
        f"{len(rows)} programs: {len(answered)} answered, {refused} refused by the compiler, "
        f"{len(rows) - len(answered) - refused} turned away. Answers: {verdicts.count('better')} better, "
        f"{verdicts.count('better under E')} better under E, {verdicts.count('equal')} equal, "
        f"{verdicts.count('worse')} worse. Honoured, all plans: {honoured}/{sites}{share}."
    )


if __name__ == "__main__":
    sys.exit(main())
