"""The judge of offload plans: whether a plan holds, and how long the program takes under it.

Written from docs/fit.md alone; it shares no code with the rules and the solvers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from mallocgame.offload.plan import Direction, HostCopy, OffloadPlan
from mallocgame.offload.problem import Move, OffloadProblem

CAUSES = (
    "other problem", "illegal move", "not decided together", "unknown tensor", "copy outside its gap",
    "missing copy", "needless copy", "copies overlap", "queue order", "missing recomputation",
    "needless recomputation", "input away", "over budget",
)  # fmt: skip
"""Why a plan does not hold."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a plan: one of CAUSES, and a line for people."""

    cause: str
    message: str


@dataclass(frozen=True)
class Judged:
    """What a plan that holds comes to.

    Attributes:
        seconds: of the program: steps, recomputation and stalls.
        stall: the part of it that waits for copies.
        recompute: the part of it that makes tensors again.
        peak: most bytes of device memory held in a step.
        to_host: bytes copied to the host.
        from_host: bytes copied back.
    """

    seconds: float
    stall: float
    recompute: float
    peak: int
    to_host: int
    from_host: int


def faults(problem: OffloadProblem, plan: OffloadPlan, budget: int) -> list[Fault]:
    """What is wrong with a plan; empty where it holds: every use finds its tensor, and no step is above the budget."""
    if plan.fingerprint != problem.fingerprint or len(plan.moves) != len(problem.tensors):
        return [Fault("other problem", "the plan is for another problem")]
    found = [*_wrong_moves(problem, plan)]
    if found:
        return found
    found = [*_wrong_copies(problem, plan), *_wrong_remakes(problem, plan)]
    if found:
        return found
    found = [*_inputs_away(problem, plan)]
    for time, held in enumerate(occupancy(problem, plan)):
        if held > budget:
            found.append(Fault("over budget", f"step {time} ({problem.steps[time].name}) holds {held} of {budget} B"))
    return found


def _wrong_moves(problem: OffloadProblem, plan: OffloadPlan) -> list[Fault]:
    found = []
    for tensor, moves in zip(problem.tensors, plan.moves, strict=True):
        legal = {"keep", "offload"} | ({"recompute"} if tensor.recipe is not None else set())
        if len(moves) != len(tensor.gaps) or not legal.issuperset(moves):
            found.append(Fault("illegal move", f"{tensor.name}: {', '.join(moves)} in {len(tensor.gaps)} gaps"))
    first: dict[str, tuple[Move, ...]] = {}
    for tensor, moves in zip(problem.tensors, plan.moves, strict=True):
        if tensor.decided_as and first.setdefault(tensor.decided_as, moves) != moves:
            found.append(Fault("not decided together", f"{tensor.name}: not the moves of others of its name"))
    count = len(problem.tensors)
    named = [copy.tensor for copy in plan.copies] + [remake.tensor for remake in plan.remakes]
    return found + [Fault("unknown tensor", f"tensor {each} of {count}") for each in named if not 0 <= each < count]


def _wrong_copies(problem: OffloadProblem, plan: OffloadPlan) -> list[Fault]:
    found = []
    by_site: dict[tuple[int, int, Direction], HostCopy] = {}
    last_issue = -1
    for copy in plan.copies:
        name = problem.tensors[copy.tensor].name
        if copy.after < last_issue:
            found.append(Fault("queue order", f"{name}: its copy is issued before one that stands before it"))
        last_issue = copy.after
        gaps = problem.tensors[copy.tensor].gaps
        if not 0 <= copy.gap < len(gaps) or (copy.tensor, copy.gap, copy.direction) in by_site:
            found.append(Fault("needless copy", f"{name}: gap {copy.gap}, {copy.direction}, is none or has one"))
            continue
        by_site[copy.tensor, copy.gap, copy.direction] = copy
        if plan.moves[copy.tensor][copy.gap] != "offload":
            found.append(Fault("needless copy", f"{name}: a copy in gap {copy.gap}, which does not offload it"))
        start, end = gaps[copy.gap]
        if not start <= copy.after < copy.before <= end:
            found.append(Fault("copy outside its gap", f"{name}: {copy.after} to {copy.before} in {start} to {end}"))
    for number, moves in enumerate(plan.moves):
        name = problem.tensors[number].name
        on_host = False
        for gap, move in enumerate(moves):
            there, back = by_site.get((number, gap, "to host")), by_site.get((number, gap, "from host"))
            if move != "offload":
                continue
            if back is None or (there is None and not on_host):
                found.append(Fault("missing copy", f"{name}: gap {gap} offloads it without copies"))
            elif there is not None and on_host:
                found.append(Fault("needless copy", f"{name}: gap {gap}, it is on the host already"))
            elif there is not None and back.after < there.before:
                found.append(Fault("copies overlap", f"{name}: copied back before it is known to be on the host"))
            elif there is None and back.after < problem.tensors[number].gaps[gap][0] + 1:
                found.append(Fault("copies overlap", f"{name}: copied back while it is still there"))
            on_host = True
    return found


def _wrong_remakes(problem: OffloadProblem, plan: OffloadPlan) -> list[Fault]:
    found = []
    made: set[int] = set()
    for remake in plan.remakes:
        tensor = problem.tensors[remake.tensor]
        if remake.tensor in made or plan.moves[remake.tensor] != ("recompute",):
            found.append(Fault("needless recomputation", f"{tensor.name}: before step {remake.before}"))
        elif not tensor.gaps[0][0] < remake.before <= tensor.gaps[0][1]:
            found.append(Fault("missing recomputation", f"{tensor.name}: before step {remake.before}, not in its gap"))
        made.add(remake.tensor)
    for number, moves in enumerate(plan.moves):
        if "recompute" in moves and number not in made:
            found.append(Fault("missing recomputation", f"{problem.tensors[number].name}: never made again"))
    return found


