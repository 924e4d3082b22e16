"""The compiler options that make the compiler carry out a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mallocgame.compiler.export.order import Block, Order, blocks_of, fitting_order, levels
from mallocgame.compiler.export.overrides import classify, sort_order_overrides, tensor_overrides
from mallocgame.plan.named_plan import NamedPlan, NamedTensor
from mallocgame.problem.evictions import OVERLAP_RATIO, PICKER_BYTES
from mallocgame.problem.targets import get_target

TENSOR_OVERRIDES = "xla_tpu_msa_tensor_overrides"
SORT_ORDER = "xla_tpu_msa_sort_order_overrides"
SCOPED_VMEM = "xla_tpu_scoped_vmem_limit_kib"
REACH = "xla_msa_max_overlap_to_mem_size_async_copy_ratio"
REPACKS = "xla_msa_max_repacks"

GLOBAL_OPTIONS: Mapping[str, str] = {
    "xla_tpu_sliced_prefetch_max_slices": "0",
    "xla_msa_max_cross_program_prefetches": "0",
    "xla_msa_enable_sync_copy_replacement": "false",
    "xla_msa_enable_sync_slice_replacement": "false",
    "xla_msa_max_outstanding_prefetches": "1000000",
    "xla_msa_max_outstanding_evictions": "1000000",
    "xla_msa_max_retries": "1",
    "xla_msa_min_overlap_to_async_copy_ratio": "1000000000",
    "xla_msa_preferred_overlap_to_async_copy_ratio": str(OVERLAP_RATIO),
    "xla_tpu_prefetch_interval_picker_size_override": str(PICKER_BYTES),
    REACH: "1000000000",
    "xla_tpu_msa_inefficient_use_to_copy_ratio": "0",
    "xla_tpu_memory_bound_loop_optimizer_options": "enabled:false",
}
"""Keep memory space assignment from deciding anything by itself; docs/expressibility.md gives the reasons."""


def compiler_options(named: NamedPlan, first: Sequence[int] = ()) -> dict[str, str]:
    """The compiler options for a plan, in a fixed order; nothing is compiled.

    Args:
        named: the plan.
        first: alias groups that the compiler is to allocate before all others.

    Raises:
        BadInputError: the plan cannot be expressed (InexpressibleError), or a name cannot be written.
    """
    groups = classify(named)
    options = dict(GLOBAL_OPTIONS)
    if named.scoped_vmem_kib is not None:
        options[SCOPED_VMEM] = str(named.scoped_vmem_kib)
    if named.plan.reach is not None:
        options[REACH] = repr(named.plan.reach)
    evicted = frozenset(copy.tensor for copy in named.plan.copies if copy.kind == "eviction")
    overrides = tensor_overrides(groups, evicted)
    if overrides:
        options[TENSOR_OVERRIDES] = overrides
    order = allocation_of(named, first)
    if not order.missed and not first:  # then all is well as foreseen, and a repack would move what has its place
        options[REPACKS] = "0"
    told = sort_order(named, order.told)
    if told:
        options[SORT_ORDER] = told
    return options


def sort_order(named: NamedPlan, blocks: Sequence[Block]) -> str:
    """The text of ``xla_tpu_msa_sort_order_overrides`` that has these blocks allocated first, in their order."""
    members: dict[int, list[NamedTensor]] = {}
    for tensor in named.tensors:
        members.setdefault(tensor.group, []).append(tensor)
    return sort_order_overrides(
        [tensor for block in level for tensor in members[block.group]] for level in levels(blocks)
    )


def allocation_of(named: NamedPlan, first: Sequence[int] = (), share: float = 1.0) -> Order:
    """An order in which the compiler's allocator is foreseen to find room for a plan, and what it finds none for.

    Args:
        named: the plan.
        first: groups that come before all others.
        share: below 1: of the fast memory that the plan takes so much may be taken, and no more.
    """
    target = get_target(named.target)
    used = max((stay.offset + named.tensors[stay.tensor].size for stay in named.plan.stays), default=0)
    kept = max((one.offset + one.size for one in named.reserved), default=0)
    whole = max(used, kept, target.fast_bytes if named.scoped_vmem_kib is None else 0)
    capacity = whole if share >= 1 else max(kept, int(share * used))
    blocks = blocks_of(named.plan, named.tensors)
    return fitting_order(
        blocks, capacity, target.alignment, first, named.seed, named.order, named.reserved, named.tiers
    )
