"""The agent: MuZero on the memory game. Importing this package imports no JAX; its modules do."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "shipped.mga"
"""The trained agent that comes with the package."""
