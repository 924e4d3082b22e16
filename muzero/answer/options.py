"""How to answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from muzero.search import SearchOptions


@dataclass(frozen=True)
class AnswerOptions:
    """Options of ``answer``.

    Attributes:
        time_limit: seconds from the call. What JAX compiles for a kind of rounds is not counted.
        max_episodes: after which to stop whatever the time; None for no limit. The same seed and lanes give the same
            plan then.
        seed: of all random choices.
        lanes: episodes played at once; in rounds of whole episodes of a large program fewer
            (``muzero.answer.answer.LANE_SITES``). More use the machine better, fewer are done sooner.
        search: of one in sixteen revisions; its temperature is not used.
        hottest: temperature of the last lane; they rise evenly from 0.
        learn_after: rounds of whole episodes after which the network learns on this one program, at each of them; None
            for never.
    """

    time_limit: float = inf
    max_episodes: int | None = None
    seed: int = 0
    lanes: int = 16
    search: SearchOptions = field(default_factory=SearchOptions)
    hottest: float = 1.0
    learn_after: int | None = 10

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: an option is out of range.
        """
        counts = (self.lanes, self.max_episodes, self.learn_after)
        if any(count is not None and count < 1 for count in counts):
            raise ValueError("lanes, max_episodes and learn_after have to be at least 1")
        if not self.hottest >= 0 or not self.time_limit >= 0:
            raise ValueError("time_limit and hottest cannot be negative")
