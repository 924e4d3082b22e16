"""The child that reads kernels: ``python -m mallocgame.compiler.kernels.child_main PARENT``, modules on stdin.

Its input is a JSON list of modules in base64, its output a line for each: its digest and cost, as
``mallocgame.problem.costs.kernels.encode`` has it. A module that ends the child ends what comes after it too.
"""

from __future__ import annotations

import base64
import json
import sys

from mallocgame.compiler.kernels.read import read_kernel
from mallocgame.problem.costs.kernels import digest_of, encode
from mallocgame.system.processes import limit_child


def main(parent: int) -> int:
    limit_child(parent)
    for body in json.load(sys.stdin):
        try:
            cost = read_kernel(base64.b64decode(body))
        except Exception as error:  # of another format, or of operations that this JAX does not know
            print(f"{digest_of(body)}: {error}"[:500], file=sys.stderr, flush=True)
            continue
        print(encode({digest_of(body): cost}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
