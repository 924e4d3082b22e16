"""What a random problem is made of."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What to make.

    Attributes:
        instructions: about how many leaf instructions.
        fast_bytes: size of fast memory; sizes of values are 256 to 8192 bytes, so this sets the contention.
        nesting: chance that a step is a while, conditional or call, at depth 0; a third at each further depth.
        aliasing: chance that an instruction updates an operand in place.
        awkward: chance that a value is fixed in HBM, and that a use is without prefetch.
        parameters: most entry parameters; these are what prefetches are for.
        invariants: most values that a loop reads without carrying them, and that a prefetch before it, or in its
            body, can serve.
        bitcasts: chance that a bitcast reads a value beside an instruction.
        two_cores: chance that two cores write what an instruction computes, so that it starts in HBM.
    """

    instructions: int = 20
    fast_bytes: int = 16384
    nesting: float = 0.15
    aliasing: float = 0.15
    awkward: float = 0.05
    parameters: int = 3
    invariants: int = 2
    bitcasts: float = 0.1
    two_cores: float = 0.0


def varied_recipe(seed: int, largest: int = 60) -> Recipe:
    """A recipe drawn by a seed: from tiny to ``largest`` instructions, from ample to scarce fast memory."""
    rng = random.Random(seed)
    return Recipe(
        instructions=rng.randint(2, largest),
        fast_bytes=rng.choice([2048, 5000, 8192, 16384, 65536]),
        nesting=rng.choice([0.0, 0.15, 0.3]),
        aliasing=rng.choice([0.0, 0.15, 0.4]),
        awkward=rng.choice([0.0, 0.05, 0.2]),
        parameters=rng.choice([3, 3, 12]),
    )


def tiny_recipe(seed: int) -> Recipe:
    """A recipe for problems that can be solved by enumeration."""
    rng = random.Random(seed)
    return Recipe(
        instructions=rng.randint(2, 7),
        fast_bytes=rng.choice([2048, 5000, 8192, 10000, 16384]),
        nesting=rng.choice([0.0, 0.15]),
        aliasing=rng.choice([0.0, 0.2]),
        awkward=0.03,
        parameters=rng.choice([2, 4, 6]),
        invariants=0,
        bitcasts=0.0,
    )
