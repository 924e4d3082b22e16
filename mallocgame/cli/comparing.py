"""Options of the commands that hold a plan against XLA's default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Program = Annotated[
    Path | None, Parameter(help="What the answer was solved from, as solve takes it; the answer says where it was.")
]


Recompile = Annotated[
    bool,
    Parameter(
        negative="",
        help="Compile first, show what the compiler makes of the answer now; needs a program to compile.",
    ),
]


Compiles = Annotated[Path | None, Parameter(help="Folder of finished compiles; the answer says which it was.")]
