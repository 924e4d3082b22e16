"""The fixtures of the command line's tests."""

from tests.cli.conftest import program, run

__all__ = ["program", "run"]
