"""Proposes global flags of memory space assignment on the best split: when plans have nothing more to offer."""

from __future__ import annotations

from mallocgame.optimizer.knowledge.candidates import Candidate
from mallocgame.optimizer.knowledge.knowledge import Knowledge
from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.plan.verdict import Kind

SETTINGS = (
    ("xla_tpu_async_copy_bandwidth_scaling_factor", "0.5"),
    ("xla_msa_max_outstanding_prefetches", "160"),
    ("xla_msa_max_repacks", "20"),
    ("xla_tpu_sliced_prefetch_max_slices", "0"),
    ("xla_msa_max_cross_program_prefetches", "0"),
    ("xla_tpu_msa_inefficient_use_to_copy_ratio", "0.25"),
)
"""In the order in which they are tried; the first two were flag tuning's only better answers on v4 lite."""


class Flags:
    """One setting after the other."""

    def __init__(self) -> None:
        self._next = 0

    def propose(self, known: Knowledge) -> Candidate | None:
        """XLA's own placement with another setting, at the split where that placement is best."""
        if known.plans_are_open() or self._next == len(SETTINGS):
            return None
        option, value = SETTINGS[self._next]
        self._next += 1
        base = min(known.bases, key=lambda base: known.choice.value(base.default))
        options = {option: value}
        kind: Kind = "global flags"
        about = f"{option}={value}"
        if base is not known.first:
            kind = "split"
            options[SCOPED_VMEM] = str(base.capture.scoped_vmem_kib)
            about += f" at {base.capture.scoped_vmem_kib} KiB"
        return Candidate("flags", kind, about, known.first, options)
