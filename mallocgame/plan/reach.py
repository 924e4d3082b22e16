"""For how long the compiler keeps a fast copy for the next use: one threshold for a whole program.

MSA keeps what it has in fast memory for the next use if that begins less than
``xla_msa_max_overlap_to_mem_size_async_copy_ratio`` x (seconds to copy the whole fast memory) after the use before it
is over, by its estimate with everything in HBM. Else it puts it into HBM, and a prefetch may bring it back for that
use. A pin is kept for good. Measured with libtpu 0.0.52: docs/expressibility.md, section "Reach".
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise
from math import sqrt

from mallocgame.plan.plan import Plan
from mallocgame.problem.costs.elapsed import m_elapsed
from mallocgame.problem.schema import Problem, Tensor

MARGIN = 1.1
"""A threshold is only put between gaps of which one is this much longer than the other."""


class Gaps:
    """The seconds between two times by MSA's estimate, in a program whose instructions call no computations.

    Of neither end: ``GetLogicalIntervalElapsed`` in OpenXLA's cost_analysis.cc.
    """

    def __init__(self, problem: Problem) -> None:
        target = problem.target
        spent = (
            0.0 if instruction.free else m_elapsed(target, instruction.compute_seconds, instruction.total_bytes)
            for instruction in problem.instructions
        )
        self._problem, self._until = problem, [0.0, *accumulate(spent)]
        self._whole = target.fast_bytes / target.hbm_bandwidth

    def share(self, start: int, end: int) -> float:
        """Between the instructions at ``start`` and at ``end``, in copies of the whole fast memory."""
        return (self._until[end] - self._until[start + 1]) / self._whole if start < end else 0.0

    def beyond(self, tensor: Tensor, reach: float | None, since: int | None) -> list[bool]:
        """Per use whether it is beyond reach of the one before that is no bitcast, which is none to the compiler.

        Args:
            tensor: of the program.
            reach: of a plan.
            since: time from which the first use counts, e.g. the definition's; None if that is never beyond reach.
        """
        far, before = [], since
        for use in tensor.uses:
            far.append(before is not None and is_far(self, reach, before, use.time))
            if self._problem.instructions[use.time].opcode != "bitcast":
                before = use.time
        return far


def is_far(gaps: Gaps, reach: float | None, start: int, end: int) -> bool:
    """Whether what is in fast memory at ``start`` is not kept for a use at ``end``."""
    return reach is not None and gaps.share(start, end) >= reach


def fitting_reach(problem: Problem, plan: Plan) -> float | None:
    """The reach under which XLA's own placement is told best; None where the default, to keep everything, is as good.

    Args:
        problem: a program.
        plan: XLA's placement of it, which the compiler has chosen with another reach: it copies again what it had no
            room to keep.
    """
    if problem.children:
        return None
    gaps = Gaps(problem)
    found = sorted(_neighbours(problem, plan, gaps))
    wrong = best = sum(size for _, size, apart in found if apart)  # what is copied again, with everything in reach
    reach = None
    for (shorter, _, _), (longer, size, apart) in reversed([*pairwise([(0.0, 0, False), *found])]):
        wrong += -size if apart else size
        if wrong < best and longer > MARGIN * shorter:
            best, reach = wrong, sqrt(shorter * longer) if shorter else longer / MARGIN
    return reach


def _neighbours(problem: Problem, plan: Plan, gaps: Gaps) -> Iterable[tuple[float, int, bool]]:
    """(gap, bytes, whether a copy lies between) of each two neighbouring uses, both fast, of tensors alone."""
    stays: dict[int, list[tuple[int, int]]] = {}
    for stay in plan.stays:
        stays.setdefault(stay.tensor, []).append((stay.start, stay.end))
    for tensor in problem.tensors:
        if tensor.id not in stays or len(problem.groups[tensor.group].tensors) > 1:
            continue
        for number, (one, other) in enumerate(pairwise(tensor.uses)):
            if (tensor.id, number) in plan.fast_uses and (tensor.id, number + 1) in plan.fast_uses:
                together = any(start <= one.time and other.time <= end for start, end in stays[tensor.id])
                yield gaps.share(one.time, other.time), tensor.size, not together
