"""Text that a terminal shows and never obeys."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with a question mark for every character that is not printable: control codes, direction marks."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
