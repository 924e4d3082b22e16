"""E predicted before a compile against E confirmed by it: median and 95th percentile of the error, rank correlation.

    python -m benchmarks.compiler.predictions FOLDER ... [--rows FILE ...] [--targets "v4 lite,v5p"]
        [--captures out/captures] [--compile heat,sinkhorn,... --plans 4 --out out/calibration/compiles]

FOLDER: finished compiles (of `bench`, of the loop, or made here with ``--compile``: the random plans of
`capture --calibrate`). Those of a captured program are gone through folder by folder, oldest first. A plan is predicted
from what a user would have known before it: XLA's default, MSA off and the compiles before. It counts as calibrated
where at least two other placements than these two were known; the others are told apart. Placements that were there
before do not count again. ``--rows``: what the loop had itself predicted for the plans that it compiled (`auto`).
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import workloads
from mallocgame.bench.rows import BenchRow
from mallocgame.bench.rows_file import read_rows
from mallocgame.bench.store import CaptureStore
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.capturing import schedule_of
from mallocgame.compiler.child import QUIET_VMODULE, Compiled, Limits, Request
from mallocgame.compiler.confirm import MSA_OFF_OPTIONS
from mallocgame.models.replay import read_back, replay_final, replay_plan
from mallocgame.models.replay.observe import observation_of, observe_final
from mallocgame.optimizer.calibrate import calibrate
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.system.errors import MallocgameError, NoAnswerError
from xla_dump_parser import parse_hlo

CALIBRATED = 2
"""Placements that have to be known of a program, beside XLA's default and MSA off, for a calibrated prediction."""

LOOP = "auto"

OLDER = ("v4 lite", "v5p")
"""The targets of all compiles that do not say for which they are."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One plan.

    Attributes:
        workload: its program.
        target: its target.
        source: folder of its compile, or ``"auto"``.
        known: placements of the program that were known before, beside XLA's default and MSA off.
        predicted: seconds under E.
        confirmed: likewise.
        default: of XLA's default.
    """

    workload: str
    target: str
    source: str
    known: int
    predicted: float
    confirmed: float
    default: float

    @property
    def error(self) -> float:
        """Share of the confirmed seconds."""
        return abs(self.predicted / self.confirmed - 1)


@dataclass(frozen=True, slots=True)
class Compile:
    """A finished compile.

    Attributes:
        folder: where it was found.
        asked: its topology and memory split; None where that is not known.
        final: its text.
        is_plan: whether it was compiled as a plan is, with nothing but the schedule logged.
    """

    folder: str
    asked: tuple[str, str | None] | None
    final: str
    is_plan: bool


def finished(folders: Iterable[Path]) -> dict[tuple[str, str], list[Compile]]:
    """All compiles of the folders by lowered module and schedule."""
    found: dict[tuple[str, str], list[Compile]] = {}
    for folder in folders:
        for one in CompileCache(folder).finished():
            compiled = one.compiled
            key = _digest(compiled.lowered), schedule_of(compiled.before_msa)
            found.setdefault(key, []).append(Compile(str(folder), one.asked, compiled.final, not compiled.log))
    return found


def _digest(lowered: str) -> str:
    return hashlib.sha256(lowered.encode()).hexdigest()


def compiles_of(capture: Capture, found: dict[tuple[str, str], list[Compile]]) -> Iterator[Compile]:
    """Those of a captured program at its split. Of older ones, which do not say, plans whose memory spaces fit."""
    space = f"S({capture.problem().target.fast_space})"
    wanted = capture.topology, capture.options.get(SCOPED_VMEM)
    for one in found.get((_digest(capture.lowered), capture.schedule), ()):
        older = one.asked is None and one.is_plan and capture.target in OLDER and space in one.final
        if older or one.asked == wanted:
            yield one


def switched_off(capture: Capture, folders: Iterable[Path]) -> str | None:
    """The final text of the compile with MSA off, which is alike for all topologies but for its cycles."""

    def missing(request: Request, limits: Limits | None = None) -> Compiled:
        raise NoAnswerError("not compiled")

    options = {**capture.options, **MSA_OFF_OPTIONS}
    request = Request(capture.topology, lowered=capture.lowered, options=options, vmodule=QUIET_VMODULE)
    for folder in folders:
        try:
            compiled = CompileCache(folder, missing)(request)
        except NoAnswerError:
            continue
        return compiled.final if schedule_of(compiled.before_msa) == capture.schedule else None
    return None


