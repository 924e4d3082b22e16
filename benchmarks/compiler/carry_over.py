"""How much of an answer's gain is kept when the compiler is replaced, after one compile with ``solve --from``?

    python -m benchmarks.compiler.carry_over --old PYTHON [--new PYTHON] --out FOLDER [--target v6e] [--compiles 4]
                        [--time-limit 20] [--work out/carry-over] [--show] [PROGRAM...]

``--old`` and ``--new`` are interpreters of two environments with this mallocgame and another libtpu each; the one that
runs this module is the new one if it is not given. PROGRAM is a workload, by default the balanced twelve. For each the
old compiler's answer is sought with so many compiles; with the new compiler one compile is made from that answer, and
one from none. FOLDER has ``programs.jsonl``, a row for each program, target and pair of versions with all that was
tried, and ``table.md``, made of the rows. Whoever has a row is not run again; captures and answers are kept in
``--work``. ``--show`` runs nothing.

A gain is the logarithm of XLA's default over the answer, each by its own compiler: under E, under M, and their sum.
Kept is the new gain over the old. Exit code 1 where less than half is kept in the median of the programs that gained.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from mallocgame.system.files import write_atomically
from mallocgame.system.lines_file import open_lines

TWELVE = (
    "heat", "lstm", "llama-decode-b8", "alexnet", "dlrm", "k-means", "gpt2-scan", "whisper-encoder", "gpt2",
    "graph-network", "vit-b", "nerf",
)  # fmt: skip
"""The balanced choice of ``results/auto``, what compiles quickest first."""

KEPT = 0.5
"""The bar: the share of the old gain that has to be kept in the median."""

LEAST_GAIN = 0.001
"""Where the old answer gained less there is nothing to keep; game.md calls that equal."""

_VERSION = "from importlib import metadata; print(metadata.version('libtpu'))"

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", default=TWELVE, help="workloads")
    parser.add_argument("--old", default=sys.executable, help="interpreter beside the old libtpu")
    parser.add_argument("--new", default=sys.executable, help="interpreter beside the new libtpu")
    parser.add_argument("--target", default="v6e")
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows and the table")
    parser.add_argument("--compiles", type=int, default=4, help="of the old answer, beside XLA's default")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds of search")
    parser.add_argument("--work", type=Path, default=Path("out/carry-over"), help="captures, answers, compiles")
    parser.add_argument("--show", action="store_true", help="only make the table anew")
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    with open_lines(given.out / "programs.jsonl") as file:
        rows: list[Row] = [json.loads(line) for line in file.lines]
        done = {(row["program"], row["target"], row["old_libtpu"], row["new_libtpu"]) for row in rows}
        old, new = ("", "") if given.show else (_libtpu(given.old), _libtpu(given.new))
        for program in () if given.show else given.programs:
            if (program, given.target, old, new) not in done:
                rows.append(_row(program, old, new, given))
                file.append(json.dumps(rows[-1]).encode())
                print(_line(rows[-1]), flush=True)
    text = "".join(f"{line}\n" for line in _table(rows))
    write_atomically(given.out / "table.md", text.encode())
    print(text, end="")
    shares = _shares(rows, "carried", "both")
    return int(not shares or median(shares) < KEPT)


def _libtpu(python: str) -> str:
    """The version beside an interpreter."""
    return subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=True).stdout.strip()


def _row(program: str, old: str, new: str, given: argparse.Namespace) -> Row:
    """One program with both compilers."""
    before = given.work / f"{program}.{given.target}.{old}"
    after = given.work / f"{program}.{given.target}.{new}"
    _capture(given.old, program, before, given)
    _capture(given.new, program, after, given)
    answer = Path(f"{before}.answer.{given.compiles}.json")
    return {
        "program": program,
        "target": given.target,
        "old_libtpu": old,
        "new_libtpu": new,
        "time_limit": given.time_limit,
        "old": _solve(given.old, before, given.compiles, answer, (), given),
        "carried": _solve(given.new, after, 1, Path(f"{after}.carried.json"), ("--from", str(answer)), given),
        "fresh": _solve(given.new, after, 1, Path(f"{after}.answer.1.json"), (), given),
    }


def _capture(python: str, program: str, name: Path, given: argparse.Namespace) -> None:
    file = Path(f"{name}.mgz")
    if not file.exists():
        command = [python, "-m", "mallocgame", "capture", "--workload", program, "--target", given.target]
        subprocess.run([*command, "--out", str(file)], capture_output=True, check=True)


def _solve(python: str, name: Path, compiles: int, out: Path, more: Sequence[str], given: argparse.Namespace) -> Row:
    """What ``solve --json`` says, less the paths; kept beside the answer."""
    kept = out.with_suffix(".found.json")
    if not kept.exists():
        command = [python, "-m", "mallocgame", "solve", f"{name}.mgz", "--solver", "auto", "--json", *more]
        command += ["--compiles", str(compiles), "--time-limit", str(given.time_limit)]
        command += ["--cache", str(given.work / "cache"), "--out", str(out)]
        write_atomically(kept, subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    found: Row = json.loads(kept.read_bytes())
    return {key: value for key, value in found.items() if key not in ("file", "out", "options")}


def _gain(found: Row, model: str) -> float:
    """Of the answer, under E, M or both."""
    default, answer = found["programs"][0], found["programs"][found["answer"]]
    return sum(math.log(default[one] / answer[one]) for one in ("e", "m") if model in (one, "both") and default[one])


def _shares(rows: Sequence[Row], of: str, model: str) -> list[float]:
    """Of the programs that gained under a model with the old compiler, what is kept."""
    gained = [row for row in rows if _gain(row["old"], model) > LEAST_GAIN]
    return [_gain(row[of], model) / _gain(row["old"], model) for row in gained]


def _line(row: Row) -> str:
    carried = row["carried"]["carried_over"]
    again = "-" if carried["groups"] is None else f"{carried['found']}/{carried['groups']}"
    ratios = " | ".join(
        f"{math.exp(_gain(row[of], 'e')):.3f}, {math.exp(_gain(row[of], 'm')):.3f}"
        for of in ("old", "carried", "fresh")
    )
    whole = _gain(row["old"], "both")
    kept = "-" if whole <= LEAST_GAIN else f"{_gain(row['carried'], 'both') / whole:.0%}"
    old, new = row["old"]["programs"][row["old"]["answer"]]["about"], row["carried"]["programs"][-1]
    honoured = "-" if not new["sites"] else f"{new['honoured']}/{new['sites']}"
    versions = f"{row['old_libtpu']} to {row['new_libtpu']}"
    return f"| {row['program']} | {row['target']} | {versions} | {old} | {ratios} | {again} | {honoured} | {kept} |"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "XLA's default over the answer, E and M: above 1 is faster. One compile, but for the old answer."
    yield ""
    yield (
        "| program | target | libtpu | old answer | old | from the old answer | from none | groups found again | "
        "honoured | kept |"
    )
    yield "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in sorted(rows, key=lambda row: (row["old_libtpu"], row["target"], row["program"])):
        yield _line(row)
    yield ""
    for key in sorted({(row["old_libtpu"], row["new_libtpu"], row["target"]) for row in rows}):
        alike = [row for row in rows if (row["old_libtpu"], row["new_libtpu"], row["target"]) == key]
        for of, words in (("carried", "from the old answer"), ("fresh", "from none")):
            medians = ", ".join(
                f"{words} {median(shares):.1%} of {len(shares)}"
                for model, words in (("e", "E"), ("m", "M"), ("both", "E times M"))
                if (shares := _shares(alike, of, model))
            )
            yield f"{key[0]} to {key[1]}, {key[2]}, one compile {words}: kept in the median {medians or 'nothing'}."


if __name__ == "__main__":
    sys.exit(main())
