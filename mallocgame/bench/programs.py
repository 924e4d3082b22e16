"""What the loop tried for one row: every program that was compiled, without its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

from mallocgame.plan.verdict import Kind, Verdict
from mallocgame.system.checked_json import Decoder, natural, non_negative, one_of, optional, record, text

if TYPE_CHECKING:
    from mallocgame.optimizer.knowledge.candidates import Tried


@dataclass(frozen=True, slots=True)
class TriedProgram:
    """One program that was tried. Either there are figures, or ``failure`` says why there are none.

    Attributes:
        proposer: who proposed it.
        kind: what it is.
        about: what it does, in a few words.
        scoped_vmem_kib: its memory split; None for the compiler's default.
        e_seconds: confirmed total under E.
        m_seconds: confirmed total under M.
        predicted_e: what was predicted for it under E, seconds; None without a prediction.
        predicted_m: likewise under M.
        verdict: against XLA's default by game.md's rule.
        honoured: definitions, uses and copies that are as planned; None where there is no plan.
        sites: how many were planned; None where there is no plan.
        compiles: how many compiles it took.
        failure: why there are no figures, or None.
    """

    proposer: str
    kind: Kind
    about: str
    scoped_vmem_kib: int | None
    e_seconds: float | None
    m_seconds: float | None
    predicted_e: float | None
    predicted_m: float | None
    verdict: Verdict | None
    honoured: int | None
    sites: int | None
    compiles: int
    failure: str | None


def of_tried(tried: Tried) -> TriedProgram:
    """A program of the loop without its options and plan."""
    predicted_e, predicted_m = tried.predicted or (None, None)
    return TriedProgram(
        proposer=tried.proposer,
        kind=tried.kind,
        about=tried.about,
        scoped_vmem_kib=tried.scoped_vmem_kib,
        e_seconds=None if tried.row is None else tried.row.e_seconds,
        m_seconds=None if tried.row is None else tried.row.m_seconds,
        predicted_e=predicted_e,
        predicted_m=predicted_m,
        verdict=tried.verdict,
        honoured=tried.honoured,
        sites=tried.sites,
        compiles=tried.compiles,
        failure=tried.failure,
    )


def program(value: object, where: str) -> TriedProgram:
    """A decoder of one program.

    Raises:
        BadInputError: it is none.
    """
    found = record(with_verdict(value) if isinstance(value, dict) else value, where, _NAMES)
    decoded: dict[str, Any] = {name: _DECODERS[name](found[name], f"{where}.{name}") for name in _NAMES}
    return TriedProgram(**decoded)


def with_verdict(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record with its verdict as it is said today, in one word; two words of before, one of them strict, told it."""
    if "strict_verdict" not in value:
        return value
    split = value.get("verdict") == "better" and value["strict_verdict"] == "worse"
    kept = {name: entry for name, entry in value.items() if name != "strict_verdict"}
    return kept | ({"verdict": "better under E"} if split else {})


_NAMES = tuple(attribute.name for attribute in fields(TriedProgram))
_DECODERS: Mapping[str, Decoder[Any]] = {
    **dict.fromkeys(("proposer", "about"), text),
    "kind": one_of(get_args(Kind)),
    **dict.fromkeys(("e_seconds", "m_seconds", "predicted_e", "predicted_m"), optional(non_negative)),
    "verdict": optional(one_of(get_args(Verdict))),
    **dict.fromkeys(("scoped_vmem_kib", "honoured", "sites"), optional(natural)),
    "compiles": natural,
    "failure": optional(text),
}
