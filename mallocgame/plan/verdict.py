"""How a program compares with XLA's default: the rule in game.md that makes a plan *better*."""

from __future__ import annotations

from typing import Literal, Protocol

Kind = Literal["xla default", "msa off", "global flags", "split", "plan", "soft plan"]
"""What a compiled program is: a soft plan leaves most of the decisions to the compiler."""

Verdict = Literal["better", "better under E", "equal", "worse", "cannot tell"]
"""``"better under E"``: another memory split gains there and loses under M, but within ``SPLIT_TOLERANCE``.
``"cannot tell"``: what a kernel or collective of which nothing is known takes or gives is placed otherwise."""

WINS: tuple[Verdict, ...] = ("better", "better under E")
"""Verdicts of what may be an answer in the place of XLA's default."""

TOLERANCE = 0.001
"""A plan is better where neither model is more than this share worse, and one more than this share better."""

SPLIT_TOLERANCE = 0.025
"""The share by which another memory split may be worse under M, which cannot see windows, where it gains under E."""


NOTHING_BETTER = "nothing is predicted better than XLA's own placement; nothing written"

MIN_HEADROOM = 0.01
"""Share of XLA's M below which it is not told how much of the headroom is closed."""


class Figures(Protocol):
    """What a verdict needs of a compiled program; a ``Row`` has it."""

    @property
    def e_seconds(self) -> float: ...
    @property
    def m_seconds(self) -> float: ...
    @property
    def fits(self) -> bool: ...
    @property
    def uncounted(self) -> tuple[str, ...]: ...


def verdict(candidate: Figures, default: Figures, split_changed: bool = False) -> Verdict:
    """How a program compares with XLA's default, by the rule in game.md.

    ``"better"``: neither E nor M is more than 0.1 % worse and at least one is more than 0.1 % better. ``"better under
    E"``: the memory split differs from the default's, E is more than 0.1 % better, and M is worse by 0.1 to 2.5 %.
    ``"equal"``: both within 0.1 %. ``"worse"``: anything else, a gain under one model that costs too much under
    the other and a program that does not fit in HBM included. ``"cannot tell"`` comes before all of these but the last:
    no model knows what such a kernel or collective takes, wherever its operands and results are.
    """
    if not candidate.fits:
        return "worse"
    if candidate.uncounted != default.uncounted:
        return "cannot tell"
    e_gains = candidate.e_seconds < default.e_seconds * (1 - TOLERANCE)
    m_gains = candidate.m_seconds < default.m_seconds * (1 - TOLERANCE)
    if candidate.e_seconds > default.e_seconds * (1 + TOLERANCE):
        return "worse"
    if candidate.m_seconds > default.m_seconds * (1 + TOLERANCE):
        within = split_changed and e_gains and candidate.m_seconds <= default.m_seconds * (1 + SPLIT_TOLERANCE)
        return "better under E" if within else "worse"
    return "better" if e_gains or m_gains else "equal"


def is_better(row: Figures, default: Figures) -> bool:
    """Whether ``row`` beats XLA's default at the same memory split."""
    return verdict(row, default) == "better"


def strictly(judged: Verdict | None) -> Verdict | None:
    """The verdict where another memory split may not lose under M."""
    return "worse" if judged == "better under E" else judged


def verdict_words(judged: Verdict | None) -> str:
    """A verdict in a table; nothing where there is none."""
    return f"better under E, M within {100 * SPLIT_TOLERANCE:g} %" if judged == "better under E" else judged or ""
