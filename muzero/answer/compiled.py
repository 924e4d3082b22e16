"""Compiled programs are kept on the disk: an answer takes seconds, compiling for it half a minute."""

from __future__ import annotations

from typing import Any

import jax

from mallocgame.system.files import cache_folder


def keep_compiled() -> None:
    """Have JAX keep what it compiles in the user's cache folder, unless it keeps it elsewhere already."""
    config: Any = jax.config
    if config.jax_compilation_cache_dir is None:
        config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
