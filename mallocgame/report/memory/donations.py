"""Which arguments are donated, and which of them the compiled program gives back as outputs."""

from __future__ import annotations

import re

_MAIN = re.compile(r"func\.func public @main\(")
_ARGUMENT = re.compile(r"(?:\A|, )%arg(\d{1,9}): ")
_DONATED = re.compile(r"\bjax\.buffer_donor = true\b|\btf\.aliasing_output = \d")


def asked_for(lowered: str) -> frozenset[int]:
    """Numbers of the parameters that StableHLO text marks as donated, by ``jax.jit(..., donate_argnums=)``.

    Those that JAX itself could not match with an output are not marked: it warns ("donated buffers were not usable")
    and forgets them. Empty for what is no such text.
    """
    start = _MAIN.search(lowered)
    if start is None:
        return frozenset()
    end = lowered.find("\n", start.end())
    pieces = _ARGUMENT.split(lowered[start.end() : end if end >= 0 else len(lowered)].partition(") -> ")[0])
    return frozenset(
        int(number) for number, text in zip(pieces[1::2], pieces[2::2], strict=True) if _DONATED.search(text)
    )
