"""The agent: MuZero on the memory game. Importing this package imports no JAX; its modules do."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parent / "data" / "agent.mga"
"""The trained agent that comes with the package; beside it its config (.toml) and its training's curve (.jsonl)."""
