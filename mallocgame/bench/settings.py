"""Compiler settings that users try by hand: memory splits, and the global flags of memory space assignment.

The flags and their ranges are those of public tuning recipes (xla-msa.md, section 7); libtpu 0.0.52 accepts each of
them. Defaults, by its log: 40 prefetches and 40 evictions outstanding, overlap ratios 1 / 2 / 8, 4 slices, 1
cross-program prefetch, freed early, inefficient-use ratio 0.5, 4 repacks, 2 retries, bandwidth factor 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.compiler.capture import SCOPED_VMEM

Setting = tuple[str, str]
"""(option, value)."""

SPLITS: Mapping[str, tuple[int, ...]] = {
    "v5e": (8192, 24576, 32768, 49152, 65536, 98304),
    "v5p": (8192, 12288, 24576, 32768, 40960, 49152),
    "v6e": (16384, 24576, 49152, 65536, 81920, 98304),
    "tpu7x": (16384, 24576, 40960, 49152, 57344),
}
"""KiB of VMEM for the windows of fusions, by target. The default is 16384 on v5e and v5p, 32768 on v6e and tpu7x, of
131072, 65472, 131008 and 65472 in all. CMEM targets have none: what their fusions leave is no fast memory, and
more than the default gives the same program."""

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
    """One setting for each memory split that a target is tried with; none for CMEM targets."""
    return [(SCOPED_VMEM, str(kib)) for kib in SPLITS.get(target, ())]


def flags() -> list[Setting]:
    """One setting for each value of each flag."""
    return [(option, value) for option, values in FLAGS.items() for value in values]
