"""The compiler options that make the compiler carry out a plan."""

from __future__ import annotations

from collections.abc import Mapping

from mallocgame.export.order import blocks_of, fitting_order
from mallocgame.export.overrides import classify, sort_order_overrides, tensor_overrides
from mallocgame.named_plan import NamedPlan

TENSOR_OVERRIDES = "xla_tpu_msa_tensor_overrides"
SORT_ORDER = "xla_tpu_msa_sort_order_overrides"
SCOPED_VMEM = "xla_tpu_scoped_vmem_limit_kib"

GLOBAL_OPTIONS: Mapping[str, str] = {
    "xla_tpu_sliced_prefetch_max_slices": "0",
    "xla_msa_max_cross_program_prefetches": "0",
    "xla_msa_enable_sync_copy_replacement": "false",
    "xla_msa_enable_sync_slice_replacement": "false",
    "xla_msa_max_outstanding_prefetches": "1000000",
    "xla_msa_max_outstanding_evictions": "0",
    "xla_msa_min_overlap_to_async_copy_ratio": "1000000000",
    "xla_msa_preferred_overlap_to_async_copy_ratio": "1000000000",
    "xla_msa_max_overlap_to_mem_size_async_copy_ratio": "1000000000",
    "xla_tpu_msa_inefficient_use_to_copy_ratio": "0",
}
"""Options that keep memory space assignment from deciding anything by itself; docs/expressibility.md gives the reasons."""


def compiler_options(named: NamedPlan) -> dict[str, str]:
    """The compiler options for a plan, in a fixed order; nothing is compiled.

    Raises:
        BadInputError: the plan cannot be expressed; the message names the tensor.
    """
    groups = classify(named)
    options = dict(GLOBAL_OPTIONS)
    if named.scoped_vmem_kib is not None:
        options[SCOPED_VMEM] = str(named.scoped_vmem_kib)
    overrides = tensor_overrides(groups)
    if overrides:
        options[TENSOR_OVERRIDES] = overrides
    members = {tensors[0].group: tensors for tensors in (*groups.pinned, *groups.copied)}
    if members:
        blocks = blocks_of(
            named.plan.stays,
            [tensor.group for tensor in named.tensors],
            [tensor.size for tensor in named.tensors],
        )
        capacity = max((stay.offset + named.tensors[stay.tensor].size for stay in named.plan.stays), default=0)
        order, _ = fitting_order(blocks, capacity, _ALIGNMENT, named.seed)
        options[SORT_ORDER] = sort_order_overrides([members[block.group] for block in order if block.group in members])
    return options


_ALIGNMENT = 4096
"""Bytes; what MSA aligns to on every target (its Options in a compile log, libtpu 0.0.52)."""
