"""From a JAX program with named residuals to the offload problem: its tensors are the names, its moves the policy's.

JAX is imported here, and nothing is compiled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mallocgame.offload.jaxpr_costs import Program, Value, flatten, inner_jaxprs, live_bytes, seconds_of
from mallocgame.offload.problem import OffloadProblem, Recipe, Step, Tensor, check_problem
from mallocgame.problem.chips import Link
from mallocgame.system.errors import BadInputError

Remat = Callable[[Callable[..., Any]], Callable[..., Any]]
Build = Callable[[Remat], tuple[Callable[..., Any], tuple[Any, ...]]]
"""A user's program: given what to wrap each block in, the step and its abstract arguments (docs/offload.md)."""


@dataclass(frozen=True)
class _Block:
    """One call of a block: the function, and its abstract arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: dict[str, Any]


def read_residuals(build: Build, link: Link, name: str) -> OffloadProblem:
    """The problem of a program: tensors are the named residuals that the backward pass reads.

    A name that the backward pass does not need, or that lies in a loop, is no tensor: a plan leaves it to JAX. One that
    it needs at once is none either: a plan keeps it.

    Raises:
        BadInputError: the program cannot be traced, has no named residual, or has a name twice.
    """
    import jax

    blocks: list[_Block] = []
    step, arguments = _built(build, _recorder(blocks), name)
    _traced(step, arguments, name)
    names = dict.fromkeys(found for block in blocks for found in _names(_block_jaxpr(block)))
    if not blocks:
        raise BadInputError(f"{name}: the builder puts its argument around no block; see docs/offload.md")
    policy = jax.checkpoint_policies.save_only_these_names(*names)
    step, arguments = _built(build, lambda block: jax.checkpoint(block, policy=policy), name)
    program = flatten(_traced(step, arguments, name))
    recipes = _recipes(blocks, link)
    problem = _problem(program, link, name, recipes)
    if not problem.tensors:
        raise BadInputError(
            f"{name}: no named residual is kept for a backward pass; name some with checkpoint_name inside the blocks"
        )
    check_problem(problem)
    return problem


def _built(build: Build, remat: Remat, name: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    try:
        step, arguments = build(remat)
    except Exception as error:
        raise BadInputError(f"{name}: {type(error).__name__}: {error}; see docs/offload.md for what it takes") from None
    return step, tuple(arguments)


def _traced(step: Callable[..., Any], arguments: tuple[Any, ...], name: str) -> Any:
    import jax

    try:
        return jax.make_jaxpr(step)(*arguments).jaxpr
    except Exception as error:
        raise BadInputError(f"{name}: cannot be traced: {type(error).__name__}: {error}") from None


def _recorder(blocks: list[_Block]) -> Remat:
    """A remat that changes nothing and notes each call's block and abstract arguments."""
    import jax

    shaped: Any = jax.ShapeDtypeStruct

    def abstract(leaf: Any) -> Any:
        return shaped(leaf.shape, leaf.dtype) if hasattr(leaf, "aval") else leaf

    def remat(block: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any, **named: Any) -> Any:
            blocks.append(_Block(block, *jax.tree.map(abstract, (arguments, named))))
            return block(*arguments, **named)

        return recorded

    return remat


def _block_jaxpr(block: _Block) -> Any:
    import jax

    return jax.make_jaxpr(lambda *arguments: block.function(*arguments, **block.named))(*block.arguments).jaxpr


def _names(jaxpr: Any) -> Iterator[str]:
    """The names given in a jaxpr, inner ones included."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "name":
            yield str(eqn.params["name"])
        for inner in inner_jaxprs(eqn.params):
            yield from _names(inner)


def _recipes(blocks: list[_Block], link: Link) -> dict[str, Recipe | None]:
    """By name, what it takes to make a residual again; None where nothing is saved by that.

    That is what the block's backward pass takes longer when the name is not saved. All names of a block are needed
    at one time, when its backward pass starts, so that whatever a recipe reads is there.
    """
    found: dict[str, Recipe | None] = {}
    known: dict[str, list[Recipe | None]] = {}
    for block in blocks:
        jaxpr = _block_jaxpr(block)
        names = list(_names(jaxpr))
        key = re.sub(r"name=\S+", "name", str(jaxpr))
        if key not in known:
            whole, saved = _backward(block, names, link)
            known[key] = []
            for name in names:
                seconds, size = _backward(block, [other for other in names if other != name], link)
                known[key].append(Recipe(max(0.0, seconds - whole), ()) if size < saved else None)
        found.update(zip(names, known[key], strict=True))
    return found


def _backward(block: _Block, saved: list[str], link: Link) -> tuple[float, int]:
    """(seconds, bytes read) of a block's backward pass if these names are saved."""
    import jax

    policy = jax.checkpoint_policies.save_only_these_names(*saved)
    checkpointed = jax.checkpoint(lambda *arguments: block.function(*arguments, **block.named), policy=policy)

    def both(*arguments: Any) -> Any:
        result, back = jax.vjp(checkpointed, *arguments)
        return back(result)

    program = flatten(jax.make_jaxpr(both)(*block.arguments).jaxpr)
    passes = [operation for operation in program.operations if operation.backward]
    read = {value: value.size for operation in passes for value in operation.reads}
    return sum(seconds_of(operation, link) for operation in passes), sum(read.values())


def _problem(program: Program, link: Link, name: str, recipes: dict[str, Recipe | None]) -> OffloadProblem:
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
    near: dict[str, None] = {}
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
            near[given] = None
            continue
        label = f"{given}[{sum(tensor.decided_as == given for tensor in tensors)}]"
        last = step_of[max(uses)]
        tensors.append(
            Tensor(label, residual.size, step_of[defined], last, (gap,), recipes.get(given), decided_as=given)
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
    return OffloadProblem(
        digest, name, link, steps, tuple(tensors), tuple(name for name in near if name not in decided_names)
    )


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
