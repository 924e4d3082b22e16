"""The process that runs programs: ``python -m mallocgame.probe.child_main PARENT``.

One request a line comes by standard input, one answer a line goes by standard output, both JSON objects. JAX is
imported here, and libtpu or CUDA by it. What it takes to measure well is in here: no garbage collection while a clock
runs, the CPU device computes in the calling thread, arguments that are given away are copied before the clock starts.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from mallocgame.probe.runner import Runner
from mallocgame.system.errors import BadInputError, CompilerRefusedError, MallocgameError, NoAnswerError
from mallocgame.system.processes import limit_child

REQUESTS: Mapping[str, Callable[[Runner, dict[str, Any]], dict[str, Any]]] = {
    "find the device": lambda runner, request: runner.device(),
    "load": lambda runner, request: runner.load(request["programs"], request["seed"], request["inputs"]),
    "warm up": lambda runner, request: runner.warm_up(request["seconds"]),
    "measure": lambda runner, request: runner.measure(request["orders"], request["calls"], request["seconds"]),
    "measure memory": lambda runner, request: runner.measure_memory(request["seconds"], request["bytes"]),
    "profile": lambda runner, request: runner.profile(request["runs"]),
}
"""By name; arguments and answers are told at the methods of ``Runner``."""

KINDS: tuple[tuple[type[MallocgameError], str], ...] = (
    (BadInputError, "input"),
    (CompilerRefusedError, "compiler"),
    (NoAnswerError, "memory"),
)


def main() -> None:
    """Answer requests until there are no more."""
    limit_child(int(sys.argv[1]))
    gc.disable()
    with _only_answers() as answers:
        runner = Runner()
        for line in sys.stdin.buffer:
            request = json.loads(line)
            try:
                answer = REQUESTS[request["do"]](runner, request)
            except MallocgameError as error:
                kind = next((name for kind, name in KINDS if isinstance(error, kind)), "bug")
                answer = {"error": kind, "message": str(error)}
            answers.write(json.dumps(answer, allow_nan=False).encode() + b"\n")
            answers.flush()
            gc.collect()


def _only_answers() -> BinaryIO:
    """Standard output for the answers alone: what runtimes and programs print goes where errors go."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
