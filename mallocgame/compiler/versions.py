"""Versions of the installed compiler, found without importing it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

from mallocgame.system.errors import CompilerRefusedError

COMPILERS = ("jax", "jaxlib", "libtpu")
"""The packages whose versions decide what a compile gives."""


def installed_versions() -> dict[str, str]:
    """Versions of ``COMPILERS`` in this environment, without importing them.

    Raises:
        CompilerRefusedError: one is not installed.
    """
    try:
        return {name: metadata.version(name) for name in COMPILERS}
    except metadata.PackageNotFoundError as error:
        raise CompilerRefusedError(
            f"{error.name} is not installed; install the tpu extra: pip install 'mallocgame[tpu]'"
        ) from None


def versions_here() -> Mapping[str, str]:
    """Versions of the installed compiler; none where it is not installed."""
    try:
        return installed_versions()
    except CompilerRefusedError:
        return {}
