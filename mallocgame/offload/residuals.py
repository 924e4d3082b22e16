"""From a JAX program with named residuals to the offload problem: its tensors are the names, its moves the policy's.

JAX is imported here, and nothing is compiled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mallocgame.offload.blocks import Block, Policy, taken_over
from mallocgame.offload.jaxpr_costs import Program, Value, flatten, inner_jaxprs, live_bytes, seconds_of
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.problem import Near, OffloadProblem, Recipe, Step, Tensor, check_problem
from mallocgame.offload.program import Training
from mallocgame.offload.standing_in import following, policy
from mallocgame.offload.state import Traced, trace
from mallocgame.problem.chips import Link
from mallocgame.system.errors import BadInputError
from mallocgame.system.printable import one_line


@dataclass(frozen=True)
class Residuals:
    """What tracing a program has found.

    Attributes:
        problem: tensors are the named residuals that a backward pass reads.
        everywhere: whether no block is under ``mallocgame.policy``, so that all of the program are decided.
        idle: names for which it makes no difference what is decided, and why.
    """

    problem: OffloadProblem
    everywhere: bool
    idle: dict[str, str]


@dataclass(frozen=True)
class _Named:
    """What the blocks say of a name: how to make it again, what it is alike to, and why it may be idle."""

    recipe: Recipe | None
    alike: str
    idle: str


def read_residuals(training: Training, link: Link) -> Residuals:
    """The problem of a program, traced twice: to find its names, and with every one of them saved.

    A name that the backward pass does not need, or that lies in a loop, is no tensor: a plan leaves it to JAX. One that
    it needs at once is none either: a plan keeps it.

    Raises:
        BadInputError: the program cannot be traced, has no checkpointed block or no named residual.
    """
    name = training.name
    blocks: list[Block] = []

    def note(block: Block) -> Policy:
        blocks.append(block)
        return _saves_nothing

    with taken_over(note):
        _traced(training)
    if not blocks:
        raise BadInputError(f"{name}: no block is under jax.checkpoint; see docs/fit.md")
    everywhere = all(block.policy is not policy for block in blocks)
    blocks = [block for block in blocks if everywhere or block.policy is policy]
    names = dict.fromkeys(found for block in blocks for found in _names(block.jaxpr.jaxpr))
    with following(NamedMoves(dict.fromkeys(names, "keep")), everywhere):
        traced = _traced(training)
    try:
        named = _named(blocks, link)
        problem = _problem(flatten(traced.jaxpr, traced.donated), link, name, named)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        said = f"{type(error).__name__}: {one_line(error, 200)}"
        raise BadInputError(f"{name}: what its blocks compute cannot be read: {said}") from None
    if not problem.tensors and not problem.near:
        raise BadInputError(
            f"{name}: no named residual is kept for a backward pass; name some with checkpoint_name inside the blocks"
        )
    check_problem(problem)
    used = {tensor.decided_as for tensor in problem.tensors} | {near.name for near in problem.near}
    idle = {each: named[each].idle or "is an input of the program" for each in names if each not in used}
    idle |= {each: named[each].idle for each in used if named[each].idle == _BLOCK_INPUT}
    return Residuals(problem, everywhere, {each: idle[each] for each in names if each in idle})


_BLOCK_INPUT = "is the input of a block, which is kept unless it is offloaded"


def _saves_nothing(primitive: Any, *avals: Any, **parameters: Any) -> bool:
    return False


def _traced(training: Training) -> Traced:
    program, arguments, by_name = training.make()
    try:
        return trace(program, arguments, by_name)
    except Exception as error:
        said = f"{type(error).__name__}: {one_line(error, 400)}"
        raise BadInputError(f"{training.name}: cannot be traced: {said}") from None


def _names(jaxpr: Any) -> Iterator[str]:
    """The names given in a jaxpr, inner ones included."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "name":
            yield str(eqn.params["name"])
        for inner in inner_jaxprs(eqn.params):
            yield from _names(inner)


def _named(blocks: list[Block], link: Link) -> dict[str, _Named]:
    """By name, what it takes to make a residual again; no recipe where nothing is saved by that.

    That is what the block's backward pass takes longer when the name is not saved. All names of a block are needed
    at one time, when its backward pass starts, so that whatever a recipe reads is there.
    """
    found: dict[str, _Named] = {}
    known: dict[str, list[_Named]] = {}
    for block in blocks:
        names = list(_names(block.jaxpr.jaxpr))
        key = re.sub(r"name=\S+", "name", str(block.jaxpr))
        if key not in known:
            known[key] = list(_alike(block, names, link))
        found.update(zip(names, known[key], strict=True))
    return found


