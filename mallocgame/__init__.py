"""Decides which tensor of an XLA program lives in fast memory, and hands the decision to the compiler as flags.

``mallocgame.api`` has the commands as functions; importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
