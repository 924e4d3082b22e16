"""A compiler that knows one program: whatever the options, it answers with the compile of a stored capture."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mallocgame.bench import run, store
from mallocgame.compiler import cache
from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture
from mallocgame.compiler.capturing import compiled_of
from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.versions import COMPILERS

STORED = Path(__file__).parent / "data" / "tiny-v4lite.mgz"
SECONDS = 2.5
PEAK = 3 * 2**29


@dataclass
class FakeCompiler:
    """Answers at once.

    Attributes:
        capture: what it knows.
        asked: the requests so far.
        wrong: what to raise, by the number of the request, from 1.
    """

    capture: Capture
    asked: list[Request] = field(default_factory=list)
    wrong: dict[int, BaseException] = field(default_factory=dict)

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        self.asked.append(request)
        if len(self.asked) in self.wrong:
            raise self.wrong[len(self.asked)]
        known = self.capture
        return replace(
            compiled_of(known),
            versions={name: known.versions[name] for name in ("python", "jax", "jaxlib", "libtpu")},
            seconds=SECONDS,
            peak_memory=PEAK,
        )


def pretend_versions(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    """Let this environment have these versions of jax, jaxlib and libtpu."""
    chosen = {name: versions[name] for name in COMPILERS}
    for module in (cache, store, run):
        monkeypatch.setattr(module, "installed_versions", lambda: chosen)


def stored() -> Capture:
    """The capture, whose problem is parsed only when asked for."""
    return load_capture(STORED)


def put(folder: Path, name: str) -> Path:
    """A copy of the capture in a store's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(STORED, folder / name))
