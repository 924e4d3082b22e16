"""Judges plans: E and M of a plan or of a final HLO text, and what a final text says about placements."""

from mallocgame.replay.bound import relaxed_bound
from mallocgame.replay.plan_replay import replay_plan
from mallocgame.replay.records import Model, Replay, Row

__all__ = ["Model", "Replay", "Row", "relaxed_bound", "replay_plan"]
