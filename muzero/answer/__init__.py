"""At answer time: many episodes of one problem at once, the best of which is kept."""

from muzero.answer.answer import answer
from muzero.answer.options import AnswerOptions
from muzero.answer.record import Answer, Best

__all__ = ["Answer", "AnswerOptions", "Best", "answer"]
