"""Optimizer state and parameters in host memory: what a step is given and gives back has a memory kind.

State is what a step donates and gives back in the same shapes. It is copied in at each step and out again, in the
step's own time, and frees its size for all of the rest. It moves in *leaf groups*: the fields of a named tuple or
dataclass, such as Adam's ``mu`` and ``nu``; the entries of dictionaries, also of those inside, that are alike and have
most of an argument, such as ``{"params", "mu", "nu"}``; else a whole argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mallocgame.offload.jaxpr_costs import size_of
from mallocgame.offload.policy import HOST
from mallocgame.system.errors import BadInputError

LEAST_BYTES = 2**16
"""Groups of less are left where they are."""


@dataclass(frozen=True)
class Group:
    """Leaves that live in one memory.

    Attributes:
        name: number of the argument, and the path in it, e.g. ``1[0].mu``.
        size: bytes of them.
        leaves: their numbers among all leaves of the arguments.
        results: the leaf of the results that takes the place of each.
    """

    name: str
    size: int
    leaves: tuple[int, ...]
    results: tuple[int, ...]


@dataclass(frozen=True)
class Traced:
    """A step, traced: its jaxpr, and for each leaf of its arguments whether it is donated.

    Attributes:
        jaxpr: open.
        donated: by leaf of the arguments.
        results: abstract ones.
    """

    jaxpr: Any
    donated: tuple[bool, ...]
    results: Any


def trace(program: Any, arguments: Sequence[Any], by_name: Mapping[str, Any]) -> Traced:
    """Trace a step; errors of its code come as they are."""
    import jax

    if isinstance(program, jax.stages.Traced):
        traced: Any = program
    else:
        traced = (program if hasattr(program, "trace") else jax.jit(program)).trace(*arguments, **by_name)
    described = jax.tree.leaves(traced.args_info, is_leaf=lambda each: hasattr(each, "donated"))
    return Traced(traced.jaxpr.jaxpr, tuple(bool(each.donated) for each in described), traced.out_info)


def groups_of(program: Any, arguments: Sequence[Any], by_name: Mapping[str, Any]) -> tuple[Group, ...]:
    """The leaf groups that may live on the host; none of a program that donates nothing.

    The first of the arguments comes last, for it is read most often: the weights. The others are sorted by size.
    """
    import jax

    if not arguments or by_name:
        return ()
    traced = trace(program, arguments, by_name)
    results = traced.results if isinstance(traced.results, tuple) else (traced.results,)
    first_of = [0]
    for result in results:
        first_of.append(first_of[-1] + len(jax.tree.leaves(result)))
    taken: set[int] = set()
    found: dict[str, list[tuple[int, int, int]]] = {}
    number = 0
    for at, argument in enumerate(arguments):
        leaves = jax.tree_util.tree_leaves_with_path(argument)
        mine = range(number, number + len(leaves))
        number += len(leaves)
        if not leaves or len(traced.donated) < number or not all(traced.donated[place] for place in mine):
            continue
        back = (place for place, result in enumerate(results) if place not in taken and _shapes(result, argument))
        result = next(back, None)
        if result is None:
            continue
        taken.add(result)
        for place, ((_, leaf), group) in enumerate(zip(leaves, _groups(leaves), strict=True)):
            found.setdefault(f"{at}{group}", []).append((mine[place], first_of[result] + place, size_of(leaf)))
    groups = [
        Group(
            name, sum(size for _, _, size in each), tuple(one for one, _, _ in each), tuple(two for _, two, _ in each)
        )
        for name, each in found.items()
    ]
    large = [group for group in groups if group.size >= LEAST_BYTES]
    return (*sorted(large[1:], key=lambda group: -group.size), *large[:1])


def _shapes(one: Any, other: Any) -> bool:
    """Whether two trees have the same structure, shapes and element types."""
    import jax

    leaves, others = jax.tree.leaves(one), jax.tree.leaves(other)
    trees: list[Any] = [jax.tree.structure(one), jax.tree.structure(other)]
    return bool(
        trees[0] == trees[1]
        and all((a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(leaves, others, strict=True))
    )


Path = tuple[Any, ...]


def _groups(leaves: Sequence[tuple[Path, Any]]) -> list[str]:
    """For each leaf of an argument the path of its group, as text."""
    import jax

    inside = {path[:depth]: set[Any]() for path, _ in leaves for depth in range(len(path))}
    for path, _ in leaves:
        for depth in range(len(path)):
            inside[path[:depth]].add(path[depth])
    paths = []
    for path, _ in leaves:
        end = len(path)
        while end and isinstance(path[end - 1], jax.tree_util.GetAttrKey) and len(inside[path[: end - 1]]) == 1:
            end -= 1  # around one value, as flax's variables are
        paths.append(path[:end])
    alike = _alike_entries(paths, [leaf for _, leaf in leaves])
    above = {path[:depth] for path in alike for depth in range(len(path))}
    found = []
    for path in paths:
        fields = [depth for depth, key in enumerate(path, 1) if isinstance(key, jax.tree_util.GetAttrKey)]
        apart = (depth for depth in range(len(path)) if path[:depth] not in above)
        found.append(str(jax.tree_util.keystr(path[: fields[-1] if fields else next(apart, len(path))])))
    return found


def _alike_entries(paths: Sequence[Path], leaves: Sequence[Any]) -> set[Path]:
    """Paths of entries of dictionaries with the same shapes inside that have half of all bytes; the largest such."""
    import jax

    entries: dict[Path, list[tuple[Path, tuple[int, ...], str]]] = {}
    sizes: dict[Path, int] = {}
    for path, leaf in zip(paths, leaves, strict=True):
        for depth, key in enumerate(path[:-1], 1):
            if isinstance(key, jax.tree_util.DictKey):
                entries.setdefault(path[:depth], []).append((path[depth:], leaf.shape, str(leaf.dtype)))
                sizes[path[:depth]] = sizes.get(path[:depth], 0) + size_of(leaf)
    by_shape: dict[Any, set[Path]] = {}
    for path, inside in entries.items():
        by_shape.setdefault(tuple(inside), set()).add(path)
    several = [same for same in by_shape.values() if len(same) > 1]
    largest = max(several, key=lambda same: sum(sizes[path] for path in same), default=set[Path]())
    half = sum(map(size_of, leaves)) / 2
    return largest if sum(sizes[path] for path in largest) >= half else set()


def with_state_on_host(
    program: Any, arguments: Sequence[Any], by_name: Mapping[str, Any], names: Sequence[str]
) -> tuple[Any, tuple[Any, ...]]:
    """A step whose state of these groups lives in ``pinned_host`` memory between its runs.

    Args:
        program: the step: a function, jitted with ``donate_argnums``.
        arguments: abstract ones, on one device or with their shardings.
        by_name: has to be empty.
        names: of ``groups_of``.

    Returns:
        The step, jitted, and its abstract arguments with their memory kinds.

    Raises:
        BadInputError: there is no such group.
    """
    import jax

    groups = {group.name: group for group in groups_of(program, arguments, by_name)}
    for name in names:
        if name not in groups:
            known = ", ".join(groups) or "none; a step has to donate its state and give it back"
            raise BadInputError(f"{name!r} is no leaf group of state; known: {known}")
    traced = trace(program, arguments, by_name)
    given = {leaf for name in names for leaf in groups[name].leaves}
    back = {leaf for name in names for leaf in groups[name].results}
    leaves, tree = jax.tree.flatten(tuple(arguments))
    spaces = jax.memory.Space

    def with_state(*trees: Any) -> Any:
        flat = enumerate(jax.tree.leaves(trees))
        near = [jax.device_put(leaf, spaces.Device) if at in given else leaf for at, leaf in flat]
        made, results = jax.tree.flatten(program(*jax.tree.unflatten(tree, near)))
        return jax.tree.unflatten(
            results, [jax.device_put(leaf, spaces.Host) if at in back else leaf for at, leaf in enumerate(made)]
        )

    source = {
        result: leaf for name in names for leaf, result in zip(groups[name].leaves, groups[name].results, strict=True)
    }
    placed = tuple(_placed(leaf, HOST if at in given else None) for at, leaf in enumerate(leaves))
    results, out_tree = jax.tree.flatten(traced.results)
    shardings = [placed[source[at]].sharding if at in back else _device_of(leaves) for at in range(len(results))]
    gone = jax.tree.unflatten(tree, traced.donated)
    donated = tuple(at for at, each in enumerate(gone) if jax.tree.leaves(each) and all(jax.tree.leaves(each)))
    step = jax.jit(with_state, donate_argnums=donated, out_shardings=jax.tree.unflatten(out_tree, shardings))
    return step, jax.tree.unflatten(tree, placed)


def _device_of(leaves: Sequence[Any]) -> Any:
    """Where results are that are no state: on the one device, or where JAX puts them."""
    import jax

    if any(getattr(leaf, "sharding", None) is not None for leaf in leaves):
        return None
    return jax.sharding.SingleDeviceSharding(jax.devices()[0])


def _placed(leaf: Any, kind: str | None) -> Any:
    import jax

    shaped: Any = jax.ShapeDtypeStruct
    own = getattr(leaf, "sharding", None)
    sharding = own if own is not None else jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return shaped(leaf.shape, leaf.dtype, sharding=sharding if kind is None else sharding.with_memory_kind(kind))
