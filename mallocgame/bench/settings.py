"""Compiler settings that users try by hand: memory splits, and the global flags of memory space assignment.

The flags and their ranges are those of public tuning recipes (xla-msa.md, section 7); libtpu 0.0.52 accepts each of
them. Defaults, by its log: 40 prefetches and 40 evictions outstanding, overlap ratios 1 / 2 / 8, 4 slices, 1
cross-program prefetch, freed early, inefficient-use ratio 0.5, 4 repacks, 2 retries, bandwidth factor 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.plan.compiler_options import SCOPED_VMEM
from mallocgame.problem.chips import CHIPS

Setting = tuple[str, str]
"""(option, value)."""

FLAGS: Mapping[str, tuple[str, ...]] = {
    "xla_msa_max_outstanding_prefetches": ("10", "96", "160", "320"),
    "xla_msa_max_outstanding_evictions": ("0", "10", "96", "320"),
    "xla_msa_min_overlap_to_async_copy_ratio": ("0.5", "0.75", "1.25", "1.5"),
    "xla_msa_preferred_overlap_to_async_copy_ratio": ("1", "1.5", "3", "5", "8"),
    "xla_msa_max_overlap_to_mem_size_async_copy_ratio": ("2", "4", "16", "32"),
    "xla_tpu_msa_inefficient_use_to_copy_ratio": ("0", "0.25", "0.75", "1"),
    "xla_tpu_async_copy_bandwidth_scaling_factor": ("0.25", "0.5", "0.75"),
    "xla_tpu_prefetch_interval_picker_size_override": ("1048576", "16777216"),
    "xla_tpu_sliced_prefetch_max_slices": ("0", "2", "8"),
    "xla_msa_max_cross_program_prefetches": ("0", "2", "4", "8"),
    "xla_msa_enable_cross_program_prefetch_freeing": ("false",),
    "xla_msa_enable_sync_copy_replacement": ("false",),
    "xla_msa_enable_sync_slice_replacement": ("false",),
    "xla_msa_enable_while_redundant_eviction_elimination": ("false",),
    "xla_tpu_enforce_prefetch_fifo_order": ("true",),
    "xla_msa_max_repacks": ("0", "10", "20"),
    "xla_msa_max_retries": ("0", "1", "5"),
}


def splits(target: str) -> list[Setting]:
    """One setting for each memory split that a target is tried with; none for CMEM targets.

    What CMEM's fusions leave is no fast memory, and more than the default gives the same program.
    """
    known = CHIPS[target].splits
    if known is None:
        return []
    return [(SCOPED_VMEM, str(kib)) for kib in sorted({*known.ladder, *known.by_hand} - {known.default})]


def flags() -> list[Setting]:
    """One setting for each value of each flag."""
    return [(option, value) for option, values in FLAGS.items() for value in values]
