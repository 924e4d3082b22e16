"""How much of what eight compiles gain do the first ones: the loop's order now, beside the rows of its order before.

    python -m benchmarks.compiler.gain_by_compiles [--rows benchmarks/results/auto/rows.jsonl]
        [--new benchmarks/results/first-compiles/rows.jsonl] [--targets "v4 lite,v5p"]

A gain is the logarithm of E times M of XLA's default over that of the best better program so far. ``--rows`` is the
reference: all that `auto` gained on a program with the compiles that the row had (3 to 8), plans after MSA off and, on
v5p, after a split. ``--new``: rows of the order as it is now, run; of several of a program the one with most compiles.
What such a row did not compile, and a program without one, is replayed: the order of now over what the reference
compiled, as far as that was compiled. Where its first plan was not, the first compile and the second count nothing, and
the third only what the first split and its plan gave.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mallocgame.bench.programs import TriedProgram
from mallocgame.bench.rows import BenchRow
from mallocgame.bench.rows_file import read_rows
from mallocgame.optimizer.proposers.plans import FEW
from mallocgame.plan.verdict import WINS
from mallocgame.problem.chips import CHIPS

COMPILES = (1, 2, 3)

LOOP = "auto"

Key = tuple[str, str]
"""Workload and target."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What a program gained after 1, 2 and 3 compiles.

    Attributes:
        gains: one for each of ``COMPILES``.
        known: for each whether all that this order compiles until then is known.
    """

    gains: tuple[float, ...]
    known: tuple[bool, ...]


def main() -> None:
    """Prints a table for each target, and a line for each program that was run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=Path("benchmarks/results/auto/rows.jsonl"))
    parser.add_argument("--new", type=Path, default=Path("benchmarks/results/first-compiles/rows.jsonl"))
    parser.add_argument("--targets", default="v4 lite,v5p")
    options = parser.parse_args()
    reference, new = rows_of(options.rows), rows_of(options.new)
    for target in options.targets.split(","):
        chosen = {key: row for key, row in reference.items() if key[1] == target}
        for line in table(target, chosen, new):
            print(line)


def rows_of(path: Path) -> dict[Key, BenchRow]:
    """The rows of the whole loop that have programs: of each that with most compiles, the last of equals."""
    if not path.exists():
        return {}
    rows = sorted(read_rows(path), key=lambda row: row.compiles)
    return {(row.workload, row.target): row for row in rows if row.method == LOOP and row.programs}


def table(target: str, reference: dict[Key, BenchRow], new: dict[Key, BenchRow]) -> Iterator[str]:
    """Lines for people."""
    total = sum(map(whole, reference.values()))
    before = [run_curve(row) for row in reference.values()]
    yield f"{target}: {len(reference)} programs; gain of the rows {total:.3f}"
    curves = {key: now(row, new.get(key)) for key, row in reference.items()}
    for place, compiles in enumerate(COMPILES):
        run = [key for key in reference if key in new and budget(new[key]) >= compiles]
        unknown = [key for key, curve in curves.items() if not curve.known[place]]
        of_run, of_unknown = (sum(whole(reference[key]) for key in keys) for keys in (run, unknown))
        yield (
            f"  {compiles} compiles: {share(curves.values(), place, total)} "
            f"(order before: {share(before, place, total)}); "
            f"run {len(run)}, and of theirs {share([curves[key] for key in run], place, of_run)}; "
            f"replayed {len(reference) - len(run) - len(unknown)}; "
            f"not known {len(unknown)}, with {of_unknown / total:.1%} of the gain"
        )
    for key in sorted(reference.keys() & new.keys(), key=lambda key: -whole(reference[key])):
        gains = ", ".join(f"{gain:.3f}" for gain in curves[key].gains[: budget(new[key])])
        yield f"  {key[0]:<20} {whole(reference[key]):.3f} with {reference[key].compiles} compiles; now {gains}"


def budget(row: BenchRow) -> int:
    """Of compiles."""
    return int(row.options.get("compiles") or 0)


def now(reference: BenchRow, new: BenchRow | None) -> Curve:
    """As it was run, and after that as it is replayed."""
    replayed = replay(reference)
    if new is None:
        return replayed
    run, known = run_curve(new), [compiles <= budget(new) for compiles in COMPILES]
    return Curve(
        tuple(
            own if sure else max(own, other) for own, other, sure in zip(run.gains, replayed.gains, known, strict=True)
        ),
        tuple(sure or other for sure, other in zip(known, replayed.known, strict=True)),
    )


def share(curves: Iterable[Curve], place: int, total: float) -> str:
    """Of the whole gain."""
    return f"{sum(curve.gains[place] for curve in curves) / total:.1%}" if total else "-"


def whole(row: BenchRow) -> float:
    """What a row gained with all of its compiles."""
    return max((gain(row, program) for program in row.programs), default=0.0)


def run_curve(row: BenchRow) -> Curve:
    """Of a row, in the order in which it was compiled."""
    spent, best, after = 0, 0.0, dict.fromkeys(COMPILES, 0.0)
    for program in row.programs:
        spent, best = spent + program.compiles, max(best, gain(row, program))
        after |= {compiles: best for compiles in COMPILES if compiles >= spent}
    return Curve(tuple(after.values()), (True,) * len(COMPILES))


def replay(row: BenchRow) -> Curve:
    """Of the order of now, over what a row compiled."""
    plans = [program for program in row.programs if program.proposer == "plans"]
    own = [program for program in plans if program.scoped_vmem_kib is None]
    if CHIPS[row.target].splits is None:
        return _curve(row, own)
    split = next((program for program in row.programs if program.kind == "split"), None)
    there = [program for program in plans if split and program.scoped_vmem_kib == split.scoped_vmem_kib]
    if not own:
        found = _curve(row, [program for program in (split, *there[:1]) if program])
        return Curve((0.0, 0.0, found.gains[-1]), (False, False, False))
    both = sorted([own[0], *there[:1]], key=lambda program: -_predicted(row, program))
    later = sorted([*own[1:2], *there[:1]], key=lambda program: -_predicted(row, program))
    promises_much = split is None or _predicted(row, own[0]) >= -math.log(1 - FEW)
    order = [own[0], split, *later] if promises_much else [split, *both, *own[1:2]]
    return _curve(row, [program for program in order if program])


def _curve(row: BenchRow, programs: Sequence[TriedProgram]) -> Curve:
    """Of these programs, one after the other."""
    best, spent, gains, known = 0.0, 0, dict.fromkeys(COMPILES, 0.0), dict.fromkeys(COMPILES, bool(programs))
    for program in programs:
        spent, best = spent + program.compiles, max(best, gain(row, program))
        gains |= {compiles: best for compiles in COMPILES if compiles >= spent}
    return Curve(tuple(gains.values()), tuple(known.values()))


def gain(row: BenchRow, program: TriedProgram) -> float:
    """Of a program that is better than XLA's default; else 0."""
    return _log(row, program.e_seconds, program.m_seconds) if program.verdict in WINS else 0.0


def _predicted(row: BenchRow, program: TriedProgram) -> float:
    """The gain that was foreseen."""
    return _log(row, program.predicted_e, program.predicted_m)


def _log(row: BenchRow, e_seconds: float | None, m_seconds: float | None) -> float:
    if not (e_seconds and m_seconds and row.default_e and row.default_m):
        return 0.0
    return math.log(row.default_e * row.default_m / (e_seconds * m_seconds))


if __name__ == "__main__":
    main()
