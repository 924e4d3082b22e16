"""MSA's greedy, within our plan space: groups by priority, each placed for good before the next is looked at.

A group is pinned if it fits, an entry result until its eviction. Otherwise the uses of a tensor that can be prefetched
are served in program order: the copy of the use before is kept (NoCopy), else a prefetch is made, where there is space.
Differences to MSA: evictions of entry results alone, no limit on the length of a stay, and what makes the program
slower under M is taken back.
"""

from __future__ import annotations

from mallocgame.problem import priority
from mallocgame.solvers.base import Answer, Task, register
from mallocgame.solvers.builder import Builder


@register("greedy")
def solve(task: Task) -> Answer:
    """One pass over the groups; stops early where the time is up."""
    builder = Builder(task.problem)
    steps, status = 0, "feasible"
    for group in priority.order(task.problem):
        reason = task.stop_reason(steps)
        if reason is not None:
            status = reason
            break
        steps += 1
        if place(builder, group):
            task.improved(builder.total, steps)
    return Answer(builder.plan(), builder.board.timeline.exact_total(), status, steps)


def place(builder: Builder, group: int) -> bool:
    """Place a group that is in HBM, and commit; False, and no change, where nothing is gained."""
    before = builder.total
    if builder.pin(group):
        if builder.total < before:
            builder.commit()
            return True
        builder.rollback()
    served: set[int] = set()
    for number in builder.copyable(group):
        builder.clear(group)
        if builder.fetch(group, {*served, number}) and builder.total < before:
            before = builder.total
            served.add(number)
            builder.commit()
        else:
            builder.rollback()
    return bool(served)
