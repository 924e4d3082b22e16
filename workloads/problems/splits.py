"""The agent's split of the model families; the reasons are in docs/problems.md."""

from __future__ import annotations

from typing import Literal, get_args

from workloads.catalogue import BENCHMARK

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = get_args(Split)

QUOTAS: dict[Split, int] = {"train": 36, "validation": 10, "test": 14}
"""Problems of the shipped set."""

_VALIDATION = frozenset({"convnext", "t5", "wavenet", "graph network", "optimal transport", "policy gradient"})
_TEST = frozenset({"mobile convnet", "llama", "recurrent", "recommendation", "stencil", "alphatensor"})

FAMILIES = tuple(dict.fromkeys(workload.family for workload in BENCHMARK))
"""Of the benchmark, in the order of the catalogue."""


def split_of(family: str) -> Split:
    """The side that a family of the benchmark is on.

    Raises:
        KeyError: no such family.
    """
    if family not in FAMILIES:
        raise KeyError(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
    if family in _TEST:
        return "test"
    return "validation" if family in _VALIDATION else "train"
