"""The memory mapping game in plain Python: sites, moves and rewards; the rules are in ``mallocgame.game.rules``."""

from mallocgame.game.rules import Game, IllegalMoveError, Move, State

__all__ = ["Game", "IllegalMoveError", "Move", "State"]
