"""A command in a process that ends with its parent: ``python -m mallocgame.cli.child PARENT TOKEN...``."""

from __future__ import annotations

import sys

from mallocgame.system.processes import limit_child

if __name__ == "__main__":
    limit_child(int(sys.argv[1]))
    from mallocgame.cli import main

    main(sys.argv[2:])
