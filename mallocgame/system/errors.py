"""Errors that end in one clear line for the user, and the exit codes that they map to."""

from __future__ import annotations

from mallocgame.system.printable import one_line

LONGEST = 1000
"""Characters of a message, whatever the input puts into it: a name may be as long as its file."""


class MallocgameError(Exception):
    """Base: the message says what is wrong and what to do, in one line of at most ``LONGEST`` characters."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, LONGEST))


class BadInputError(MallocgameError):
    """The input cannot be used: damaged, of another version, for another program, out of range."""

    exit_code = 2


class NotWrittenError(BadInputError):
    """The system did not take what was to be written: a disk is full or broken. Another time it may be taken."""

    exit_code = 5


class NoAnswerError(MallocgameError):
    """No answer within the limits of time, memory or compiles."""

    exit_code = 3


class CompilerRefusedError(MallocgameError):
    """The compiler refused the program or the options."""

    exit_code = 4
