"""Compiled programs are kept on the disk: an answer takes seconds, compiling for it half a minute."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax


def keep_compiled() -> None:
    """Have JAX keep what it compiles in the user's cache folder, unless it keeps it elsewhere already."""
    config: Any = jax.config
    if config.jax_compilation_cache_dir is None:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        config.update("jax_compilation_cache_dir", str(root / "mallocgame" / "compiled"))
