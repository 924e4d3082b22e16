"""The command line: each command calls the function of the same name in ``mallocgame.api``.

Whatever module is in ``commands`` is a command.

stdout has the result, and with --json one JSON document; progress and errors go to stderr. Exit codes: 0 done, 1 a bug
of ours, 2 bad input, 3 no answer within the limits or not for all of several programs, 4 the compiler refused, 130
interrupted.
"""

from mallocgame.cli.run import main

__all__ = ["main"]
