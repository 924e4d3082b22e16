"""Plan files: what is written is read back, and nothing damaged is believed."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.plan.plan_file import NamedPlan, NamedTensor, NamedUse, check_plan, load_plan, name_plan, save_plan
from mallocgame.problem.placement import HINTED
from mallocgame.problem.schema import Computation, Group, Instruction, Problem, Reservation, Target, Tensor, Use
from mallocgame.system.errors import BadInputError

TARGET = Target("v5e", 1, 8192, 4096, 1e9, 1e10, 1e10, 1e-9, 2**34)


def small_problem() -> Problem:
    """p -> a -> b: ``p`` may be prefetched for ``b`` after time 0."""
    instructions = tuple(
        Instruction(name, opcode, 0, 1e-6, 8192.0, opcode == "parameter")
        for name, opcode in (("p.1", "parameter"), ("a", "fusion"), ("b", "fusion"))
    )
    tensors = (
        Tensor(0, "p.1", (), 4096, 0, (0, 2), 0.0, (Use(2, ((1, ()),), 4096.0, 0),), 0, hbm_definition="parameter"),
        Tensor(1, "a", (), 4096, 1, (1, 2), 4096.0, (Use(2, ((0, ()), (2, ())), 4096.0, 1),), 1),
    )
    return Problem(
        fingerprint="f" * 64,
        module="jit_f",
        target=TARGET,
        computations=(Computation("main", 0, 2, "entry", None, 1),),
        instructions=instructions,
        tensors=tensors,
        groups=(Group((0,), 4096), Group((1,), 4096)),
        costs="analytic",
    )


def small_plan() -> Plan:
    return Plan(
        fingerprint="f" * 64,
        fast_definitions=frozenset({1}),
        fast_uses=frozenset({(0, 0), (1, 0)}),
        stays=(Stay(0, 1, 2, 4096), Stay(1, 1, 2, 0)),
        copies=(Copy(0, "prefetch", 0, 2),),
    )


def small_named() -> NamedPlan:
    return name_plan(small_problem(), small_plan(), solver="local", seed=3, versions={"libtpu": "0.0.52"})


def test_names_say_where_the_prefetch_starts() -> None:
    named = small_named()
    assert named.tensors[0].uses == (NamedUse("b", ((1, ()),), True, 0, "p.1", 2),)
    assert named.tensors[1] == NamedTensor(
        1, "a", (), 4096, 1, True, (NamedUse("b", ((0, ()), (2, ())), True, time=2),)
    )
    assert (named.module, named.target, named.solver, named.seed) == ("jit_f", "v5e", "local", 3)
    check_plan(named, small_problem())


def test_an_older_file_tells_neither_loops_nor_hints() -> None:
    problem, named = small_problem(), small_named()
    hinted = replace(problem, tensors=(replace(problem.tensors[0], fixed=HINTED), problem.tensors[1]))
    loop = replace(hinted, instructions=tuple(replace(step, opcode="while") for step in problem.instructions))
    told = name_plan(loop, named.plan, solver=named.solver).tensors
    assert [(tensor.hinted, [use.loop for use in tensor.uses]) for tensor in told] == [(True, [True]), (False, [True])]
    check_plan(named, loop)
    check_plan(replace(named, tensors=told), loop)


def test_other_program_is_refused() -> None:
    problem, named = small_problem(), small_named()
    with pytest.raises(BadInputError, match="another program or schedule"):
        check_plan(named, replace(problem, fingerprint="0" * 64))
    with pytest.raises(BadInputError, match="another program or schedule"):
        name_plan(replace(problem, fingerprint="0" * 64), small_plan(), solver="local")
    with pytest.raises(BadInputError, match="target 'v5e', not for 'v4'"):
        check_plan(named, replace(problem, target=replace(TARGET, name="v4")))
    with pytest.raises(BadInputError, match="lists 2 tensors, the program has 1"):
        check_plan(named, replace(problem, tensors=problem.tensors[:1]))
    with pytest.raises(BadInputError, match=r"tensor 0 of the plan"):
        check_plan(replace(named, tensors=(replace(named.tensors[0], hinted=True), named.tensors[1])), problem)
    renamed = replace(problem.tensors[1], instruction="c")
    with pytest.raises(BadInputError, match=r"tensor 1 of the plan \(a\)"):
        check_plan(named, replace(problem, tensors=(problem.tensors[0], renamed)))


def test_round_trip_and_atomic_replacement(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save_plan(small_named(), path)
    assert load_plan(path) == small_named()
    other = replace(small_named(), scoped_vmem_kib=32768, options={"time_limit": 30.0, "order": None, "tie": True})
    save_plan(other, path)
    assert load_plan(path) == other
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]


def test_unwritable_plans_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save_plan(small_named(), path)
    with pytest.raises(BadInputError, match="finite number"):
        save_plan(replace(small_named(), options={"time_limit": math.nan}), path)
    with pytest.raises(BadInputError, match="name of an HLO text"):
        save_plan(replace(small_named(), fingerprint='a"b'), path)
    with pytest.raises(BadInputError, match="cannot be written"):
        save_plan(small_named(), tmp_path / "missing" / "plan.json")
    with pytest.raises(BadInputError, match="without loss"):
        save_plan(replace(small_named(), plan=replace(small_plan(), fast_uses=frozenset({(0, 7)}))), path)
    assert load_plan(path) == small_named()


def raw() -> dict[str, Any]:
    """The JSON value of the small plan's file, to be damaged."""
    return {
        "format": "mallocgame-plan",
        "version": 3,
        "fingerprint": "f" * 64,
        "module": "jit_f",
        "target": "v5e",
        "solver": "local",
        "seed": 3,
        "options": {},
        "versions": {"libtpu": "0.0.52"},
        "scoped_vmem_kib": None,
        "order": [],
        "reach": None,
        "stays": [[0, 1, 2, 4096], [1, 1, 2, 0]],
        "copies": [[0, "prefetch", 0, 2]],
        "tiers": [[1], [0]],
        "tensors": [
            {"id": 0, "instruction": "p.1", "index": [], "size": 4096, "group": 0, "fast_definition": False,
             "uses": [{"instruction": "b", "operands": [[1, []]], "fast": True, "copy_after": 0,
                       "copy_after_instruction": "p.1", "time": 2}]},
            {"id": 1, "instruction": "a", "index": [], "size": 4096, "group": 1, "fast_definition": True,
             "uses": [{"instruction": "b", "operands": [[0, []], [2, []]], "fast": True, "copy_after": None,
                       "copy_after_instruction": None, "time": 2}]},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(("version", "missing"), [(1, ("order", "reach")), (2, ("reach",))])
def test_files_of_earlier_versions_have_less(version: int, missing: tuple[str, ...], tmp_path: Path) -> None:
    value = {key: part for key, part in raw().items() if key not in missing} | {"version": version}
    assert load_value(value, tmp_path) == load_value(raw(), tmp_path)


def test_files_of_before_tell_no_tiers(tmp_path: Path) -> None:
    assert load_value({key: part for key, part in raw().items() if key != "tiers"}, tmp_path) == replace(
        small_named(), tiers=()
    )


def load_value(value: object, folder: Path) -> NamedPlan:
    path = folder / "plan.json"
    path.write_text(json.dumps(value))
    return load_plan(path)


def test_the_file_is_what_the_format_says(tmp_path: Path) -> None:
    assert load_value(raw(), tmp_path) == small_named()


DELETE = object()
DAMAGE: list[tuple[tuple[str | int, ...], object, str]] = [
    (("format",), "other", "not a plan file"),
    (("version",), 4, "version of the plan format: expected 3, found 4"),
    (("version",), True, "version of the plan format: expected 3"),
    (("version",), [3], "version of the plan format: expected 3"),
    (("version",), 3.0, "version of the plan format: expected 3, found 3.0"),
    (("version",), DELETE, "version of the plan format: expected 3"),
    (("tiers",), [3], r"tiers\[0\]: expected a list"),
    (("tiers",), [[True]], r"tiers\[0\]\[0\]: expected an integer"),
    (("order",), ["3"], "order\\[0\\]: expected an integer"),
    (("reach",), "far", "reach: expected"),
    (("reach",), -1.0, "reach: expected"),
    (("seed",), DELETE, "'seed' is missing"),
    (("extra",), 1, "unknown key 'extra'"),
    (("fingerprint",), "", "fingerprint: expected a name"),
    (("fingerprint",), 5, "fingerprint: expected a name"),
    (("module",), "a\nb", "module: expected a text"),
    (("seed",), -1, "seed: expected an integer from 0"),
    (("seed",), 1.0, "seed: expected an integer from 0"),
    (("seed",), True, "seed: expected an integer from 0"),
    (("seed",), 2**63, "seed: expected an integer from 0"),
    (("seed",), 10**100, "found a huge number"),
    (("options",), [], "options: expected an object, found a list"),
    (("options",), {"a": {}}, "options.a: expected a text, a finite number"),
    (("options",), {"a": 10**30}, "options.a: expected a text, a finite number"),
    (("versions",), {"libtpu": 52}, "versions.libtpu: expected a text"),
    (("scoped_vmem_kib",), "16384", "scoped_vmem_kib: expected an integer"),
    (("stays",), None, "stays: expected a list"),
    (("stays",), {}, "stays: expected a list, found an object"),
    (("stays", 0), [0, 1, 2], r"stays\[0\]: expected a list of 4"),
    (("stays", 0), [0, 3, 2, 0], r"stays\[0\]: starts at 3, after its end 2"),
    (("stays", 0), [1, 1, 2, 0], "stays are not in ascending order, each once"),
    (("stays", 0), [0, 1, 2, -4096], r"stays\[0\]: expected an integer from 0"),
    (("stays", 1), [2, 1, 2, 0], "tensor 2, but there are 2"),
    (("stays", 1), [1, 1, 10**7, 0], r"stays\[1\]: expected a time of a schedule, less than 10000000, found 10000000"),
    (("stays", 1), [1, 1, 2, 2**36 - 4095], r"stays\[1\] ends at byte 68719476737, which no fast memory has"),
    (("tensors", 1, "size"), 2**63 - 1, r"stays\[1\] ends at byte 9223372036854775807, which no fast memory has"),
    (("copies", 0), [0, "prefetch", 0, 2**62], r"copies\[0\]: expected a time of a schedule"),
    (("tensors", 0, "uses", 0, "time"), 2**62, r"uses\[0\].time: expected a time of a schedule"),
    (("copies", 0), [0, "move", 0, 2], 'expected "prefetch" or "eviction"'),
    (("copies", 0), [0, ["prefetch"], 0, 2], 'expected "prefetch" or "eviction"'),
    (("copies", 0), [0, "prefetch", 2, 2], "starts after 2, is waited for before 2"),
    (("copies",), [[0, "prefetch", 0, 2]] * 2, "copies are not in the order of their starts, each once"),
    (("copies",), [], r"tensors\[0\].uses\[0\].copy_after 0 is no start"),
    (("tensors",), 3, "tensors: expected a list, found 3"),
    (("tensors", 0, "id"), 1, r"tensors\[0\].id is 1, expected 0"),
    (("tensors", 1, "instruction"), "p.1", "two tensors have the same"),
    (("tensors", 0, "instruction"), "a b", r"tensors\[0\].instruction: expected a name"),
    (("tensors", 0, "index"), [-1], r"tensors\[0\].index\[0\]: expected an integer"),
    (("tensors", 0, "size"), "big", r"tensors\[0\].size: expected an integer"),
    (("tensors", 0, "fast_definition"), 0, "expected true or false, found 0"),
    (("tensors", 0, "uses", 0), [], r"uses\[0\]: expected an object, found a list"),
    (("tensors", 0, "uses", 0, "operands", 0), [1], "expected a list of 2"),
    (("tensors", 0, "uses", 0, "copy_after"), None, "go together"),
    (("tensors", 0, "uses", 0, "copy_after_instruction"), 'x" } }', "expected a name of an HLO text"),
]


@pytest.mark.parametrize(("path", "value", "message"), DAMAGE)
def test_damage_is_named(path: tuple[str | int, ...], value: object, message: str, tmp_path: Path) -> None:
    root: Any = raw()
    parent = root
    for key in path[:-1]:
        parent = parent[key]
    if value is DELETE:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    with pytest.raises(BadInputError, match=message) as caught:
        load_value(root, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "not a plan file"),
        (b"null", "not a plan file"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"format": NaN}', "NaN is not a number"),
        (b'{"format": 1, "format": 2}', "same key twice"),
        (b'{"format": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_json_is_one_line(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=message) as caught:
        load_plan(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_and_oversized_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match="No such file"):
        load_plan(tmp_path / "none.json")
    with pytest.raises(BadInputError, match="cannot be read"):
        load_plan("a\0b")
    save_plan(small_named(), tmp_path / "plan.json")
    monkeypatch.setattr("mallocgame.plan.plan_file.MAX_FILE_BYTES", 100)
    with pytest.raises(BadInputError, match="larger than 100 bytes"):
        load_plan(tmp_path / "plan.json")


naturals = st.integers(0, 2**63 - 1)
sizes = st.integers(0, 2**35)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\'), min_size=1, max_size=12)
texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | texts
indices = st.lists(naturals, max_size=3).map(tuple)


@st.composite
def named_plans(draw: st.DrawFn) -> NamedPlan:
    positions = draw(st.lists(st.tuples(names, indices), unique=True, max_size=4))
    tensors, copies, fast_uses = [], set(), set()
    for id, (instruction, index) in enumerate(positions):
        uses = []
        for number in range(draw(st.integers(0, 3))):
            after = draw(st.none() | st.integers(0, 50))
            if after is not None:
                copies.add(Copy(id, "prefetch", after, after + draw(st.integers(1, 9))))
            use = NamedUse(
                instruction=draw(names),
                operands=tuple(draw(st.lists(st.tuples(naturals, indices), max_size=2))),
                fast=draw(st.booleans()),
                copy_after=after,
                copy_after_instruction=None if after is None else draw(names),
                time=draw(st.integers(0, 10**7 - 1)),
                far=draw(st.booleans()),
            )
            uses.append(use)
            if use.fast:
                fast_uses.add((id, number))
        tensors.append(NamedTensor(id, instruction, index, draw(sizes), draw(naturals), draw(st.booleans()), (*uses,)))
        if draw(st.booleans()):
            copies.add(Copy(id, "eviction", draw(st.integers(0, 50)), 60))
    stays = set()
    for id in range(len(tensors)):
        for _ in range(draw(st.integers(0, 2))):
            start = draw(st.integers(0, 50))
            stays.add(Stay(id, start, start + draw(st.integers(0, 9)), draw(sizes)))
    fingerprint = draw(names)
    plan = Plan(
        fingerprint=fingerprint,
        fast_definitions=frozenset(tensor.id for tensor in tensors if tensor.fast_definition),
        fast_uses=frozenset(fast_uses),
        stays=tuple(sorted(stays)),
        copies=tuple(sorted(copies, key=lambda copy: (copy.after, copy.tensor, copy.kind, copy.before))),
        reach=draw(st.none() | st.floats(0.0, 1e9)),
    )
    return NamedPlan(
        fingerprint=fingerprint,
        module=draw(texts),
        target=draw(texts),
        solver=draw(texts),
        seed=draw(naturals),
        plan=plan,
        tensors=tuple(tensors),
        options=draw(
            st.dictionaries(texts, scalars.filter(lambda value: value not in (math.inf, -math.inf)), max_size=3)
        ),
        versions=draw(st.dictionaries(texts, texts, max_size=3)),
        scoped_vmem_kib=draw(st.none() | naturals),
        order=tuple(draw(st.lists(naturals, max_size=4))),
        reserved=draw(st.sampled_from([(), (Reservation(0, 3, 0, 16), Reservation(5, 5, 8, 2**35))])),
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(named=named_plans())
def test_any_plan_survives_its_file(named: NamedPlan, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save_plan(named, path)
    assert load_plan(path) == named


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_cut_or_changed_byte_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    text = json.dumps(raw()).encode()
    position = data.draw(st.integers(0, len(text) - 1))
    changed = text[:position] + bytes([data.draw(st.integers(0, 255))]) + text[position + 1 :]
    path = tmp_path / "plan.json"
    path.write_bytes(data.draw(st.sampled_from([text[:position], changed])))
    with contextlib.suppress(BadInputError):
        assert isinstance(load_plan(path), NamedPlan)


def test_a_folder_in_the_way_is_named_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(BadInputError, match="cannot be written"):
        save_plan(small_named(), tmp_path / "plan.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]
