"""The process of a job: ``python -m mallocgame.batch.child_main PARENT TOKEN...``, a command that ends with PARENT."""

from __future__ import annotations

import sys

from mallocgame.processes import limit_child

if __name__ == "__main__":
    limit_child(int(sys.argv[1]))
    from mallocgame.cli import main

    main(sys.argv[2:])
