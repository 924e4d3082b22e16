"""Training of the agent."""

from __future__ import annotations

from pathlib import Path

from mallocgame.api.arguments import PathLike
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, silent


def train(
    config: PathLike, *, out: PathLike, resume: bool = False, progress: Progress | None = None
) -> dict[str, str | int]:
    """Train the agent by self-play, in this process: JAX is imported.

    Args:
        config: a TOML file, see ``muzero.training.config``.
        out: folder for checkpoints, metrics, the best episodes and the agent; made if missing.
        resume: go on from the newest whole checkpoint in ``out``; else there may be none.
        progress: called with one line an iteration.

    Returns:
        What was done: iterations, positions in the replay, folder.

    Raises:
        BadInputError: JAX or another package is missing, or the config, the folder or its checkpoints cannot be used.
        MallocgameError: a loss is not finite.
    """
    try:
        from muzero.precision import double_precision

        with double_precision():
            from muzero.answer.compiled import keep_compiled
            from muzero.training.config import load_config
            from muzero.training.train import train as run

            keep_compiled()
            job = run(load_config(config), Path(out), resume=resume, progress=progress or silent)
    except ModuleNotFoundError as error:
        raise BadInputError(f"training needs {error.name}: pip install 'mallocgame[train]'") from None
    return {
        "command": "train",
        "folder": str(out),
        "iterations": job.iteration,
        "updates": int(job.learner.updates),
        "positions": job.replay.positions,
    }
