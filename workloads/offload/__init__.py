"""Training steps whose residuals have names, for the offload game.

A program of the game is a function of one argument, ``remat``, that returns ``(step, args)`` as every workload does.
It puts ``remat`` around each block of its loss, and names the residuals in it with ``checkpoint_name``; every name is
given once. The game calls it with ``lambda block: block`` for XLA's default and with ``plan.remat`` for a plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Remat = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What a plan does to a block: wraps it in ``jax.checkpoint`` with the plan's policy, or leaves it alone."""
