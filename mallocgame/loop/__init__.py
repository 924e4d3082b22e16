"""The compiler in the loop: programs are proposed, compiled, read back and learned from, within a budget."""

from mallocgame.loop.choice import Choice
from mallocgame.loop.driver import Improved, improve
from mallocgame.loop.programs import Candidate, Tried
from mallocgame.loop.proposers import PROPOSERS

__all__ = ["PROPOSERS", "Candidate", "Choice", "Improved", "Tried", "improve"]
