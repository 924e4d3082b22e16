"""Flag tuning, as users do it by hand: a seeded search over memory splits and global flags, each judged by a compile.

The first half of the compiles tries single settings, splits and flags in turn; the rest varies what was best so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from random import Random
from time import monotonic

from mallocgame.bench.settings import Setting, flags, splits
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.child import Compile, Limits, compile_in_child
from mallocgame.compiler.confirm import confirm_other
from mallocgame.compiler.verification import Row, replayed
from mallocgame.plan.compiler_options import split_of
from mallocgame.plan.verdict import WINS, Kind, Verdict, verdict
from mallocgame.system.errors import MallocgameError
from mallocgame.system.progress import Progress, silent
from xla_dump_parser import ParseError, parse_hlo

PARENTS = 3
"""How many of the best candidates are varied."""

MAX_DRAWS = 1000
"""Draws that may give nothing new before the search ends."""

Settings = tuple[Setting, ...]
"""What a candidate changes against XLA's default, sorted by option; no option twice."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One candidate.

    Attributes:
        settings: what it changes against XLA's default.
        row: its figures, or None where the compiler refused or gave no answer.
        verdict: against XLA's default by game.md's rule, or None likewise.
        fingerprint: of the problem whose costs it was replayed with, or None likewise.
        failure: why there are no figures, or None.
        seconds: of its compile.
        peak_memory: resident bytes of its compile; 0 where there are no figures.
    """

    settings: Settings
    row: Row | None
    verdict: Verdict | None
    fingerprint: str | None
    failure: str | None
    seconds: float
    peak_memory: int


@dataclass(frozen=True, slots=True)
class Tuned:
    """What flag tuning found.

    Attributes:
        figures: of the best program; XLA's default where nothing was better. Its kind is ``"split"`` where it has
            another split than the capture, with or without flags.
        compiler_options: all that its compile needs, those of the capture included.
        scoped_vmem_kib: its memory split; None for the compiler's default.
        fingerprint: of the problem whose costs the figures rest on.
        compiles: how many compiles it took, refused ones included.
        seconds: of all of these compiles. A cached compile counts as long as it took.
        peak_memory: resident bytes of the largest.
        tried: all candidates, in order.
    """

    figures: Row
    compiler_options: Mapping[str, str]
    scoped_vmem_kib: int | None
    fingerprint: str
    compiles: int
    seconds: float
    peak_memory: int
    tried: tuple[Tried, ...]


def tune(
    capture: Capture,
    *,
    compiles: int,
    seed: int,
    compile: Compile = compile_in_child,
    limits: Limits | None = None,
    progress: Progress = silent,
) -> Tuned:
    """The best of at most ``compiles`` settings, by the rule that makes a plan better; XLA's default if none is.

    The candidates depend on the seed, the budget and the figures of those before, so on nothing but the compiler.

    Args:
        capture: of XLA's default.
        compiles: how many candidates to compile; fewer where there are no more.
        seed: of the search.
        compile: who compiles, e.g. a cache.
        limits: of each compile.
        progress: is told each candidate and what became of it, one line each.

    Raises:
        BadInputError: the capture cannot be read.
    """
    problem = capture.problem()
    default = replayed("xla default", problem, parse_hlo(capture.final, "final of XLA's default"), capture.peak_hbm)
    tried: list[Tried] = []
    for settings in islice(_candidates(capture, compiles, Random(seed), default, tried), compiles):
        entry = _try(settings, capture, default, compile, limits)
        tried.append(entry)
        progress(f"flag tuning {len(tried)} of {compiles}: {_text(settings)}: {entry.verdict or entry.failure}")
    return _tuned(capture, default, tried)


def _try(settings: Settings, capture: Capture, default: Row, compile: Compile, limits: Limits | None) -> Tried:
    started = monotonic()
    options = {**capture.options, **dict(settings)}
    kind: Kind = "split" if split_of(options) != capture.scoped_vmem_kib else "global flags"
    try:
        found = confirm_other(capture, kind, options, compile, limits)
    except (MallocgameError, ParseError) as error:
        return Tried(settings, None, None, None, str(error), monotonic() - started, 0)
    return Tried(
        settings=settings,
        row=found.row,
        verdict=verdict(found.row, default, split_changed=kind == "split"),
        fingerprint=found.problem.fingerprint,
        failure=None,
        seconds=found.compiled.seconds,
        peak_memory=found.compiled.peak_memory,
    )


def _tuned(capture: Capture, default: Row, tried: Sequence[Tried]) -> Tuned:
    better = [entry for entry in tried if entry.verdict in WINS]
    best = min(better, key=lambda entry: _product(entry.row), default=None)
    options = {**capture.options, **dict(best.settings if best else ())}
    figures = best.row if best and best.row else default
    return Tuned(
        figures=figures,
        compiler_options=options,
        scoped_vmem_kib=split_of(options),
        fingerprint=best.fingerprint if best and best.fingerprint else capture.problem().fingerprint,
        compiles=len(tried),
        seconds=sum(entry.seconds for entry in tried),
        peak_memory=max((entry.peak_memory for entry in tried), default=0),
        tried=tuple(tried),
    )


def _candidates(
    capture: Capture, compiles: int, random: Random, default: Row, tried: Sequence[Tried]
) -> Iterator[Settings]:
    """Candidates without end, unless there is nothing new; ``tried`` grows between them."""
    singles: list[Settings] = [(setting,) for setting in _shuffled(capture, random)]
    seen: set[Settings] = {()}
    for single in singles[: (compiles + 1) // 2]:
        seen.add(single)
        yield single
    draws = 0
    while draws < MAX_DRAWS:
        child = _vary(_parents(default, tried), singles, random)
        draws += 1
        if child not in seen:
            seen.add(child)
            draws = 0
            yield child


def _shuffled(capture: Capture, random: Random) -> list[Setting]:
    """Splits and flags in turn, each kind in random order, without what the capture has already."""
    kinds = [splits(capture.target), flags()]
    for kind in kinds:
        random.shuffle(kind)
    mixed = chain.from_iterable(zip_longest(*kinds))
    return [setting for setting in mixed if setting is not None and capture.options.get(setting[0]) != setting[1]]


def _parents(default: Row, tried: Sequence[Tried]) -> list[Settings]:
    """The best so far, XLA's default among them: better ones first, then by the product of E and M.

    Of those with the same figures the first one tried counts alone, so settings that change nothing are not kept.
    """
    distinct: dict[tuple[bool, float], Settings] = {(True, _product(default)): ()}
    for entry in tried:
        if entry.row is not None:
            distinct.setdefault((entry.verdict not in WINS, _product(entry.row)), entry.settings)
    return [distinct[rank] for rank in sorted(distinct)[:PARENTS]]


def _vary(parents: Sequence[Settings], singles: Sequence[Settings], random: Random) -> Settings:
    """A parent with another parent's settings beside its own, with one new setting, or without one of its own."""
    parent = dict(random.choice(parents))
    how = random.choice(("join", "set", "set", "drop"))
    if how == "join":
        parent = {**dict(random.choice(parents)), **parent}
    elif how == "set":
        parent.update(random.choice(singles))
    elif parent:
        del parent[random.choice(sorted(parent))]
    return tuple(sorted(parent.items()))


def _product(row: Row | None) -> float:
    return row.e_seconds * row.m_seconds if row is not None else float("inf")


def _text(settings: Settings) -> str:
    return ", ".join(f"{option}={value}" for option, value in settings)
