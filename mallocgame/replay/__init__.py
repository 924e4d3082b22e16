"""Judges plans: E and M of a plan or of a final HLO text, and what a final text says about placements."""

from mallocgame.replay.bound import relaxed_bound
from mallocgame.replay.final_replay import replay_final
from mallocgame.replay.plan_replay import replay_plan
from mallocgame.replay.read_back import FoundCopy, ReadBack, read_back
from mallocgame.replay.records import Flight, Model, Replay, Row

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
]
