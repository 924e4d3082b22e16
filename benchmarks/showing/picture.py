"""The picture that carries the result: every program, every target, E and M, and XLA's default as the line.

SVG without fonts, scripts or anything else to load; light or dark as the reader's system is. On the site, where it is
part of the page, it follows the page's own switch (``docs/assets/site.css``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import log

from benchmarks.showing.gains import Gain, targets_of
from mallocgame.bench.statistics import geometric_mean

WIDTH = 960
_NAME = 136
"""Of the column of names, pixels."""
_TOP, _ROW, _BOTTOM = 108, 13, 30
_GAP = 18
_TICKS = (1.0, 1.5, 2.0, 3.0)
_LEAST, _MOST = 0.95, 3.3
"""Ends of each column's logarithmic axis, XLA's default / answer; what lies beyond is drawn at the end."""

STYLE = """
svg.mg { --ink: #1f2933; --soft: #5b6673; --faint: #dfe3e8; --paper: #ffffff; --blue: #2f74b5; --orange: #d9701b;
  font-family: system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif }
@media (prefers-color-scheme: dark) {
  svg.mg { --ink: #e6e9ed; --soft: #a7b0bb; --faint: #39424d; --paper: #14181d; --blue: #6aa9e0; --orange: #f2a254 }
}
.mg-gains .paper { fill: var(--paper) }
.mg-gains text { fill: var(--ink); font-size: 10.5px }
.mg-gains .soft { fill: var(--soft); font-size: 9.5px }
.mg-gains .head { font-size: 13px; font-weight: 600 }
.mg-gains .e { fill: var(--blue) }
.mg-gains .m { fill: var(--orange); stroke: var(--paper); stroke-width: .8 }
.mg-gains .line { stroke: var(--ink); stroke-width: 1.2 }
.mg-gains .tick { stroke: var(--faint); stroke-width: 1 }
"""


def picture(gains: Sequence[Gain]) -> str:
    """The SVG of all gains: a row for each program, the largest mean gain first, and a column for each target."""
    targets = targets_of(gains)
    programs = _ordered(gains)
    height = _TOP + _ROW * len(programs) + _BOTTOM
    width = (WIDTH - _NAME - 8) / len(targets)
    found = {(gain.program, gain.target): gain for gain in gains}
    lines = [
        f'<svg class="mg mg-gains" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(_title(gains))}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="head" x="8" y="20">{escape(_title(gains))}</text>',
        *_legend(),
    ]
    for number, target in enumerate(targets):
        left = _NAME + number * width
        lines += _column(target, [gain for gain in gains if gain.target == target], left, width - _GAP, height)
        for place, program in enumerate(programs):
            lines += _mark(found.get((program, target)), left, width - _GAP, _TOP + _ROW * place)
    for place, program in enumerate(programs):
        lines.append(f'<text x="{_NAME - 8}" y="{_TOP + _ROW * place + 10}" text-anchor="end">{escape(program)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _title(gains: Sequence[Gain]) -> str:
    programs = len(_ordered(gains))
    return f"Estimated speed-up over XLA's default: {len(gains)} answers, {programs} programs (no TPU was timed)"


def _ordered(gains: Sequence[Gain]) -> list[str]:
    """Programs by their mean gain over targets and both models, the largest first."""
    logs: dict[str, list[float]] = {}
    for gain in gains:
        values = logs.setdefault(gain.program, [])
        if gain.faster_e is not None and gain.faster_m is not None:
            values.append(log(gain.faster_e * gain.faster_m))
    means = {program: sum(values) / max(len(values), 1) for program, values in logs.items()}
    return sorted(means, key=lambda program: (-means[program], program))


def _legend() -> Iterator[str]:
    yield '<rect class="e" x="8" y="31" width="22" height="7" rx="1.5"/>'
    yield '<text class="soft" x="36" y="38">E, estimated cycles of the compiler\'s code emitter</text>'
    yield '<circle class="m" cx="292" cy="34.5" r="3.6"/>'
    yield '<text class="soft" x="302" y="38">M, the formula of its memory space assignment</text>'
    yield '<path class="line" d="M545 29v11"/>'
    yield '<text class="soft" x="552" y="38">XLA\'s default; right of it is faster. - has no figures.</text>'


def _column(target: str, gains: Sequence[Gain], left: float, width: float, height: int) -> Iterator[str]:
    pairs = [(gain.faster_e, gain.faster_m) for gain in gains if gain.faster_e and gain.faster_m]
    under_e, under_m = (geometric_mean([pair[model] for pair in pairs]).mean for model in (0, 1))
    x = _number(left)
    programs = f'<tspan class="soft" dx="6">{len(pairs)} programs</tspan>'
    yield f'<text class="head" x="{x}" y="62">{escape(target)}{programs}</text>'
    yield f'<text class="soft" x="{x}" y="77">mean E {under_e:.2f}x, M {under_m:.2f}x</text>'
    for tick in _TICKS:
        x = _number(_across(tick, left, width))
        kind = "line" if tick == 1 else "tick"
        yield f'<path class="{kind}" d="M{x} {_TOP - 6}V{height - _BOTTOM + 4}"/>'
        for y in (_TOP - 10, height - _BOTTOM + 16):
            yield f'<text class="soft" x="{x}" y="{y}" text-anchor="middle">{tick:g}x</text>'


def _mark(gain: Gain | None, left: float, width: float, top: int) -> Iterator[str]:
    """A bar for E and a dot for M; a dash where the program was not run for the target."""
    line = _across(1.0, left, width)
    if gain is None or gain.faster_e is None or gain.faster_m is None:
        yield f'<text class="soft" x="{_number(line + 5)}" y="{top + 10}">-</text>'
        return
    x = _across(gain.faster_e, left, width)
    yield (
        f'<rect class="e" x="{_number(min(x, line))}" y="{top + 3}" width="{_number(max(abs(x - line), 0.6))}" '
        f'height="7"><title>{escape(gain.program)}, {gain.target}: E {gain.faster_e:.3f}x</title></rect>'
    )
    yield (
        f'<circle class="m" cx="{_number(_across(gain.faster_m, left, width))}" cy="{top + 6.5}" r="3.2">'
        f"<title>{escape(gain.program)}, {gain.target}: M {gain.faster_m:.3f}x</title></circle>"
    )


def _across(ratio: float, left: float, width: float) -> float:
    low, high = log(_LEAST), log(_MOST)
    return left + width * (min(max(log(ratio), low), high) - low) / (high - low)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
