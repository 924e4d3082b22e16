"""What ``optimize`` answers, and the file that keeps an answer; nothing in a file is trusted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

from mallocgame.compiler.export.formats import to_flags
from mallocgame.plan.answer_file import OPTIMIZED, Answer, answer_from_json, answer_to_json
from mallocgame.plan.compiler_options import OptionValue, decode_options, for_jax
from mallocgame.plan.init_args import decode_init_args
from mallocgame.plan.plan_file import MAX_FILE_BYTES
from mallocgame.plan.verdict import TOLERANCE, Kind, Verdict, verdict_words
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically

VERSION = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a program takes, by the two cost models of game.md, stalls included.

    Attributes:
        e_seconds: under E; None where the emitter's cycles are not known.
        m_seconds: under M.
    """

    e_seconds: float | None
    m_seconds: float


@dataclass(frozen=True)
class Optimized:
    """The best way to compile one program that was found, never worse than XLA's default by game.md's rule.

    Attributes:
        module: name of the HLO module.
        target: e.g. ``"v5p"``.
        program: 64 hex digits over the lowered module, its devices and the options it is compiled with anyway; over the
            file where a file was given that holds no module.
        fingerprint: of the schedule of XLA's default.
        versions: of jax, jaxlib and libtpu; empty where they are not installed.
        kind: what the answer is; ``"xla default"`` where nothing beats that.
        about: what the answer does, in a few words.
        options: compiler options of the answer, those the program is compiled with anyway included.
        default: XLA's default; None where the file has no figures of it.
        answer: the answer; the same as ``default`` where nothing beats that.
        verdict: of the answer against XLA's default: ``"better"``, ``"better under E"`` or ``"equal"``; None where it
            cannot be told.
        confirmed: whether the figures are of programs that the compiler made, and not predicted.
        status: why the search ended.
        compiles: how many it took.
        seconds: that it took, compiles included.
        notes: what a reader should know, one line each.
        init_args: words of ``LIBTPU_INIT_ARGS`` that the program is compiled with anyway.
        proof: the plan, or options, with what was confirmed, as ``mallocgame verify``, ``report``, ``explain`` and
            ``export`` take it from the file; None in files of before it was kept.
        file: where the cache keeps it; None where it is not kept.
        from_cache: whether it was there already.
    """

    module: str
    target: str
    program: str
    fingerprint: str
    versions: Mapping[str, str]
    kind: Kind
    about: str
    options: Mapping[str, str]
    default: Estimate | None
    answer: Estimate
    verdict: Verdict | None
    confirmed: bool
    status: str
    compiles: int
    seconds: float
    notes: tuple[str, ...] = ()
    init_args: tuple[str, ...] = ()
    proof: Answer | None = field(default=None, repr=False)
    file: Path | None = field(default=None, compare=False)
    from_cache: bool = field(default=False, compare=False)

    @property
    def compiler_options(self) -> dict[str, OptionValue]:
        """For ``lowered.compile(compiler_options=...)``; empty where XLA's default is best."""
        return for_jax(self.options)

    @property
    def saving(self) -> tuple[float | None, float | None]:
        """The shares of XLA's default that the answer saves under E and under M; None where one is not known."""
        if self.default is None:
            return None, None
        return (
            _saved(self.default.e_seconds, self.answer.e_seconds),
            _saved(self.default.m_seconds, self.answer.m_seconds),
        )

    def flags(self) -> str:
        """The same as one value of ``LIBTPU_INIT_ARGS``, to be set before libtpu is loaded.

        The flags that the program is compiled with anyway are in it; what JAX has settings for (``optimization_level``)
        is no flag, and has to be set as it is here.
        They then hold for every program of the process, and overrides find instructions by name: use this only where
        the process compiles this program alone.
        """
        return " ".join([*self.init_args, *filter(None, [to_flags(self.options)])])

    def check(
        self,
        program: object,
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        target: str | None = None,
        compiler_options: Mapping[str, OptionValue] | None = None,
    ) -> None:
        """Refuse to be used for another program or compiler; arguments as ``optimize``.

        Raises:
            BadInputError: the program is another, for other devices, with other options, or jaxlib or libtpu are of
                other versions than those that confirmed the answer.
        """
        from mallocgame.compiler.versions import versions_here
        from mallocgame.programs.program import program_of

        other = program_of(program, args, kwargs or {}, target, compiler_options)
        if other.target != self.target:
            raise BadInputError(f"the answer is for {self.target}, not for {other.target}; {_AGAIN}")
        if other.digest != self.program:
            raise BadInputError(
                f"the answer is for another program ({self.module} {self.program[:16]}, this is {other.module} "
                f"{other.digest[:16]}), or for other devices or options; {_FROM_IT}"
            )
        here = versions_here()
        for name in ("jaxlib", "libtpu"):
            if here.get(name) != self.versions.get(name):
                raise BadInputError(
                    f"the answer was found with {name} {self.versions.get(name)}, here is {here.get(name)}; {_FROM_IT}"
                )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the answer to a file, whole or not at all; ``load_optimized`` reads it.

        Raises:
            BadInputError: ``path`` cannot be written.
        """
        content = {name: value for name, value in asdict(replace(self, proof=None)).items() if name not in _NOT_KEPT}
        del content["proof"]
        if not self.init_args:
            del content["init_args"]
        text = json.dumps({"format": OPTIMIZED, "version": VERSION, **content}, allow_nan=False, indent=1)
        if self.proof is not None:  # on one line: it is long
            proof = json.dumps(answer_to_json(self.proof), allow_nan=False, separators=(",", ":"))
            text = text.removesuffix("\n}") + f',\n "proof": {proof}\n}}'
        write_atomically(path, (text + "\n").encode())

    def __str__(self) -> str:
        """One line for people."""
        how = "confirmed by the compiler" if self.confirmed else "predicted, not confirmed"
        begins = "interrupted, the best so far: " if self.status == "interrupted" else ""
        if self.kind == "xla default":
            return f"{begins}{self.module} for {self.target}: nothing beats XLA's default; {how}"
        figures = ", ".join(
            f"{model} {1e3 * seconds:.4g} ms" + (f" ({0 - saved:+.2%})" if saved is not None else "")
            for model, seconds, saved in zip(
                "EM", (self.answer.e_seconds, self.answer.m_seconds), self.saving, strict=True
            )
            if seconds is not None
        )
        verdict = verdict_words(self.verdict) or "not compared"
        return f"{begins}{self.module} for {self.target}: {self.about}: {figures}, {verdict}; {how}"


_AGAIN = "call mallocgame.optimize for it"
_FROM_IT = f"{_AGAIN}, with start_from= to begin with this answer"
_NOT_KEPT = ("file", "from_cache")
_TEXTS = ("module", "target", "program", "fingerprint", "about", "status")


def load_optimized(path: str | os.PathLike[str]) -> Optimized:
    """Read what ``Optimized.save`` wrote.

    Raises:
        BadInputError: it cannot be read, is damaged or of another version, or has options that read or write files.
    """
    value, source = checked.read_json(path, MAX_FILE_BYTES), str(path)
    names = tuple(entry.name for entry in fields(Optimized) if entry.name not in _NOT_KEPT)
    if not isinstance(value, dict) or value.get("format") != OPTIMIZED:
        raise BadInputError(f"{source}: not an answer of mallocgame.optimize")
    found = checked.record({"init_args": [], "proof": None, **value}, source, ("format", "version", *names))
    if found["version"] != VERSION:
        raise BadInputError(f"{source}: of version {str(found['version'])[:20]}; this mallocgame has {VERSION}")

    def read(name: str, decode: checked.Decoder[Any]) -> Any:
        return decode(found[name], f"{source}: {name}")

    default, answer = read("default", checked.optional(_estimate)), read("answer", _estimate)
    judged = read("verdict", checked.optional(checked.one_of(get_args(Verdict))))
    if judged == "better" and default is not None and answer.m_seconds > default.m_seconds * (1 + TOLERANCE):
        judged = "better under E"  # answers of before had one word for both
    return Optimized(
        **{name: read(name, checked.text) for name in _TEXTS},
        versions=read("versions", checked.mapping(checked.text)),
        kind=read("kind", checked.one_of(get_args(Kind))),
        options=read("options", decode_options),
        default=default,
        answer=answer,
        verdict=judged,
        confirmed=read("confirmed", checked.boolean),
        compiles=read("compiles", checked.natural),
        seconds=read("seconds", checked.non_negative),
        notes=read("notes", checked.each(checked.text)),
        init_args=read("init_args", decode_init_args),
        proof=read("proof", checked.optional(answer_from_json)),
    )


def _estimate(value: object, where: str) -> Estimate:
    found = checked.record(value, where, ("e_seconds", "m_seconds"))
    return Estimate(
        checked.optional(checked.non_negative)(found["e_seconds"], f"{where}.e_seconds"),
        checked.non_negative(found["m_seconds"], f"{where}.m_seconds"),
    )


def _saved(default: float | None, answer: float | None) -> float | None:
    return None if not default or answer is None else 1 - answer / default
