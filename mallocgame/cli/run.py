"""Running a command: every error is one line on stderr and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import CycloptsError

from mallocgame.cli import commands
from mallocgame.cli.app import app
from mallocgame.cli.progress import tell
from mallocgame.system.errors import LONGEST, MallocgameError, NotWrittenError
from mallocgame.system.printable import one_line, printable

TRACEBACK = "MALLOCGAME_TRACEBACK"
"""Environment variable: a bug of ours shows where it happened, for a report."""
BUG, BAD_INPUT, NO_ANSWER, INTERRUPTED = 1, 2, 3, 130
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})
"""What the system answers when a disk is full, broken or read-only, or too much is open: no bug of ours."""


def load_commands(asked: str = "") -> None:
    """Import commands, which registers them with the application: the one that is asked for, else all."""
    names = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    for name in [asked] if asked in names else names:
        importlib.import_module(f"{commands.__name__}.{name}")


def main(tokens: Sequence[str] | None = None) -> NoReturn:
    """Run a command; every error is one line on stderr and an exit code."""
    arguments = list(sys.argv[1:] if tokens is None else tokens)
    load_commands(*arguments[:1])
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
        command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except CycloptsError as error:
        _fail(one_line(error, LONGEST) + " (see mallocgame --help)", BAD_INPUT)
    except MallocgameError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError:
        _fail("out of memory", NO_ANSWER)
    except OSError as error:
        if error.errno not in NO_ROOM:
            _fail_by_bug(error)
        _fail(f"{error.filename or 'the output'}: {error.strerror}", NotWrittenError.exit_code)
    except Exception as error:
        if _is_parse_error(error):
            _fail(str(error), BAD_INPUT)
        _fail_by_bug(error)
    sys.exit(0)


def _fail_by_bug(error: Exception) -> NoReturn:
    if os.environ.get(TRACEBACK):
        raise error
    _fail(
        f"unexpected {type(error).__name__}: {one_line(error, LONGEST)}; this is a bug: please report it with the "
        f"command, its input, and what {TRACEBACK}=1 shows",
        BUG,
    )


def _is_parse_error(error: Exception) -> bool:
    from xla_dump_parser import ParseError

    return isinstance(error, ParseError)


def _fail(message: str, code: int) -> NoReturn:
    tell.stop()
    print(f"mallocgame: error: {printable(message)}", file=sys.stderr, flush=True)
    sys.exit(code)
