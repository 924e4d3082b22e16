"""What all commands have in common: the application, options of the same name, and where progress goes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import App, Parameter

import mallocgame
from mallocgame.problem.targets import DEFAULT_TARGET, TARGETS
from mallocgame.system.printable import printable

app = App(
    name="mallocgame",
    help="Plan which tensor of an XLA program lives in a TPU's fast memory, and prove it with the real compiler.",
    version=mallocgame.__version__,
    help_format="plaintext",
)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]
Target = Annotated[
    str | None,
    Parameter(
        help=f"{', '.join(TARGETS)}, or a file of probe --calibrate. If not given, what the file says, else "
        f"{DEFAULT_TARGET}."
    ),
]
Module = Annotated[str | None, Parameter(help="Of a dump folder with several; the largest if not given.")]


def tell(line: str) -> None:
    """Progress, on stderr."""
    print(printable(line), file=sys.stderr, flush=True)


def trace_on_the_cpu() -> None:
    """Tracing and lowering need no device: let JAX look for none in this process."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
