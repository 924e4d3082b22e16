"""``mallocgame.optimize``: finds out what is asked for, looks into the cache, and searches."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from mallocgame.optimizer.answer import Optimized
from mallocgame.optimizer.search import search_file, search_program
from mallocgame.optimizer.settings import Settings
from mallocgame.optimizer.start import load_start
from mallocgame.optimizer.store import open_store
from mallocgame.plan.compiler_options import OptionValue
from mallocgame.plan.objective import Objective
from mallocgame.problem.given import Trips, given_of
from mallocgame.programs.file_program import file_program
from mallocgame.programs.program import Program, program_of
from mallocgame.system.errors import BadInputError
from mallocgame.system.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class _Task:
    """What is searched for.

    Attributes:
        digest: of the program.
        search: finds the answer, with a folder for its compiles.
    """

    digest: str
    search: Callable[[Path, Settings, Progress], Optimized]


def optimize(
    program: object,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    target: str | None = None,
    module: str | None = None,
    time_limit: float = 60.0,
    compiles: int = 8,
    compile_time: float | None = None,
    objective: Objective = "both",
    strict: bool = False,
    start_from: str | os.PathLike[str] | None = None,
    seed: int = 0,
    kernels: Mapping[str, float] | None = None,
    trips: Trips | None = None,
    compiler_options: Mapping[str, OptionValue] | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Optimized:
    """The best way to compile a program that the real compiler confirms, never worse than XLA's default.

    ::

        lowered = jax.jit(step).lower(*args)
        plan = mallocgame.optimize(lowered, time_limit=120)
        compiled = lowered.compile(compiler_options=plan.compiler_options)

    The search compiles in child processes, which touch no device and no program of this process. Its answer is kept
    under the program, the compiler's versions and these arguments: the same call is answered at once, in any process;
    another program or compiler is searched for anew. Ctrl-C gives the best so far, which is not kept.

    Args:
        program: one of: a ``jax.stages.Lowered`` or ``Traced``; a function, jitted or not, by ``jax.jit``,
            ``eqx.filter_jit`` or ``nnx.jit``; the path of a module of any framework
            (``mallocgame.compiler.module_file``); of a capture; of a dump folder with a program from before
            optimization; or of a dump folder without one, a problem file or a scheduled HLO text, of which nothing can
            be compiled, so that the answer is predicted and not confirmed.
        args: of a function: arrays, abstract arguments (``jax.ShapeDtypeStruct``), static ones.
        kwargs: likewise, those by name.
        target: e.g. ``"v5p"``; needed where neither lowering nor arguments say which TPU a function is for. A file that
            does not say is for ``mallocgame.problem.targets.DEFAULT_TARGET`` without, which is told.
        module: of a dump folder with several modules; None for the largest.
        time_limit: seconds of search; compiles come on top.
        compiles: how many beside that of XLA's default; other memory splits and refused ones count.
        compile_time: seconds that these may take in all, e.g. of a large program, whose compiles take minutes; None for
            no such bound. A compile that is foreseen to end later is not started, and a running one is ended.
        objective: what the answer is best under, of all programs that beat XLA's default: E, M, or both.
        strict: whether another memory split may not lose under M.
        start_from: an answer for another version of the compiler, or for the program before a change: a file that
            ``Optimized.save`` or ``mallocgame solve --solver auto --out`` wrote. What fits of it is compiled first.
        seed: of all random choices.
        kernels: seconds of Pallas kernels, by name, whatever else is known of them.
        trips: how often while loops run, by name, or one number for all of which nobody knows.
        compiler_options: that you compile with anyway; XLA's default and every candidate have them too, as they have
            those of ``jax.jit`` and of JAX's settings, and they are among the answer's. All of these are compiled with
            the flags of ``LIBTPU_INIT_ARGS``.
        cache: folder of answers; default ``$XDG_CACHE_HOME/mallocgame``, else ``~/.cache/mallocgame``. One
            that cannot be written is told in one line, and the search is done without.
        progress: called with one line at each step.

    Raises:
        BadInputError: the program cannot be used, is lowered for no TPU or for devices that cannot be described, an
            argument is out of range, or ``start_from`` is no answer, or one for another target.
        CompilerRefusedError: JAX or libtpu is missing, or the compiler refuses the program as it is.
        NoAnswerError: XLA's default does not compile within the limits of a child process.
        xla_dump_parser.ParseError: a given text is damaged.
    """
    start = None if start_from is None else load_start(start_from)
    settings = Settings(time_limit, compiles, compile_time, objective, strict, seed, given_of(kernels, trips), start)
    told = progress or silent
    task = _task(program, args, kwargs or {}, target, module, compiler_options, told)
    key = settings.key(task.digest)
    store = open_store(cache)
    found = store.find(key)
    if found is not None:
        return found
    with store.searching(key, told) as work:
        found = store.find(key)  # by another process, while this one waited
        if found is not None:
            return found
        started = monotonic()
        answer = task.search(work, settings, told)
        told(f"{answer} ({monotonic() - started:.0f} s)")
        if answer.status == "interrupted":
            return answer
        kept = store.keep(key, answer)
    if kept.file is not None:
        told(f"kept in {kept.file}")
    return kept


def _task(
    program: object,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    target: str | None,
    module: str | None,
    compiler_options: Mapping[str, OptionValue] | None,
    progress: Progress,
) -> _Task:
    if isinstance(program, str | os.PathLike):
        asked = file_program(Path(program), (*args, *kwargs), target, module, compiler_options, progress)
        if not isinstance(asked, Program):
            return _Task(asked.digest, partial(search_file, asked))
    elif module is not None:
        raise BadInputError("module= is for dump folders of several modules")
    else:
        asked = program_of(program, args, kwargs, target, compiler_options, progress)
    return _Task(asked.digest, partial(search_program, asked))