def _inputs_away(problem: OffloadProblem, plan: OffloadPlan) -> list[Fault]:
    found = []
    for remake in plan.remakes:
        tensor = problem.tensors[remake.tensor]
        for source in tensor.recipe.inputs if tensor.recipe is not None else ():
            other = problem.tensors[source]
            there = other.first < remake.before <= other.last
            for (start, end), move in zip(other.gaps, plan.moves[source], strict=True):
                if move != "keep" and start < remake.before < end:
                    there = there and _back(plan, source) <= remake.before
            if not there:
                found.append(Fault("input away", f"{tensor.name} before step {remake.before} needs {other.name}"))
    return found


def _back(plan: OffloadPlan, tensor: int) -> int:
    """The step before which a tensor of one gap is back."""
    copies = [copy.before for copy in plan.copies if copy.tensor == tensor and copy.direction == "from host"]
    return min([*copies, *(remake.before for remake in plan.remakes if remake.tensor == tensor)])


def occupancy(problem: OffloadProblem, plan: OffloadPlan) -> list[int]:
    """Bytes of device memory held in each step, copies on their way included."""
    remade = {remake.tensor: remake.before for remake in plan.remakes}
    windows = {(copy.tensor, copy.gap, copy.direction): copy for copy in plan.copies}
    held = [step.other_bytes for step in problem.steps]
    for number, tensor in enumerate(problem.tensors):
        away: set[int] = set()
        for gap, (start, _) in enumerate(tensor.gaps):
            move = plan.moves[number][gap]
            if move == "recompute":
                away.update(range(start + 1, remade[number]))
            elif move == "offload":
                there = windows.get((number, gap, "to host"))
                leaves = start + 1 if there is None else there.before
                away.update(range(leaves, windows[number, gap, "from host"].after + 1))
        for time in range(tensor.first, tensor.last + 1):
            if time not in away:
                held[time] += tensor.size
    return held


def replay(problem: OffloadProblem, plan: OffloadPlan) -> Judged:
    """How long the program takes under a plan that has no faults (the budget apart).

    Copies go on whatever the device does. Each direction serves its copies one after the other in the order of the
    plan; while both are busy they share the link: each has ``both`` in proportion to its own rate. In all, no less is
    waited than the link's exposed share of the copies' time.
    """
    clock, stall, recompute = 0.0, 0.0, 0.0
    traffic = _Traffic(problem)
    for time, step in enumerate(problem.steps):
        for copy in plan.copies:
            if copy.before == time:
                arrived = traffic.arrival(copy, clock)
                stall += max(0.0, arrived - clock)
                clock = max(clock, arrived)
        again = 0.0
        for remake in plan.remakes:
            recipe = problem.tensors[remake.tensor].recipe
            if remake.before == time and recipe is not None:
                again += recipe.seconds
        recompute += again
        clock += again + step.seconds
        for copy in plan.copies:
            if copy.after == time:
                traffic.issue(copy, clock)
    sizes = dict.fromkeys(("to host", "from host"), 0)
    for copy in plan.copies:
        sizes[copy.direction] += problem.tensors[copy.tensor].size
    link = problem.link
    exposed = link.exposed * (sizes["to host"] / link.to_host + sizes["from host"] / link.from_host)
    clock, stall = clock + max(0.0, exposed - stall), max(stall, exposed)
    peak = max(occupancy(problem, plan), default=0)
    return Judged(clock, stall, recompute, peak, sizes["to host"], sizes["from host"])


class _Traffic:
    """All copies so far, by the times at which they were issued."""

    def __init__(self, problem: OffloadProblem) -> None:
        self._problem = problem
        self._issued: list[tuple[float, HostCopy]] = []

    def issue(self, copy: HostCopy, time: float) -> None:
        """A copy joins its queue."""
        self._issued.append((time, copy))

    def arrival(self, wanted: HostCopy, now: float) -> float:
        """When a copy has arrived, if nothing more is issued before that: worked out from the beginning."""
        link = self._problem.link
        alone = {"to host": link.to_host, "from host": link.from_host}
        together = min(1.0, link.both / sum(alone.values()))
        waiting = {name: [(at, copy) for at, copy in self._issued if copy.direction == name] for name in alone}
        left = {name: self._bytes(queue) for name, queue in waiting.items()}
        time = 0.0
        while True:
            active = [name for name, queue in waiting.items() if queue and queue[0][0] <= time]
            coming = min((queue[0][0] for queue in waiting.values() if queue and queue[0][0] > time), default=inf)
            if not active:
                time = coming
                continue
            factor = together if len(active) == 2 else 1.0
            ends = {name: time + left[name] / (alone[name] * factor) for name in active}
            until = min(coming, *ends.values())
            for name in active:
                if ends[name] <= until:
                    copy = waiting[name].pop(0)[1]
                    if copy == wanted:
                        return until
                    left[name] = self._bytes(waiting[name])
                else:
                    left[name] -= (until - time) * alone[name] * factor
            time = until

    def _bytes(self, queue: list[tuple[float, HostCopy]]) -> float:
        return float(self._problem.tensors[queue[0][1].tensor].size) if queue else 0.0
