"""How to choose a move."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Variant(Enum):
    """What a choice rests on. The values are the words of config files and of the command line.

    LEARNED_MODEL is MuZero: inside the tree the network's dynamics say what a move brings. EXACT_RULES uses the true
    rules there: dearer by a step of the environment and an observation each simulation, but never wrong about rewards,
    legality and the end. POLICY_ALONE evaluates the network once, without a tree.
    """

    LEARNED_MODEL = "learned-model"
    EXACT_RULES = "exact-rules"
    POLICY_ALONE = "policy-alone"


@dataclass(frozen=True)
class SearchOptions:
    """Options of ``search``. Hashable, so that they can be a static argument of a jitted function.

    Attributes:
        variant: see ``Variant``.
        simulations: nodes added to each tree. There are at most 3 moves, mostly 2, so 8 see what each move leads to and
            a little beyond; 16 to 32 are enough for training (Gumbel MuZero improves its policy from 2 on), 50 to 200
            pay where an answer has minutes. Time grows linearly, and memory as well: a node keeps its state.
        max_depth: decisions that a simulation looks ahead at most; None for no limit but ``simulations``. Under
            LEARNED_MODEL keep it near the number of steps that the model was unrolled in training (5 to 10): beyond
            that its errors add up.
        temperature: 0 takes the best move; 1 explores as in training: it scales the Gumbel noise at the root of a tree,
            or divides the logits of the policy alone. In between for many varied answers, e.g. 0.3 to 0.7.
        resolution: a difference between the values of two moves, as a share of what the problem has to give, that
            counts in full; smaller ones, which may be noise of the network, count in proportion.
    """

    variant: Variant = Variant.EXACT_RULES
    simulations: int = 16
    max_depth: int | None = None
    temperature: float = 1.0
    resolution: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: an option is out of range.
        """
        if self.simulations < 1 or (self.max_depth is not None and self.max_depth < 1):
            raise ValueError("simulations and max_depth have to be at least 1")
        if self.temperature < 0 or self.resolution <= 0:
            raise ValueError("temperature cannot be negative, and resolution has to be positive")
