"""``memory``."""

from __future__ import annotations

from pathlib import Path

from mallocgame.cli.answers.remembered import lines, of_memory
from mallocgame.cli.app import Json, app
from mallocgame.cli.options import Module, Target
from mallocgame.cli.progress import tell
from mallocgame.cli.show import show


@app.command
def memory(file: Path, /, *, target: Target = None, module: Module = None, json: Json = False) -> None:
    """What fills each memory, whether it fits, what is live at the peak, and what to do about it.

    Takes what solve takes, and compile logs and error messages of programs that ran out of memory. Of a program that
    does not fit it tells what its compile left behind.
    """
    from mallocgame import api

    show(of_memory(api.memory(file, target=target, module=module, progress=tell)), lines, json)
