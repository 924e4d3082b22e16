"""The application, and the option that all commands have."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

import mallocgame

app = App(
    name="mallocgame",
    help="Plan which tensor of an XLA program lives in a TPU's fast memory, and prove it with the real compiler.",
    version=mallocgame.__version__,
    help_format="plaintext",
)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]
