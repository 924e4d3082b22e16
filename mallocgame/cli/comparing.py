"""Options of the commands that hold a plan against XLA's default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Program = Annotated[
    Path | None, Parameter(help="What the plan was solved from, as solve takes it; the plan says where it was.")
]


Recompile = Annotated[
    bool,
    Parameter(negative="", help="Recompile first and show what the compiler makes of the plan; needs a capture."),
]


Compiles = Annotated[Path, Parameter(help="Folder of finished compiles, for --verify.")]
