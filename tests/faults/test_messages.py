"""Errors are one line of bounded length, whatever the input puts into them."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.system.errors import BadInputError, MallocgameError, NoAnswerError
from mallocgame.system.printable import one_line
from xla_dump_parser import ParseError


@pytest.mark.parametrize("kind", [MallocgameError, BadInputError, NoAnswerError])
def test_a_long_message_keeps_what_is_wrong_and_what_to_do(kind: type[MallocgameError]) -> None:
    told = str(kind(f"f.json: no tensor {'a' * 5000}; make the plan again"))
    assert told == f"f.json: no tensor {'a' * 644} ... {'a' * 312}; make the plan again"
    assert len(told) == 1000


def test_a_long_message_of_the_parser_too() -> None:
    error = ParseError("dump.txt", 3, 7, f"no computation {'b' * 5000}; is the text cut off?")
    assert error.message == f"no computation {'b' * 647} ... {'b' * 311}; is the text cut off?"
    assert str(error) == f"dump.txt:3:7: {error.message}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@given(st.text(max_size=3000), st.integers(30, 1000))
def test_any_text_is_one_line(text: str, most: int) -> None:
    told = one_line(text, most)
    assert len(told) <= most
    assert len(told.splitlines()) <= 1
    if len(text) <= most:
        assert told.split() == text.split()
    told = str(BadInputError(text))
    assert str(pickle.loads(pickle.dumps(BadInputError(text)))) == told
    assert len(told.splitlines()) <= 1
