"""A folder of captures: each workload on each target as XLA compiles it by default, made once and loaded after that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal

import workloads
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture, save_capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.child import Compile, Limits, compile_in_child
from mallocgame.compiler.versions import COMPILERS, installed_versions
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.problem.targets import get_target
from mallocgame.system.checked_json import mapping, read_json, record, text
from mallocgame.system.errors import BadInputError, MallocgameError
from mallocgame.system.files import write_atomically
from mallocgame.system.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["captured", "failed", "missing"]

_FORMAT = "mallocgame-failed-capture"
_MAX_BYTES = 1 << 16
_LOCATION = re.compile(r'\s*loc\((?:#loc\d*|unknown|"(?:[^"\\\n]|\\.)*"(?:\(#loc\d*\))?)\)')


class OtherVersionsError(BadInputError):
    """Made by another jax, jaxlib or libtpu than this environment has."""


class CaptureFailedError(MallocgameError):
    """The program does not compile for the target; the message is the compiler's reason."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one capture.

    Attributes:
        workload: its name.
        target: its name.
        state: of the capture now.
        reason: why it failed, or None.
    """

    workload: str
    target: str
    state: State
    reason: str | None = None


class CaptureStore:
    """The folder: ``NAME-TARGET.mgz``, ``NAME-TARGET-KIB.mgz`` for another memory split, ``...failed.json``."""

    def __init__(self, folder: Path, limits: Limits | None = None, compile: Compile = compile_in_child) -> None:
        """Use ``folder``, which is made when the first capture is; ``compile`` makes what is missing."""
        self.folder, self._limits, self._compile = folder, limits, compile

    def path(self, workload: str, target: str, scoped_vmem_kib: int | None = None) -> Path:
        """Where a capture is or would be."""
        split = "" if scoped_vmem_kib is None else f"-{scoped_vmem_kib}"
        return self.folder / f"{workload}-{target.replace(' ', '')}{split}.mgz"

    def get(self, workload: str, target: str, scoped_vmem_kib: int | None = None) -> Capture:
        """The stored capture, or a new one, which is stored. A failure is remembered and not tried again.

        Raises:
            BadInputError: unknown workload or target, or the folder or file cannot be used.
            OtherVersionsError: the stored one was made by other versions.
            CaptureFailedError: the program does not compile, now or when it was tried.
        """
        path = self.path(workload, target, scoped_vmem_kib)
        reference = _reference(workload)
        get_target(target)
        if path.exists():
            kept = load_capture(path)
            check_versions(kept.versions, str(path))
            return kept
        reason = self.failure(workload, target, scoped_vmem_kib)
        if reason is not None:
            raise CaptureFailedError(reason)
        self._make_folder()
        options = {} if scoped_vmem_kib is None else {SCOPED_VMEM: str(scoped_vmem_kib)}
        try:
            kept = capture(reference, None, target, options=options, limits=self._limits, compile=self._compile)
        except MallocgameError as error:
            self._fail(path, str(error))
            raise CaptureFailedError(str(error)) from None
        save_capture(kept, path)
        return kept

    def state(self, workload: str, target: str) -> State:
        """Whether the capture at the compiler's own split is there."""
        if self.path(workload, target).exists():
            return "captured"
        return "missing" if self.failure(workload, target) is None else "failed"

    def failure(self, workload: str, target: str, scoped_vmem_kib: int | None = None) -> str | None:
        """Why a capture could not be made by these versions; None where it was not tried, or was tried by others.

        Raises:
            BadInputError: the record is damaged.
        """
        path = _failed(self.path(workload, target, scoped_vmem_kib))
        if not path.exists():
            return None
        found = record(read_json(path, _MAX_BYTES), str(path), ("format", "versions", "reason"))
        versions = mapping(text)(found["versions"], f"{path}: versions")
        here = installed_versions()
        return text(found["reason"], f"{path}: reason") if versions == here else None

    def make_all(self, names: Sequence[str], targets: Sequence[str], progress: Progress) -> Iterator[Made]:
        """Make what is missing, one compile at a time; a failure does not stop the others.

        Raises:
            BadInputError: as ``get``.
        """
        wanted = [(name, target) for name in names for target in targets]
        todo = [pair for pair in wanted if self.state(*pair) == "missing"]
        progress(f"{len(wanted) - len(todo)} of {len(wanted)} captures are there or known to fail; {len(todo)} to make")
        started, done = monotonic(), 0
        for name, target in wanted:
            if (name, target) not in todo:
                yield Made(name, target, self.state(name, target), self.failure(name, target))
                continue
            progress(
                f"[{done + 1} of {len(todo)}] {name} for {target}{time_left(monotonic() - started, done, len(todo))}"
            )
            try:
                self.get(name, target)
                yield Made(name, target, "captured")
            except CaptureFailedError as error:
                progress(f"{name} for {target} failed: {error}")
                yield Made(name, target, "failed", str(error))
            done += 1

    def _fail(self, path: Path, reason: str) -> None:
        document = {"format": _FORMAT, "versions": installed_versions(), "reason": reason}
        write_atomically(_failed(path), json.dumps(document, indent=1).encode())

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"{self.folder}: cannot be made: {error.strerror}") from None


def check_versions(versions: Mapping[str, str], what: str) -> None:
    """Refuse what other versions made; ``what`` begins the message.

    Raises:
        OtherVersionsError: it was made by another jax, jaxlib or libtpu than this environment has.
    """
    here = installed_versions()
    if any(versions.get(name) != here[name] for name in COMPILERS):
        made = ", ".join(f"{name} {versions.get(name)}" for name in COMPILERS)
        has = ", ".join(f"{name} {here[name]}" for name in COMPILERS)
        needs = " ".join(f"{name}=={versions.get(name)}" for name in COMPILERS)
        raise OtherVersionsError(f"{what} was made by {made}, but here is {has}: pip install {needs}")


def module_sha256(lowered: str) -> str:
    """SHA-256 of a lowered module without its source locations, so that it is the same in every checkout."""
    lines = (_LOCATION.sub("", line) for line in lowered.splitlines() if not line.startswith("#loc"))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _reference(workload: str) -> str:
    try:
        return workloads.find(workload).reference
    except KeyError as error:
        raise BadInputError(error.args[0]) from None


def _failed(path: Path) -> Path:
    return path.with_suffix(".failed.json")


def time_left(seconds: float, done: int, wanted: int) -> str:
    """The end of a line of progress, where ``done`` of ``wanted`` took so many seconds; empty at the start."""
    return f"; about {seconds / done * (wanted - done) / 60:.0f} min left" if done else ""