def _alike(block: Block, names: list[str], link: Link) -> Iterator[_Named]:
    """What each name of a block is, by its backward pass with all of them saved and with all but it."""
    whole, saved = _backward(block, names, link)
    results = {id(var) for var in block.jaxpr.jaxpr.outvars}
    given = {id(var) for var in block.jaxpr.jaxpr.invars}
    ways = {
        str(eqn.params["name"]): (id(eqn.invars[0]) in given, id(eqn.outvars[0]) in results)
        for eqn in block.jaxpr.jaxpr.eqns
        if eqn.primitive.name == "name"
    }
    for name in names:
        seconds, size = _backward(block, [other for other in names if other != name], link)
        recipe = Recipe(max(0.0, seconds - whole), ()) if size < saved else None
        is_input, is_result = ways.get(name, (False, False))
        if is_input:
            idle = _BLOCK_INPUT
        elif is_result:
            idle = "is the result of its block, whose backward pass does not read it"
        else:
            idle = "is read by no backward pass of its block"
        yield _Named(recipe, name, idle)


def _backward(block: Block, saved: list[str], link: Link) -> tuple[float, int]:
    """(seconds, bytes read) of a block's backward pass if these names are saved."""
    import jax

    checkpointed = jax.checkpoint(block.function, policy=jax.checkpoint_policies.save_only_these_names(*saved))

    def both(*arguments: Any) -> Any:
        result, back = jax.vjp(checkpointed, *arguments)
        return back(result)

    program = flatten(jax.make_jaxpr(both)(*block.arguments).jaxpr)
    passes = [operation for operation in program.operations if operation.backward]
    read = {value: value.size for operation in passes for value in operation.reads}
    return sum(seconds_of(operation, link) for operation in passes), sum(read.values())


def _problem(program: Program, link: Link, name: str, named: dict[str, _Named]) -> OffloadProblem:
    owners = _owners(program)
    made: dict[Value, int] = {}
    reads: dict[Value, list[int]] = {}
    for place, operation in enumerate(program.operations):
        for value in operation.writes:
            if value in owners:
                made.setdefault(owners[value][0], place)
        for value in (part for whole in operation.reads for part in whole.stored()):
            if value in owners:
                reads.setdefault(owners[value][0], []).append(place)
    backward = [place for place, operation in enumerate(program.operations) if operation.backward]
    step_of = _steps(len(program.operations), sorted(made.values()), backward)
    names = dict(owners.values())
    tensors: list[Tensor] = []
    near: dict[str, int] = {}
    decided: set[Value] = set()
    for residual, defined in sorted(made.items(), key=lambda item: item[1]):
        uses = reads.get(residual, [])
        first_back = next((place for place in uses if program.operations[place].backward), None)
        if first_back is None:
            continue
        before = max([place for place in uses if place < first_back], default=defined)
        gap = step_of[before], step_of[first_back]
        given = names[residual]
        if gap[0] + 2 > gap[1]:
            near[given] = near.get(given, 0) + residual.size
            continue
        label = f"{given}[{sum(tensor.decided_as == given for tensor in tensors)}]"
        last = step_of[max(uses)]
        tensors.append(
            Tensor(label, residual.size, step_of[defined], last, (gap,), named[given].recipe, decided_as=given)
        )
        decided.add(residual)
    excluded = frozenset(value for value, (residual, _) in owners.items() if residual in decided)
    live = live_bytes(program, excluded)
    count = step_of[-1] + 1
    seconds, others, labels = [0.0] * count, [0] * count, ["forward"] * count
    for place, operation in enumerate(program.operations):
        step = step_of[place]
        seconds[step] += seconds_of(operation, link)
        others[step] = max(others[step], live[place])
        if operation.backward:
            labels[step] = "backward"
        elif backward and place > backward[0]:
            labels[step] = "between" if place < backward[-1] else "after"
    steps = tuple(Step(f"{labels[step]} {step}", seconds[step], others[step]) for step in range(count))
    digest = hashlib.sha256(repr((name, link, steps, tensors)).encode()).hexdigest()[:16]
    decided_names = {tensor.decided_as for tensor in tensors}
    close = [
        Near(each, size, 0.0 if (recipe := named[each].recipe) is None else recipe.seconds)
        for each, size in near.items()
        if each not in decided_names
    ]
    alike = {each: about.alike for each, about in named.items()}
    return OffloadProblem(digest, name, link, steps, tuple(tensors), tuple(close), alike)


def _owners(program: Program) -> dict[Value, tuple[Value, str]]:
    """For each value that is a named residual or stands for one: (the residual, its name).

    A name stands for what it is given to, and so does JAX's reduce_precision of it. What the program is given as
    input is no residual, whatever its name: it is there all the time.
    """
    inputs = {part for value in program.inputs for part in value.stored()}
    found: dict[Value, tuple[Value, str]] = {}
    for operation in program.operations:
        if operation.kind not in ("name", "reduce_precision"):
            continue
        source = operation.reads[0]
        if operation.kind == "name" and not inputs.intersection(source.stored()):
            residual = found.get(source, (source, ""))[0]
            found[source] = found[operation.writes[0]] = residual, str(operation.parameters["name"])
        elif operation.kind == "reduce_precision" and source in found:
            found[operation.writes[0]] = found[source]
    return found


def _steps(count: int, cuts: list[int], backward: list[int]) -> list[int]:
    """The step of each operation: one ends with each residual that is made; each backward pass is one of its own."""
    ends = set(cuts) | set(backward) | {place - 1 for place in backward}
    found, step = [], 0
    for place in range(count):
        found.append(step)
        step += place in ends and place < count - 1
    return found
