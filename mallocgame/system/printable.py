"""Text that a terminal shows and never obeys."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with a question mark for every character that is not printable: control codes, direction marks."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def one_line(error: object, most: int) -> str:
    """What an error says in one line of ``most`` characters at most; of a longer one, the middle is left out.

    What is wrong stands at the beginning of a message, what to do at its end.
    """
    text = " ".join(str(error).split())
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 5]} ... {text[-end:]}"
