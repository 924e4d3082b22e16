"""What all commands have in common: the application, options of the same name, and where progress goes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import App, Parameter

import mallocgame
from mallocgame.problem.targets import DEFAULT_TARGET, TARGETS
from mallocgame.system.errors import BadInputError
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


Kernels = Annotated[
    list[str] | None,
    Parameter(
        name="--kernel",
        negative="",
        help="NAME=SECONDS: how long a kernel takes, by name of the instruction or of the kernel; again for others.",
    ),
]


def kernel_seconds(kernels: list[str] | None) -> dict[str, float]:
    """What ``--kernel`` says.

    Raises:
        BadInputError: it is not of the form NAME=SECONDS.
    """
    found = {}
    for word in kernels or ():
        name, equals, seconds = word.rpartition("=")
        try:
            found[name] = float(seconds)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise BadInputError(f"--kernel {word}: has to be NAME=SECONDS, e.g. --kernel my_kernel=0.0004")
    return found


def tell(line: str) -> None:
    """Progress, on stderr."""
    print(printable(line), file=sys.stderr, flush=True)


def trace_on_the_cpu() -> None:
    """Tracing and lowering need no device: let JAX look for none in this process."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
