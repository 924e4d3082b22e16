"""Options of the same name that several commands have for a program."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from mallocgame.problem.given import ALL_LOOPS
from mallocgame.problem.targets import DEFAULT_TARGET, TARGETS
from mallocgame.problem.trips import ASSUMED_TRIPS
from mallocgame.system.errors import BadInputError

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
        help="NAME=SECONDS: how long a kernel or a collective takes, by name of the instruction, with or without its "
        "number; again for others.",
    ),
]


TripCounts = Annotated[
    list[str] | None,
    Parameter(
        name="--trips",
        negative="",
        help=f"NAME=N: how often a while loop runs; N: all loops of which nobody knows, {ASSUMED_TRIPS} if not given; "
        "again for others.",
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


def trip_counts(trips: list[str] | None) -> dict[str, int]:
    """What ``--trips`` says, as ``mallocgame.problem.given.Given`` has it.

    Raises:
        BadInputError: it is neither NAME=N nor N.
    """
    found = {}
    for word in trips or ():
        name, equals, count = word.rpartition("=")
        if not (count.isascii() and count.isdigit() and len(count) < 20 and (name or not equals)):
            raise BadInputError(f"--trips {word}: has to be NAME=N or N, e.g. --trips while.3=100")
        found[name or ALL_LOOPS] = int(count)
    return found


def trace_on_the_cpu() -> None:
    """Tracing and lowering need no device: let JAX look for none in this process."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
