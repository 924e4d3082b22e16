"""What is found again of a program in one with other names, another order, or more in it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.plan.matching import match
from mallocgame.plan.named_plan import NamedTensor, NamedUse
from mallocgame.plan.problem_file import load_problem
from tests.plan.renamed import renumbered, reordered, tensors_of, with_more
from workloads import problems

FOLDER = Path(problems.__file__).parent
SHIPPED = sorted(FOLDER.rglob("*.mgp"))[::5]


@cache
def shipped(name: str) -> tuple[NamedTensor, ...]:
    (file,) = FOLDER.rglob(f"{name}.mgp")
    return tensors_of(load_problem(file).problem)


def tensor(id: int, made_by: str, *read_by: str, size: int = 4096) -> NamedTensor:
    uses = tuple(NamedUse(name, ((0, ()),), False) for name in read_by)
    return NamedTensor(id, made_by, (), size, id, False, uses)


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_a_program_under_other_names_in_another_order_is_found_again(file: Path) -> None:
    old = tensors_of(load_problem(file).problem)
    new, places = reordered(renumbered(old, Random(1)), Random(2))
    found = match(old, new)
    assert found.tensors == dict(enumerate(places))
    for ours in old:
        theirs = {(use.instruction, use.operands) for use in new[places[ours.id]].uses}
        assert {(found.instructions[use.instruction], use.operands) for use in ours.uses} == theirs


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 5))
def test_what_was_there_is_found_again_where_more_was_inserted(seed: int, count: int) -> None:
    old = shipped("nerf-v4lite")
    new = with_more(renumbered(old, Random(seed)), Random(seed), count)
    found = match(old, new)
    assert found.tensors == {tensor.id: tensor.id for tensor in old}


def test_a_longer_chain_is_matched_from_its_beginning() -> None:
    """Four layers and five; what was the result's operand is the fifth's."""
    old = [tensor(0, "p.1", "layer.1")]
    old += [tensor(n, f"layer.{n}", f"layer.{n + 1}" if n < 4 else "result.1") for n in range(1, 5)]
    new = [tensor(0, "p.9", "layer.11")]
    new += [tensor(n, f"layer.{10 + n}", f"layer.{11 + n}" if n < 5 else "result.7") for n in range(1, 6)]
    found = match(old, new)
    assert found.tensors == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
    assert found.instructions["layer.4"] == "layer.14"


def test_other_names_are_told_apart_by_sizes_and_other_sizes_by_names() -> None:
    old = [tensor(0, "p.1", "a.1"), tensor(1, "a.1", "b.1", size=8192)]
    assert match(old, [tensor(0, "p.3", "x.1"), tensor(1, "x.1", "y.1", size=8192)]).tensors == {0: 0, 1: 1}
    assert match(old, [tensor(0, "p.3", "a.7", size=512), tensor(1, "a.7", "b.7", size=1024)]).tensors == {0: 0, 1: 1}
    assert match(old, [tensor(0, "p.3", "x.1", size=512), tensor(1, "x.1", "y.1", size=1024)]).tensors == {}
