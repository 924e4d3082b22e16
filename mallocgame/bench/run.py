"""Runs the benchmark: programs one at a time, each by every method, a row as soon as each is done."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from mallocgame.bench.methods import Program, Settings, program_of, run_method
from mallocgame.bench.rows import FIXED_METHODS, FLAG_TUNING, BenchRow
from mallocgame.bench.rows_file import RowsFile, open_rows
from mallocgame.bench.store import CaptureStore, time_left
from mallocgame.bench.tables import html, markdown
from mallocgame.compiler.child import Compile, Limits
from mallocgame.compiler.versions import COMPILERS, installed_versions
from mallocgame.system.errors import BadInputError, MallocgameError, NotWrittenError
from mallocgame.system.files import write_atomically
from mallocgame.system.printable import one_line
from mallocgame.system.progress import Progress, Stage, within
from mallocgame.system.version import __version__

ROWS, MARKDOWN, HTML = "rows.jsonl", "table.md", "table.html"


@dataclass(frozen=True)
class Selection:
    """What to run: every workload on every target by every method.

    Attributes:
        workloads: names of the catalogue.
        targets: names of targets.
        methods: ``FIXED_METHODS`` and names of solvers.
        settings: of the methods.
    """

    workloads: tuple[str, ...]
    targets: tuple[str, ...]
    methods: tuple[str, ...]
    settings: Settings

    def methods_in_order(self) -> tuple[str, ...]:
        """As they are run: flag tuning last, for it gets as many compiles as the solvers took."""
        return tuple(sorted(self.methods, key=lambda method: method == FLAG_TUNING))


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes:
        rows: of the file, those of earlier runs included.
        complete: whether all that was selected is there.
        folder: with rows and tables.
        made: how many rows this run has added.
    """

    rows: tuple[BenchRow, ...]
    complete: bool
    folder: Path
    made: int


def run(
    selection: Selection,
    store: CaptureStore,
    compile: Compile,
    out: Path,
    progress: Progress,
    limits: Limits | None = None,
) -> Outcome:
    """Add the rows that ``out`` does not have yet, and write the tables, also when interrupted.

    Raises:
        BadInputError: ``out`` cannot be used, or has rows of other options or versions; a stored capture is damaged
            or of other versions.
    """
    with open_rows(out / ROWS) as file:
        _check_same_run(selection, file)
        runner = _Runner(selection, store, compile, limits, file, progress)
        before = len(file.rows)
        try:
            runner.run()
        finally:
            complete = not runner.missing()
            rows = tuple(file.rows.values())
            write_atomically(out / MARKDOWN, markdown(rows, complete).encode())
            write_atomically(out / HTML, html(rows, complete).encode())
        return Outcome(rows, complete, out, len(rows) - before)


def _check_same_run(selection: Selection, file: RowsFile) -> None:
    """A table compares rows of one setting and one compiler only."""
    here = installed_versions()
    for row in file.rows.values():
        if any(row.versions.get(name) != here[name] for name in COMPILERS):
            made = ", ".join(f"{name} {row.versions.get(name)}" for name in COMPILERS)
            raise BadInputError(f"the folder has rows of {made}, which is not installed here; choose another --out")
        wanted = selection.settings.options(row.method)
        if row.method in selection.methods and row.seed == selection.settings.seed and dict(row.options) != wanted:
            raise BadInputError(
                f"the folder has rows of {row.method} with {dict(row.options)}, not {wanted}; choose another --out"
            )


@dataclass(frozen=True)
class _Runner:
    selection: Selection
    store: CaptureStore
    compile: Compile
    limits: Limits | None
    file: RowsFile
    progress: Progress

    def missing(self) -> list[tuple[str, str]]:
        """Programs that still lack a row."""
        return [
            (workload, target)
            for workload in self.selection.workloads
            for target in self.selection.targets
            if self._methods(workload, target)
        ]

    def run(self) -> None:
        missing = self.missing()
        total = len(self.selection.workloads) * len(self.selection.targets)
        started = monotonic()
        for done, (workload, target) in enumerate(missing):
            name = f"[{total - len(missing) + done + 1} of {total}] {workload} for {target}"
            self._program(workload, target, name, time_left(monotonic() - started, done, len(missing)))

    def _methods(self, workload: str, target: str) -> list[str]:
        """Those without a row."""
        seed = self.selection.settings.seed
        ordered = self.selection.methods_in_order()
        return [method for method in ordered if (workload, target, method, seed) not in self.file.rows]

    def _program(self, workload: str, target: str, name: str, left: str) -> None:
        methods = self._methods(workload, target)
        there = self.store.state(workload, target) == "captured"
        self.progress(Stage(f"{name}: {'loading its capture' if there else 'compiling'}{left}"))
        try:
            program = program_of(workload, self.store.get(workload, target))
        except BadInputError:
            raise
        except Exception as error:
            for method in methods:
                self._fail(workload, target, method, installed_versions(), error)
            return
        for method in methods:
            self._method(program, method, f"{name}: {method}")

    def _method(self, program: Program, method: str, name: str) -> None:
        self.progress(name)
        settings = self._settings(program, method)
        try:
            row = run_method(method, program, settings, self.compile, self.limits, within(name, self.progress))
            row = replace(row, options=self.selection.settings.options(method))
        except NotWrittenError:  # says nothing of the method: the next run tries it again
            raise
        except Exception as error:
            self._fail(program.workload, program.capture.target, method, program.capture.versions, error)
        else:
            self.progress(f"{name}: {row.verdict}")
            self.file.append(row)

    def _settings(self, program: Program, method: str) -> Settings:
        """Flag tuning gets as many compiles as the solver that took most on this program."""
        settings = self.selection.settings
        if method != FLAG_TUNING:
            return settings
        taken = [
            row.compiles
            for row in self.file.rows.values()
            if row.key == (program.workload, program.capture.target, row.method, settings.seed)
            and row.method not in FIXED_METHODS
        ]
        return replace(settings, compiles=max(taken)) if any(taken) else settings

    def _fail(self, workload: str, target: str, method: str, versions: Mapping[str, str], error: Exception) -> None:
        """A program or method that goes wrong in whatever way is a row, and the others go on."""
        kind = "" if isinstance(error, MallocgameError) else f"{type(error).__name__}: "
        reason = kind + one_line(error, 1000)
        self.progress(f"{workload} for {target}: {method}: no figures: {reason}")
        settings = self.selection.settings
        self.file.append(
            BenchRow(
                workload=workload,
                target=target,
                method=method,
                seed=settings.seed,
                options=settings.options(method),
                versions={"python": platform.python_version(), **versions, "mallocgame": __version__},
                failure=reason,
            )
        )
