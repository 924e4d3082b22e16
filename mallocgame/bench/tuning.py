"""Flag tuning, as users do it by hand: a seeded search over memory splits and global flags, each judged by a compile.

The first half of the compiles tries single settings, splits and flags in turn; the rest varies what was best so far. A
program of the capture's own split and schedule is replayed with the capture's costs, as plans are. Another split or
schedule is another program: it is replayed with the costs of its own log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from random import Random
from time import monotonic
from typing import Literal

from mallocgame.bench.settings import Setting, flags, splits
from mallocgame.compiler.capture import SCOPED_VMEM, Capture, peak_hbm, schedule_of
from mallocgame.compiler.child import Compile, Compiled, Limits, Request, compile_in_child
from mallocgame.compiler.hidden_elements import show_elements
from mallocgame.compiler.verification import Row, Verdict, replayed, verdict
from mallocgame.errors import MallocgameError
from mallocgame.problem import build_problem
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from xla_dump_parser import ParseError, parse_hlo
from xla_dump_parser.compile_log import parse_compile_log

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
        figures: of the best program; XLA's default where nothing was better.
        compiler_options: all that its compile needs, those of the capture included.
        scoped_vmem_kib: its memory split; None for the compiler's default.
        kind: ``"split"`` where the best has another split than the capture, with or without flags.
        fingerprint: of the problem whose costs the figures rest on.
        compiles: how many compiles it took, refused ones included.
        seconds: of all of these compiles. A cached compile counts as long as it took.
        peak_memory: resident bytes of the largest.
        tried: all candidates, in order.
    """

    figures: Row
    compiler_options: Mapping[str, str]
    scoped_vmem_kib: int | None
    kind: Literal["xla default", "global flags", "split"]
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
    progress: Callable[[str], None] | None = None,
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
        if progress is not None:
            progress(f"flag tuning {len(tried)} of {compiles}: {_text(settings)}: {entry.verdict or entry.failure}")
    return _tuned(capture, default, tried)


def costs_of(compiled: Compiled, capture: Capture, scoped_vmem_kib: int | None) -> Problem:
    """The problem whose costs a compiled program is replayed with.

    Args:
        compiled: the program; its log has to have the costs.
        capture: of XLA's default for the same module and target.
        scoped_vmem_kib: the program's memory split; None for the compiler's default.

    Returns:
        The capture's problem where split and schedule are the capture's. Else the problem of the program's own log, at
        the memory bandwidths of the capture: they are the device's, and some flags change what a log says of them.

    Raises:
        BadInputError: the texts do not hold together.
    """
    if scoped_vmem_kib == capture.scoped_vmem_kib and schedule_of(compiled.before_msa) == capture.schedule:
        return capture.problem()
    log = parse_compile_log(compiled.log)
    problem = build_problem(
        parse_hlo(show_elements(compiled.before_msa, log.sequence), "before_msa"),
        get_target(capture.target),
        log,
        parse_hlo(compiled.final, "final"),
    )
    device = capture.problem().target
    target = replace(
        problem.target,
        hbm_bandwidth=device.hbm_bandwidth,
        fast_read_bandwidth=device.fast_read_bandwidth,
        fast_write_bandwidth=device.fast_write_bandwidth,
    )
    return replace(problem, target=target)


def _try(settings: Settings, capture: Capture, default: Row, compile: Compile, limits: Limits | None) -> Tried:
    started = monotonic()
    options = {**capture.options, **dict(settings)}
    try:
        compiled = compile(Request(capture.topology, lowered=capture.lowered, options=options), limits)
        problem = costs_of(compiled, capture, _split(options))
        row = replayed("flag tuning", problem, parse_hlo(compiled.final, "final"), peak_hbm(compiled.memory_usage))
    except (MallocgameError, ParseError) as error:
        return Tried(settings, None, None, None, str(error), monotonic() - started, 0)
    return Tried(
        settings=settings,
        row=row,
        verdict=verdict(row, default, split_changed=_split(options) != capture.scoped_vmem_kib),
        fingerprint=problem.fingerprint,
        failure=None,
        seconds=compiled.seconds,
        peak_memory=compiled.peak_memory,
    )


def _split(options: Mapping[str, str]) -> int | None:
    return int(options[SCOPED_VMEM]) if SCOPED_VMEM in options else None


def _tuned(capture: Capture, default: Row, tried: Sequence[Tried]) -> Tuned:
    better = [entry for entry in tried if entry.verdict == "better"]
    best = min(better, key=lambda entry: _product(entry.row), default=None)
    options = {**capture.options, **dict(best.settings if best else ())}
    kind: Literal["xla default", "global flags", "split"] = "xla default"
    if best is not None:
        kind = "split" if _split(options) != capture.scoped_vmem_kib else "global flags"
    return Tuned(
        figures=best.row if best and best.row else default,
        compiler_options=options,
        scoped_vmem_kib=_split(options),
        kind=kind,
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
            distinct.setdefault((entry.verdict != "better", _product(entry.row)), entry.settings)
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
