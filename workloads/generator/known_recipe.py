"""What a problem of known optimum is made of, and in which units."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

from mallocgame.problem.schema import Target
from workloads.generator.draft import ALIGNMENT

Kind = Literal["tiling", "copies", "loops", "cliques", "windows"]

KINDS: tuple[Kind, ...] = get_args(Kind)

UNIT = 4 * ALIGNMENT
"""Sizes in fast memory are multiples of this many bytes."""

HBM_BANDWIDTH = 2.0**30
READ_FACTOR = 32
WRITE_FACTOR = 16
"""How many times faster than HBM the fast memory is read and written."""


@dataclass(frozen=True)
class KnownRecipe:
    """What to make.

    Attributes:
        kind: the construction.
        steps: about how many leaf instructions.
        tensors: about how many alias groups compete for fast memory.
    """

    kind: Kind = "tiling"
    steps: int = 24
    tensors: int = 12


def varied_known_recipe(seed: int, largest: int = 40) -> KnownRecipe:
    """A recipe drawn by a seed: kinds in turn, every third one small enough for enumeration."""
    rng = random.Random(seed)
    tiny = rng.random() < 1 / 3
    return KnownRecipe(
        kind=KINDS[seed % len(KINDS)],
        steps=rng.randint(4, 8) if tiny else rng.randint(8, largest),
        tensors=rng.randint(2, 5) if tiny else rng.randint(4, max(4, largest // 2)),
    )


def target(units: int) -> Target:
    """A target with this many units of fast memory."""
    rates = (HBM_BANDWIDTH, READ_FACTOR * HBM_BANDWIDTH, WRITE_FACTOR * HBM_BANDWIDTH)
    return Target("toy", 1, units * UNIT, ALIGNMENT, *rates, 2.0**-30, 2**34)
