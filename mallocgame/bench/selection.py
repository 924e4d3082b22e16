"""What `mallocgame bench` runs by default, and the quick subset."""

from __future__ import annotations

from collections.abc import Sequence

import workloads
from mallocgame.bench.methods import WITHOUT, Settings, is_auto
from mallocgame.bench.rows import AUTO, FIXED_METHODS
from mallocgame.bench.run import Selection
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.optimizer.proposers.order import PROPOSERS
from mallocgame.problem.targets import get_target
from mallocgame.solvers import SOLVERS
from mallocgame.system.errors import BadInputError

TARGETS = ("v4 lite", "v5p")
"""One chip with CMEM, and one whose fast memory is what the fusions' windows leave of VMEM."""

QUICK = ("wide-mlp", "lstm", "heat", "sinkhorn", "gpt2-scan", "llama-decode-b1")
"""Six programs of six families that compile in a few seconds."""

QUICK_SETTINGS = Settings(time_limit=3.0, compiles=2)
SOLVER = "local"


def choose_settings(
    quick: bool, seed: int, time_limit: float | None, compiles: int | None, choice: Choice | None = None
) -> Settings:
    """What was asked for, and for the rest the defaults of a quick or a whole run."""
    default = QUICK_SETTINGS if quick else Settings()
    return Settings(
        seed=seed,
        time_limit=default.time_limit if time_limit is None else time_limit,
        compiles=default.compiles if compiles is None else compiles,
        choice=choice or default.choice,
    )


def select(
    names: Sequence[str], targets: Sequence[str], methods: Sequence[str], solvers: Sequence[str], settings: Settings
) -> Selection:
    """A checked selection; empty is the default: all workloads, ``TARGETS``, fixed methods and ``SOLVER``.

    Args:
        names: of workloads.
        targets: names.
        methods: of ``FIXED_METHODS``, ``"auto"``, ``"auto without PROPOSER"`` or solvers; no other column is run.
        solvers: columns beside these.
        settings: of the methods.

    Raises:
        BadInputError: an unknown name, or settings out of range.
    """
    chosen = (*(methods or FIXED_METHODS), *(solvers or (() if methods else (SOLVER,))))
    for method in chosen:
        if method not in FIXED_METHODS and method not in SOLVERS and not is_auto(method):
            known = (*FIXED_METHODS, AUTO, *SOLVERS, *(AUTO + WITHOUT + name for name in PROPOSERS))
            raise BadInputError(f"unknown method {method!r}; known: {', '.join(known)}")
    for name in names:
        if name not in workloads.names():
            raise BadInputError(f"unknown workload {name!r}; known: {', '.join(workloads.names())}")
    for target in targets:
        get_target(target)
    if settings.compiles < 1 or settings.seed < 0 or not 0 < settings.time_limit < float("inf"):
        raise BadInputError("compiles and time limit have to be positive, and the seed not negative")
    return Selection(
        workloads=tuple(dict.fromkeys(names)) or tuple(workload.name for workload in workloads.BENCHMARK),
        targets=tuple(dict.fromkeys(targets)) or TARGETS,
        methods=tuple(dict.fromkeys(chosen)),
        settings=settings,
    )
