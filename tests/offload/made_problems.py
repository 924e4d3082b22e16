"""Random offload problems, and every plan of a small one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

from mallocgame.offload.plan import HostCopy, OffloadPlan, Remake
from mallocgame.offload.problem import OffloadProblem, Recipe, Step, Tensor, check_problem
from mallocgame.problem.chips import Link


def link(to_host: float = 1.0, from_host: float = 1.0, both: float = 2.0, exposed: float = 0.0) -> Link:
    return Link("made up", 1000, to_host, from_host, both, 1.0, 1.0, "tests", exposed)


def random_problem(seed: int, steps: int, tensors: int, both: float = 2.0) -> tuple[OffloadProblem, int]:
    """A problem with whole times and sizes, and a budget between what has to be there, less a byte or not, and all."""
    generator = random.Random(seed)
    made: list[Tensor] = []
    for number in range(tensors):
        first = generator.randrange(max(1, steps - 3))
        accesses = [first]
        while accesses[-1] + 2 < steps and (len(accesses) < 2 or generator.random() < 0.3):
            accesses.append(generator.randrange(accesses[-1] + 2, steps))
        gaps = tuple(itertools.pairwise(accesses))
        recipe = None
        if len(gaps) == 1 and generator.random() < 0.6:
            sources = [
                source
                for source, other in enumerate(made)
                if len(other.gaps) <= 1 and other.first < first and other.last >= gaps[0][1]
            ]
            inputs = tuple(source for source in sources if generator.random() < 0.5)
            recipe = Recipe(float(generator.randint(0, 6)), inputs)
        size = generator.randint(1, 8)
        last = generator.randint(accesses[-1], steps - 1)
        decided_as = ""
        if made and len(made[-1].gaps) == len(gaps) and generator.random() < 0.3:
            decided_as = made[-1].decided_as or f"with {number - 1}"
            made[-1] = replace(made[-1], decided_as=decided_as)
        made.append(Tensor(f"t{number}", size, first, last, gaps, recipe, decided_as))
    parts = tuple(Step(f"s{time}", float(generator.randint(0, 6)), generator.randint(0, 3)) for time in range(steps))
    problem = OffloadProblem(str(seed), f"random {seed}", link(both=both, exposed=seed % 3 / 4), parts, tuple(made))
    check_problem(problem)
    held = [
        (
            step.other_bytes + sum(tensor.size for tensor in made if tensor.first <= time <= tensor.last),
            sum(tensor.size for tensor in made if any(start < time < end for start, end in tensor.gaps)),
        )
        for time, step in enumerate(parts)
    ]
    least, most = max(all_ - away for all_, away in held), max(all_ for all_, _ in held)
    return problem, max(1, generator.randint(least - (seed % 5 == 0), most))


def all_plans(problem: OffloadProblem) -> Iterator[OffloadPlan]:
    """Every plan that could hold, in every order of issue of the copies."""
    options = [_tensor_options(number, tensor) for number, tensor in enumerate(problem.tensors)]
    for chosen in itertools.product(*options):
        moves = tuple(option[0] for option in chosen)
        remakes = tuple(sorted((r for option in chosen for r in option[2]), key=lambda r: (r.before, r.tensor)))
        copies = [copy for option in chosen for copy in option[1]]
        for order in itertools.permutations(copies):
            if all(one.after <= other.after for one, other in itertools.pairwise(order)):
                yield OffloadPlan(problem.fingerprint, moves, tuple(order), remakes)


def _tensor_options(number: int, tensor: Tensor) -> list[tuple[tuple[str, ...], list[HostCopy], list[Remake]]]:
    found = []
    for moves in itertools.product(
        ("keep", "offload", *(("recompute",) if tensor.recipe else ())), repeat=len(tensor.gaps)
    ):
        parts: list[list[tuple[list[HostCopy], list[Remake]]]] = []
        on_host = False
        for gap, ((start, end), move) in enumerate(zip(tensor.gaps, moves, strict=True)):
            if move == "keep":
                parts.append([([], [])])
            elif move == "recompute":
                parts.append([([], [Remake(number, before)]) for before in range(start + 1, end + 1)])
            else:
                ways = []
                for after, before in itertools.combinations(range(start + 1, end + 1), 2):
                    back = HostCopy(number, gap, "from host", after, before)
                    if on_host:
                        ways.append(([back], []))
                        continue
                    for issued, waited in itertools.combinations(range(start, after + 1), 2):
                        ways.append(([HostCopy(number, gap, "to host", issued, waited), back], []))
                parts.append(ways)
                on_host = True
        found += [
            (moves, [c for part in chosen for c in part[0]], [r for part in chosen for r in part[1]])
            for chosen in itertools.product(*parts)
        ]
    return found
