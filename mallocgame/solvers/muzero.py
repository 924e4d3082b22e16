"""The trained agent of ``muzero``: many episodes at once, of the policy alone and then with search; the best counts.

``MALLOCGAME_AGENT`` names the file of another agent than the one that is shipped, e.g. of ``mallocgame train``. What
JAX has to compile takes half a minute more at the first answer for a size of programs; it is kept for later ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from mallocgame.plan.plan import Plan
from mallocgame.solvers import xla
from mallocgame.solvers.base import Answer, Task, register
from mallocgame.system.errors import BadInputError, NoAnswerError
from muzero import SHIPPED

AGENT = "MALLOCGAME_AGENT"
"""Environment variable: another agent's file than the shipped one; empty for no agent at all."""


@register("muzero")
def solve(task: Task) -> Answer:
    """Play until the task says stop; a step is an episode.

    Raises:
        BadInputError: JAX, flax or mctx are not installed, there is no agent, another objective than M or groups that
            have to be in HBM are asked for, or the problem is too large.
    """
    if task.objective != "M":
        raise BadInputError("the solver muzero knows model M only: leave --objective out, or use local")
    if task.barred:
        raise BadInputError("the solver muzero cannot be told what has to be in HBM: use local")
    try:
        from muzero.precision import double_precision

        with double_precision():
            return _play(task)
    except ImportError as error:
        raise BadInputError(
            f"the solver muzero needs {error.name}, which is not installed: pip install 'mallocgame[train]'"
        ) from None


def agent_path() -> Path | None:
    """The agent's file; None where there is none."""
    named = os.environ.get(AGENT)
    if named is None:
        return SHIPPED if SHIPPED.exists() else None
    return Path(named) if named else None


def _known(task: Task) -> list[Plan]:
    """XLA's own placement, where there is one."""
    if task.default is None and task.final is None:
        return []
    try:
        return [xla.solve(task).plan]
    except NoAnswerError:
        return []


def _play(task: Task) -> Answer:
    from muzero.agent_file import load_agent
    from muzero.answer import AnswerOptions, answer
    from muzero.answer.compiled import keep_compiled

    path = agent_path()
    if path is None:
        raise BadInputError(f"no trained agent is shipped: train one, and set {AGENT} to its file")
    agent = load_agent(path)
    keep_compiled()
    options = AnswerOptions(
        time_limit=max(0.0, task.started + task.time_limit - monotonic()), max_episodes=task.max_steps, seed=task.seed
    )
    found = answer(task.problem, agent, options, task.improved, _known(task))
    return Answer(found.plan, found.seconds, found.status, found.episodes)
