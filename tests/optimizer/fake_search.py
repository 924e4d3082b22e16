"""``optimize`` with a compiler whose times are known; as a program, one of several processes that ask at once.

    python -m tests.optimizer.fake_search MODULE CACHE LOG

appends the process's id to LOG at each compile, and prints where the answer came from and its options.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.optimizer import optimize, search
from tests.optimizer.improve.fake import Fake

MODULE = """module @jit_step attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<8xf32> loc("x")) -> (tensor<8xf32>) {
    return %arg0 : tensor<8xf32> loc(#loc2)
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
#loc1 = loc("step.py":3:4 to :9)
#loc2 = loc("jit(step)"(#loc1))
"""


class Logged(Fake):
    """Tells a file who compiles, and takes long enough for others to come."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        return super().__call__(request, limits)


def main(module: str, cache: str, log: str) -> None:
    search.compile_in_child = Logged(Path(log))  # type: ignore[assignment]
    found = optimize(module, target="v5e", time_limit=0.3, compiles=2, cache=cache)
    print(json.dumps([found.from_cache, found.compiler_options]))


if __name__ == "__main__":
    main(*sys.argv[1:])
