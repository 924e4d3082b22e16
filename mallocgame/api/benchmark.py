"""The benchmark and its rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.api.arguments import PathLike
from mallocgame.system.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.bench.methods import Settings
    from mallocgame.bench.replay_row import Compared
    from mallocgame.bench.run import Outcome


def bench(
    workloads: Sequence[str] = (),
    targets: Sequence[str] = (),
    methods: Sequence[str] = (),
    solvers: Sequence[str] = (),
    *,
    settings: Settings | None = None,
    captures: PathLike = "out/captures",
    out: PathLike = "out/bench",
    progress: Progress | None = None,
) -> Outcome:
    """Run every method on every workload and target that has no row in ``out`` yet, and write rows and tables there.

    Rows are to be the same wherever they are replayed, so nothing here is compiled under the ``LIBTPU_INIT_ARGS`` of
    this process, which is told where it is set.

    Args:
        workloads: names; all of the benchmark if empty.
        targets: names; those of ``mallocgame.bench.selection`` if empty.
        methods: ``"xla default"``, ``"msa off"``, ``"flag tuning"``, ``"auto"``, solvers; if empty the first three and
            ``solvers``.
        solvers: more columns; ``"local"`` if both are empty.
        settings: seed, time limit and compiles.
        captures: folder of captures; missing ones are made.
        out: folder of ``rows.jsonl`` and the tables. Finished compiles are kept beside it, in ``compiles``.
        progress: called with one line at each step.

    Raises:
        BadInputError: an unknown name, a folder that cannot be used, rows or captures of other versions.
    """
    from mallocgame.bench.methods import Settings
    from mallocgame.bench.run import run
    from mallocgame.bench.selection import select
    from mallocgame.bench.store import CaptureStore
    from mallocgame.compiler.cache import CompileCache
    from mallocgame.plan.init_args import VARIABLE

    selection = select(workloads, targets, methods, solvers, settings or Settings())
    told = progress or silent
    if os.environ.get(VARIABLE, "").strip():
        told(f"{VARIABLE} is set; bench compiles without it, for rows are to be the same wherever they are replayed")
    cache = CompileCache(Path(out).parent / "compiles")
    return run(selection, CaptureStore(Path(captures)), cache, Path(out), told)


def replay(row: str, *, captures: PathLike = "out/captures", progress: Progress | None = None) -> Compared:
    """Compile a row of ``bench`` again, ``FILE:LINE``, and compare every figure to the last digit.

    Raises:
        BadInputError: there is no such row, or it is of other versions of jax, jaxlib or libtpu.
        CompilerRefusedError, NoAnswerError: as ``capture``.
    """
    from mallocgame.bench.replay_row import replay_row
    from mallocgame.bench.rows_file import read_row
    from mallocgame.bench.store import CaptureStore

    return replay_row(read_row(row), CaptureStore(Path(captures)), progress or silent)