def predictions(workload: str, capture: Capture, off: str | None, compiles: Iterable[Compile]) -> Iterator[Prediction]:
    """One for each plan whose placement is not known yet."""
    problem, table = capture.problem(), capture.cycles()
    if off is not None:
        observe_final(problem, off, table)
    default = parse_hlo(capture.final, "final of XLA's default")
    seconds = replay_final(problem, default, "E").total
    own = observation_of(problem, default)
    placements = {own.masks}
    for one in compiles:
        final = parse_hlo(one.final, "final")
        seen = observation_of(problem, final)
        if seen.masks in placements:
            continue
        if one.is_plan and any(seen.masks):
            plan = read_back(problem, final).to_plan()
            predicted = replay_plan(problem, plan, "E", table).total
            confirmed = replay_final(problem, final, "E").total
            known = sum(map(any, placements)) - any(own.masks)
            yield Prediction(workload, capture.target, one.folder, known, predicted, confirmed, seconds)
        placements.add(seen.masks)
        table.observe(seen.masks, seen.cycles)


def of_loop(row: BenchRow) -> Iterator[Prediction]:
    """What the loop predicted for the plans that it compiled, at the capture's own split."""
    known = 0
    for tried in row.programs:
        if tried.kind != "plan" or tried.scoped_vmem_kib != row.programs[0].scoped_vmem_kib:
            continue
        if tried.predicted_e and tried.e_seconds and row.default_e:
            yield Prediction(row.workload, row.target, LOOP, known, tried.predicted_e, tried.e_seconds, row.default_e)
            known += 1


def rows_of(paths: Sequence[Path]) -> list[BenchRow]:
    """All rows of these files."""
    return [row for path in paths for row in read_rows(path)]


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's, of values without ties; NaN of fewer than two."""
    if len(one) < 2:
        return nan
    ranks = np.argsort(np.argsort(one)), np.argsort(np.argsort(other))
    return float(np.corrcoef(*ranks)[0, 1])


def line(name: str, made: Sequence[Prediction]) -> str:
    """Figures of some predictions."""
    if not made:
        return f"{name:<34} none"
    errors = np.array([prediction.error for prediction in made])
    predicted = np.array([prediction.predicted / prediction.default for prediction in made])
    confirmed = np.array([prediction.confirmed / prediction.default for prediction in made])
    programs = len({(prediction.workload, prediction.target) for prediction in made})
    return (
        f"{name:<34} {len(made):>4} plans of {programs:>2} programs: error {100 * np.median(errors):.2f} % in the "
        f"median, {100 * np.percentile(errors, 95):.2f} % at p95, {100 * errors.max():.1f} % at most; rank correlation "
        f"{rank_correlation(predicted, confirmed):.4f}"
    )


def report(made: Sequence[Prediction]) -> Iterator[str]:
    """Lines by target and by source."""
    calibrated = [prediction for prediction in made if prediction.known >= CALIBRATED]
    yield line("calibrated", calibrated)
    for target in dict.fromkeys(prediction.target for prediction in made):
        yield line(f"  {target}", [prediction for prediction in calibrated if prediction.target == target])
    for source in dict.fromkeys(prediction.source for prediction in made):
        yield line(f"  {source}", [prediction for prediction in calibrated if prediction.source == source])
    for known in range(CALIBRATED):
        yield line(f"with {known} plans known", [prediction for prediction in made if prediction.known == known])
    yield "worst, calibrated:"
    for prediction in sorted(calibrated, key=lambda prediction: -prediction.error)[:8]:
        yield (
            f"  {prediction.workload} for {prediction.target}, {prediction.source}: "
            f"{100 * (prediction.predicted / prediction.confirmed - 1):+.2f} %"
        )


def compile_random_plans(store: CaptureStore, names: str, targets: Sequence[str], plans: int, out: Path) -> None:
    """The compiles of `capture --calibrate` for MSA off and as many plans more; what is there is not compiled again."""
    cache = CompileCache(out)
    for target in targets:
        for workload in names.split(","):
            try:
                calibrate(store.get(workload, target), 1 + plans, compile=cache, progress=_told)
            except MallocgameError as error:
                _told(f"{workload} for {target}: {error}")


def _told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="E predicted against E confirmed.")
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--rows", type=Path, nargs="*", default=[])
    parser.add_argument("--targets", default="v4 lite,v5p")
    parser.add_argument("--captures", type=Path, default=Path("out/captures"))
    parser.add_argument("--compile", default="")
    parser.add_argument("--plans", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("out/calibration/compiles"))
    options = parser.parse_args()
    store, targets = CaptureStore(options.captures), options.targets.split(",")
    if options.compile:
        compile_random_plans(store, options.compile, targets, options.plans, options.out)
    found = finished(options.folders)
    made = [one for row in rows_of(options.rows) if row.method == LOOP for one in of_loop(row)]
    for target in targets:
        for workload in workloads.names():
            if store.path(workload, target).exists():
                capture = load_capture(store.path(workload, target))
                made += predictions(
                    workload, capture, switched_off(capture, options.folders), compiles_of(capture, found)
                )
    print("\n".join(report(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
