"""A command in a process that ends with its parent: ``python -m mallocgame.child_command PARENT TOKEN...``."""

from __future__ import annotations

import sys

from mallocgame.processes import limit_child

if __name__ == "__main__":
    limit_child(int(sys.argv[1]))
    from mallocgame.cli import main

    main(sys.argv[2:])
