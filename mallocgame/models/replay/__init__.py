"""Judges plans: E and M of a plan or of a final HLO text, and what a final text says about placements."""

from mallocgame.models.replay.bound import relaxed_bound
from mallocgame.models.replay.final_replay import replay_final
from mallocgame.models.replay.plan_replay import replay_plan
from mallocgame.models.replay.read_back import FoundCopy, ReadBack, read_back
from mallocgame.models.replay.records import Flight, Model, Replay, Row
from mallocgame.models.replay.uncounted import uncounted_of_final, uncounted_of_plan

__all__ = [
    "Flight",
    "FoundCopy",
    "Model",
    "ReadBack",
    "Replay",
    "Row",
    "read_back",
    "relaxed_bound",
    "replay_final",
    "replay_plan",
    "uncounted_of_final",
    "uncounted_of_plan",
]
