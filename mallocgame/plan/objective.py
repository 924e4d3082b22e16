"""What a plan is to be quick under."""

from __future__ import annotations

from typing import Literal

Objective = Literal["E", "M", "both"]
"""One of the two cost models, or both at once, each relative to XLA's default."""
