"""What a table of the benchmark says, before it is Markdown or HTML: facts, grids of cells, and notes below them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from mallocgame.bench.grid import Cell, Grid, Sheet, mean
from mallocgame.bench.portfolio import portfolio
from mallocgame.bench.rows import FIXED_METHODS, MSA_OFF, XLA_DEFAULT, BenchRow
from mallocgame.bench.statistics import answer, closed, count, kinds, least_m, ratios
from mallocgame.plan.verdict import WINS, verdict_words

NOT_RUN = "not run"
ANSWER = "answer"
_MAX_REASON = 300


@dataclass
class _Reasons:
    """Failures, numbered in order of appearance; the same words have the same number."""

    texts: list[str] = field(default_factory=list)

    def cell(self, row: BenchRow) -> Cell:
        reason = (row.failure or "no figures")[:_MAX_REASON]
        if reason not in self.texts:
            self.texts.append(reason)
        return Cell(f"failed ({self.texts.index(reason) + 1})", tone="missing")

    def notes(self) -> list[str]:
        return [f"({number}) {text}" for number, text in enumerate(self.texts, 1)]


def sheet(rows: Sequence[BenchRow], complete: bool) -> Sheet:
    """The document of some rows.

    Args:
        rows: in the order in which programs and solvers are to appear.
        complete: whether nothing that was asked for is missing.
    """
    programs: dict[tuple[str, str, int], dict[str, BenchRow]] = {}
    for row in rows:
        programs.setdefault((row.target, row.workload, row.seed), {})[row.method] = row
    methods = [method for method in FIXED_METHODS[1:] if any(row.method == method for row in rows)]
    methods += dict.fromkeys(row.method for row in rows if row.method not in FIXED_METHODS)
    targets = list(dict.fromkeys(row.target for row in rows))
    grids = [_summary(programs, methods, targets)] if rows else []
    grids += portfolio(rows)
    for target in targets:
        lines = {key[1:]: line for key, line in programs.items() if key[0] == target}
        grids.append(_programs(target, lines, methods))
    return Sheet("mallocgame bench", [*_facts(rows, complete), *_LEGEND], grids)


_LEGEND = (
    "E: the code emitter's estimated cycles. M: memory space assignment's own formula. Both are replayed from the final"
    " text of a compile, with stalls on copies; nothing was run on a TPU.",
    "Ratios are XLA default / row, E then M: above 1 is faster. Better: neither is more than 0.1 % worse and one is "
    "more than 0.1 % better. Better under E: another memory split gains there and loses 0.1 to 2.5 % under M.",
    "Headroom: (default - relaxed bound) / default; under E an estimate.",
    "M closed: (default - row) / (default - proven bound) under M, within the row's memory split, where that headroom "
    "is at least 1 % of the default. Least M: the same of the program of least M that was confirmed at that split, "
    "whatever its E, and (least M - proven bound) / least M.",
    "Answer: the best of XLA's default, MSA off and the solvers. Flag tuning is what they are compared with; it gets"
    " as many compiles as the solver that took most.",
)


def _facts(rows: Sequence[BenchRow], complete: bool) -> list[str]:
    failed = sum(row.failure is not None for row in rows)
    facts = [f"{len(rows)} rows, {failed} of them without figures"]
    if not complete:
        facts.insert(0, "PARTIAL: not all that was asked for has been run.")
    facts += dict.fromkeys(
        "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(row.versions.items())) for row in rows
    )
    facts += dict.fromkeys(
        f"{row.method}: "
        + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(row.options.items()))
        for row in rows
        if row.options
    )
    return [*facts, f"Table made {datetime.now(UTC):%Y-%m-%d} on a machine of {_machine()}."]


def _machine() -> str:
    """Cores and memory of this machine."""
    cores = f"{os.cpu_count() or 'unknown number of'} cores"
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return cores
    return f"{cores} and {memory / 2**30:.1f} GiB of memory"


def _programs(target: str, lines: dict[tuple[str, int], dict[str, BenchRow]], methods: Sequence[str]) -> Grid:
    reasons = _Reasons()
    seeds = len({seed for _, seed in lines}) > 1
    costly = [method for method in methods if method != MSA_OFF]
    header = ["program", "E, ms (stall)", "M, ms (stall)", "headroom E / M, %", *methods, ANSWER]
    if costly:
        order = ", ".join(costly)
        header += [f"compiles: {order}", f"seconds: {order}", "peak memory, GiB"]
    table = []
    for (workload, seed), line in lines.items():
        cells = [Cell(f"{workload}, seed {seed}" if seeds else workload), *_default(line.get(XLA_DEFAULT), reasons)]
        cells += [_compared(line.get(method), reasons) for method in methods]
        cells.append(_answer(line))
        table.append(cells + (_spent(line, costly) if costly else []))
    return Grid(f"{target}: {len(lines)} programs", header, table, reasons.notes())


def _default(row: BenchRow | None, reasons: _Reasons) -> list[Cell]:
    if row is None:
        return [Cell(NOT_RUN, tone="missing")] * 3
    if row.e_seconds is None or row.m_seconds is None:
        return [reasons.cell(row)] * 3
    headroom = [_headroom(row.e_seconds, row.bound_e), _headroom(row.m_seconds, row.bound_m)]
    return [
        _milliseconds(row.e_seconds, row.e_stall),
        _milliseconds(row.m_seconds, row.m_stall),
        Cell(" / ".join(f"{share:.1f}" for share in headroom), headroom[0]),
    ]


def _milliseconds(seconds: float, stall: float | None) -> Cell:
    return Cell(f"{seconds * 1e3:.4g} ({(stall or 0.0) * 1e3:.3g})", seconds)


def _headroom(default: float, bound: float | None) -> float:
    return 100 * (1 - (bound or 0.0) / default) if default else 0.0


def _compared(row: BenchRow | None, reasons: _Reasons) -> Cell:
    """Ratios and verdict of one method; what flag tuning has found too."""
    if row is None:
        return Cell(NOT_RUN, tone="missing")
    if row.failure is not None:
        return reasons.cell(row)
    words = [verdict_words(row.verdict)]
    if row.fits is False:
        words.append("does not fit")
    if row.kind != row.method and row.kind != "plan":
        words.append(str(row.kind))
    found = ratios(row)
    share = closed(row)
    if share is not None:
        words.append(f"{share:.0%} closed")
    text = f"{found[0]:.4f} / {found[1]:.4f}" if found else "0 s"
    return Cell(f"{text} {', '.join(words)}", found[0] * found[1] if found else None, _tone(row))


def _answer(line: dict[str, BenchRow]) -> Cell:
    best = answer(tuple(line.values()))
    if best is None:
        return Cell("none: no figures of XLA's default", tone="missing")
    found = ratios(best) or (1.0, 1.0)
    name = f"plan of {best.method}" if best.kind == "plan" else str(best.kind)
    return Cell(f"{name}, {found[0]:.4f} / {found[1]:.4f}", found[0] * found[1], _tone(best))


def _tone(row: BenchRow) -> str:
    return "better" if row.verdict in WINS else row.verdict or ""


def _spent(line: dict[str, BenchRow], methods: Sequence[str]) -> list[Cell]:
    """Compiles and seconds of each method, and the largest compile of them all."""
    rows = [line.get(method) for method in methods]
    compiles = ", ".join(NOT_RUN if row is None else str(row.compiles) for row in rows)
    seconds = ", ".join(NOT_RUN if row is None else f"{row.seconds:.3g}" for row in rows)
    peak = max((row.peak_memory for row in line.values()), default=0)
    return [
        Cell(compiles, sum(row.compiles for row in rows if row)),
        Cell(seconds, sum(row.seconds for row in rows if row)),
        Cell(f"{peak / 2**30:.2f}" if peak else "not measured", peak),
    ]


def _summary(
    programs: dict[tuple[str, str, int], dict[str, BenchRow]], methods: Sequence[str], targets: Sequence[str]
) -> Grid:
    header = [
        "target", "method", "programs", "E, geometric mean [95 %]", "M, geometric mean [95 %]",
        "better", "better under E", "equal", "worse", "strictly: better / equal / worse", "failed", "M closed, median",
        "least M: closed, bound below it, medians", "what they are",
    ]  # fmt: skip
    table = []
    for target in (*targets, *(["all"] if len(targets) > 1 else [])):
        lines = [line for key, line in programs.items() if target in (key[0], "all")]
        for method in methods:
            found = [line[method] for line in lines if method in line]
            if found:
                table.append([Cell(target), Cell(method), *_over(found, found)])
        tried = [line for line in lines if line.keys() - set(FIXED_METHODS)] or lines
        table += _answers(target, [tuple(line.values()) for line in tried])
    return Grid("Summary", header, table, _SUMMARY_NOTES)


_SUMMARY_NOTES = (
    "Intervals: percentile bootstrap over programs, 10,000 resamples, seed 0.",
    "Means are over all programs of a line that have figures; an answer that is XLA's default counts as 1.",
    "Strictly: the answers where another split may not lose under M.",
    "Answers are counted over the programs that a solver was run on; over all of them where none was run at all.",
)


def _answers(target: str, lines: Sequence[tuple[BenchRow, ...]]) -> list[list[Cell]]:
    """The answers of some programs, and those that are plans once more alone."""
    answers = [best for line in lines if (best := answer(line))]
    strict = [best for line in lines if (best := answer(line, strict=True))]
    if not answers:
        return []
    table = [[Cell(target), Cell(ANSWER), *_over(answers, strict, len(lines) - len(answers))]]
    plans = [row for row in answers if row.kind == "plan"]
    if 0 < len(plans) < len(answers):
        strict_plans = [row for row in strict if row.kind == "plan"]
        table.append([Cell(target), Cell(f"{ANSWER}, plans alone"), *_over(plans, strict_plans)])
    return table


def _over(rows: Sequence[BenchRow], strict_rows: Sequence[BenchRow], failed: int = 0) -> list[Cell]:
    """Programs, means, counts and kinds of some rows; ``failed`` programs have no row."""
    pairs = [pair for row in rows if (pair := ratios(row))]
    counts, strict = count(rows), count(strict_rows, strict=True)
    what = ", ".join(f"{number} {kind}" for kind, number in kinds(rows).items())
    return [
        Cell(str(len(rows)), len(rows)),
        mean([e for e, _ in pairs]),
        mean([m for _, m in pairs]),
        *(Cell(str(number), number) for number in (counts.better, counts.better_under_e, counts.equal, counts.worse)),
        Cell(f"{strict.better} / {strict.equal} / {strict.worse}", strict.better),
        Cell(str(counts.failed + failed), counts.failed + failed),
        _closed(rows),
        _least_m(rows),
        Cell(what or "no figures"),
    ]


def _closed(rows: Sequence[BenchRow]) -> Cell:
    """The median share of the proven headroom, and over how many programs."""
    shares = [share for row in rows if (share := closed(row)) is not None]
    if not shares:
        return Cell("not told")
    middle = median(shares)
    return Cell(f"{middle:.1%} of {len(shares)}", middle)


def _least_m(rows: Sequence[BenchRow]) -> Cell:
    """The same of the programs of least M, and how far the bound is below them."""
    found = [least for row in rows if (least := least_m(row)) is not None]
    if not found:
        return Cell("not told")
    middle, below = median(share for share, _ in found), median(below for _, below in found)
    return Cell(f"{middle:.1%} of {len(found)}, {below:.1%}", middle)
