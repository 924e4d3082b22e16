"""Text that a terminal shows and never obeys."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with a question mark for every character that is not printable: control codes, direction marks."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def one_line(error: object, most: int) -> str:
    """What an error says, of somebody else's, in one line of ``most`` characters at most."""
    return " ".join(str(error).split())[:most]
