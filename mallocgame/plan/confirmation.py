"""The proof that an answer carries: figures that its compiles confirmed, what was tried, and where its program is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from mallocgame.plan.verdict import Verdict
from mallocgame.system import checked_json as checked


@dataclass(frozen=True, slots=True)
class Stated:
    """Figures of one compiled program, replayed from its final text.

    Attributes:
        e_seconds: total under E.
        e_stall: the part of it that waits for copies, in seconds.
        m_seconds: total under M.
        m_stall: likewise.
        peak_fast: most bytes of fast memory occupied at one time.
        peak_hbm: bytes of HBM that the program needs, by the compiler's report.
    """

    e_seconds: float
    e_stall: float
    m_seconds: float
    m_stall: float
    peak_fast: int
    peak_hbm: int


@dataclass(frozen=True)
class Confirmation:
    """What was confirmed when an answer was found.

    Attributes:
        default: XLA's default for the program, at the memory split that it is compiled with anyway.
        answer: what the answer makes of it.
        verdict: of the two.
        scoped_vmem_kib: the memory split of the answer; None for the compiler's default.
        honoured: definitions, uses and copies that are as planned; None where the answer is no plan.
        sites: how many were planned; None likewise.
        misses: the others, a line each.
        tried: every program that was compiled, a line each, XLA's default first.
        status: why the search ended.
        file: what was solved: the path of a file, or MODULE:FUNCTION.
        sha256: of the file, 64 hex digits; None where it is no file.
        capture: path of the capture that was made of it, or that it is.
        cache: folder of the finished compiles that the answer rests on.
    """

    default: Stated
    answer: Stated
    verdict: Verdict
    scoped_vmem_kib: int | None
    honoured: int | None
    sites: int | None
    misses: tuple[str, ...]
    tried: tuple[str, ...]
    status: str
    file: str
    sha256: str | None
    capture: str
    cache: str


def confirmation_to_json(confirmation: Confirmation) -> dict[str, Any]:
    """As a file holds it."""
    return {**asdict(confirmation), "misses": list(confirmation.misses), "tried": list(confirmation.tried)}


def confirmation_from_json(value: object, where: str) -> Confirmation:
    """What a file holds; nothing in it is trusted.

    Raises:
        BadInputError: it is damaged; ``where`` begins the message.
    """
    found = checked.record(value, where, tuple(entry.name for entry in fields(Confirmation)))
    decoded = {name: decode(found[name], f"{where}.{name}") for name, decode in _DECODERS.items()}
    return Confirmation(**decoded)


def _stated(value: object, where: str) -> Stated:
    found = checked.record(value, where, (*_SECONDS, *_BYTES))
    seconds: dict[str, Any] = {name: checked.non_negative(found[name], f"{where}.{name}") for name in _SECONDS}
    return Stated(**seconds, **{name: checked.natural(found[name], f"{where}.{name}") for name in _BYTES})


_SECONDS = ("e_seconds", "e_stall", "m_seconds", "m_stall")
_BYTES = ("peak_fast", "peak_hbm")

_DECODERS: Mapping[str, checked.Decoder[Any]] = {
    **dict.fromkeys(("default", "answer"), _stated),
    "verdict": checked.one_of(get_args(Verdict)),
    **dict.fromkeys(("scoped_vmem_kib", "honoured", "sites"), checked.optional(checked.natural)),
    **dict.fromkeys(("misses", "tried"), checked.each(checked.text)),
    **dict.fromkeys(("status", "file", "capture", "cache"), checked.text),
    "sha256": checked.optional(checked.text),
}
