"""The process that runs programs, from its parent's side: it is asked, answers, and is dead when the block is left.

JAX lives there alone: a runtime of an accelerator can abort or hang, and holds the device as long as its process lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import IO, Any, NoReturn

from mallocgame.system.errors import BadInputError, CompilerRefusedError, MallocgameError, NoAnswerError
from mallocgame.system.processes import end_group, python_path, start_group

READ_BYTES = 1 << 16


class ProbeChild:
    """A measuring process. Use it in a ``with`` block."""

    def __enter__(self) -> ProbeChild:
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = start_group(
            [sys.executable, "-m", "mallocgame.probe.child_main", str(os.getpid())],
            env={**os.environ, "PYTHONPATH": python_path(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_group(self._process)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def ask(self, do: str, request: Mapping[str, Any] | None = None, *, seconds: float) -> dict[str, Any]:
        """The answer to one request.

        Args:
            do: name of a function of ``child_main.REQUESTS``.
            request: its arguments.
            seconds: how long it may take.

        Raises:
            BadInputError: a program or its inputs cannot be used.
            CompilerRefusedError: JAX is missing, the compiler refuses, or the process died.
            NoAnswerError: it took longer, or the device has no room.
        """
        text = json.dumps({"do": do, **(request or {})}) + "\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            self._raise_death()
        answer = json.loads(self._line(do, seconds))
        if "error" in answer:
            raise _ERRORS.get(answer["error"], MallocgameError)(answer["message"])
        assert isinstance(answer, dict)
        return answer

    def _line(self, do: str, seconds: float) -> bytes:
        """The next line that the child writes."""
        assert self._process.stdout is not None
        file, parts, deadline = self._process.stdout.fileno(), [], monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(file, selectors.EVENT_READ)
            while True:
                left = deadline - monotonic()
                if left <= 0 or not selector.select(left):
                    raise NoAnswerError(f"the measuring process took longer than {seconds:g} s to {do}")
                data = os.read(file, READ_BYTES)
                if not data:
                    self._raise_death()
                parts.append(data)
                if data.endswith(b"\n"):
                    return b"".join(parts)

    def _raise_death(self) -> NoReturn:
        code = self._process.wait()
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        said = lines[-1][:400] if lines else "it said nothing"
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        raise CompilerRefusedError(f"the measuring process {how}: {said}")


_ERRORS: Mapping[str, type[MallocgameError]] = {
    "input": BadInputError,
    "compiler": CompilerRefusedError,
    "memory": NoAnswerError,
}
