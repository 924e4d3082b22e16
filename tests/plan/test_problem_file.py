"""Problem files: what is written is read back, and nothing damaged is believed."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mallocgame import api
from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan, Stay
from mallocgame.plan.plan_file import check_plan
from mallocgame.plan.problem_file import (
    MAX_TEXT_BYTES,
    Addresses,
    Default,
    ProblemFile,
    from_bytes,
    from_json,
    load_problem,
    save_problem,
    to_bytes,
)
from mallocgame.plan.validate import validate
from mallocgame.problem.schema import Problem
from mallocgame.programs.loading import load
from mallocgame.solvers import solve
from mallocgame.system.errors import BadInputError, NoAnswerError
from tests.plan.test_plan_file import small_plan, small_problem
from workloads.generator import random_problem, varied_recipe, with_links, with_reservations


def content_of(problem: Problem, plan: Plan | None) -> ProblemFile:
    placed: tuple[Addresses | None, str | None] = ("compiler", None) if plan else (None, "no addresses found")
    default = Default(3e-6, 1e-6, 2.5e-6, 0.5e-6, 10**9, plan, *placed)
    return ProblemFile(
        problem,
        default,
        "gpt2",
        "gpt",
        "prefill",
        "workloads.language.gpt2:gpt2",
        "0" * 64,
        16384,
        8.5,
        {"libtpu": "0.0.52"},
    )


SMALL = content_of(small_problem(), small_plan())


def value_of(data: bytes) -> Any:
    return json.loads(zlib.decompress(data, 31))


def packed(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(text) + packer.flush()


def found_or_refused(read: Callable[[], ProblemFile]) -> ProblemFile | None:
    """What is read; None if it is refused, which has to be with one line that names the file."""
    try:
        return read()
    except BadInputError as error:
        line = str(error)
    assert line.startswith("x.mgp: ")
    assert "\n" not in line
    return None


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    save_problem(SMALL, tmp_path / "small.mgp")
    return tmp_path / "small.mgp"


def test_round_trip(stored: Path) -> None:
    found = load_problem(stored)
    assert found == SMALL
    assert found.problem.fingerprint == "f" * 64
    assert found.default.plan == small_plan()


def test_the_text_is_columns() -> None:
    """By hand: p (parameter, read by b), a (read twice by b), b."""
    problem = value_of(to_bytes(SMALL))["problem"]
    assert problem["texts"] == ["parameter", "fusion"]
    assert problem["instructions"]["name"] == ["p.1", "a", "b"]
    assert problem["instructions"]["opcode"] == [0, 1, 1]
    assert problem["instructions"]["free"] == [1, 0, 0]
    assert problem["tensors"]["uses"] == [1, 1]
    assert problem["tensors"]["hbm_definition"] == [0, None]
    assert problem["uses"] == {"time": [2, 2], "operands": [0, 1], "accessed_bytes": [4096] * 2, "copy_after": [0, 1]}
    assert problem["operands"] == [[[1, []]], [[0, []], [2, []]]]


def test_same_content_same_bytes() -> None:
    assert to_bytes(SMALL) == to_bytes(copy.deepcopy(SMALL))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(["hbm", "greedy", None]))
def test_round_trip_of_random_problems(seed: int, solver: str | None) -> None:
    problem = random_problem(seed, varied_recipe(seed))
    if seed % 2:
        problem = with_reservations(problem, seed)
    if seed % 3 == 0:
        problem = with_links(problem, seed)
    content = content_of(problem, None if solver is None else solve(problem, solver).plan)
    found = from_bytes(to_bytes(content), "x")
    assert found == content
    assert hash(found.problem) == hash(problem)
    assert replay_plan(found.problem, Plan(problem.fingerprint), "M") == replay_plan(
        problem, Plan(problem.fingerprint), "M"
    )


@settings(
    deadline=None, max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_bytes_give_one_line_or_the_same_content(data: st.DataObject) -> None:
    good = to_bytes(SMALL)
    damaged = bytearray(good)
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=4)
    ):
        damaged[place] = byte
    cut = data.draw(st.integers(0, len(good)) | st.just(len(good)))
    found = found_or_refused(lambda: from_bytes(bytes(damaged[:cut]), "x.mgp"))
    assert found in (None, SMALL), "only what gzip does not look at may differ"


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


VALUE = value_of(to_bytes(SMALL))
PLACES = [place for place in _places(VALUE) if place]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0, 1, 2, 7, 2**64, 1.5, 1e300, "", "x", "a\nb", [], {}, [0], [[0, []]], [0, 0, 0]]
)


@settings(deadline=None, max_examples=500, derandomize=True)
@given(st.sampled_from(PLACES), ODD | st.just(KeyError))
def test_a_wrong_value_anywhere_gives_one_line_or_a_problem_that_holds_together(
    path: tuple[Any, ...], odd: Any
) -> None:
    value = copy.deepcopy(VALUE)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if odd is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = odd
    found = found_or_refused(lambda: from_json(value, "x.mgp"))
    if found is None:
        return
    assert from_bytes(to_bytes(found), "x.mgp") == found
    validate(found.problem, found.default.plan or Plan(found.problem.fingerprint))
    replay_plan(found.problem, Plan(found.problem.fingerprint), "M")


@pytest.mark.parametrize(
    ("path", "odd", "message"),
    [
        (("format",), "other", r'not a problem file \(it has no "format": "mallocgame-problem"\)'),
        (("version",), 2, "version of the problem format: expected 1, found 2"),
        (("workload",), 5, "workload: expected a text of one line .* found 5"),
        (("default", "e_seconds"), -1, r"default.e_seconds: expected a number from 0 to 2\^63-1, found -1"),
        (("default", "addresses"), None, "default.addresses: expected 'compiler' or 'best fit'"),
        (("default", "no_plan"), "why", "default: expected either a plan or no_plan, the reason"),
        (("default", "plan", "uses", "number"), [1, 0], "default.plan.uses.number.0.: expected an integer from 0 to 0"),
        (("problem", "target", "alignment"), 0, "target.alignment: expected a positive integer, found 0"),
        (("problem", "target", "hbm_bandwidth"), 0, "target.hbm_bandwidth: expected a positive number, found 0"),
        (("problem", "instructions", "name", 1), "b", "instructions.name: 'b' stands twice"),
        (("problem", "instructions", "free"), [1, 0], "instructions.free: 2 rows, but name has 3"),
        (
            ("problem", "instructions", "free", 2),
            2,
            r"instructions.free\[2\]: expected an integer from 0 to 1, found 2",
        ),
        (("problem", "instructions", "computation", 2), 1, "computations: instruction 2 is in number 1, of 1"),
        (("problem", "computations", "end", 0), 1, r"computations\[0\]: instruction 2 is in it, but outside its times"),
        (("problem", "computations", "caller", 0), 2, "computations: expected one that nothing calls"),
        (("problem", "computations", "kind", 0), 1, r"computations\[0\]: body, but caller is None"),
        (("problem", "tensors", "uses"), [1, 2], "tensors.uses: 3 uses in all, but uses has 2 rows"),
        (("problem", "tensors", "live_from", 1), 2, r"tensors\[1\]: defined at 1, outside its live range \[2, 2\]"),
        (("problem", "tensors", "group"), [1, 1], "tensors.group: the numbers are not 0 to 0, none left out"),
        (("problem", "uses", "copy_after", 1), 2, r"uses.copy_after\[1\]: 2 is not before 2, in its computation"),
        (("problem", "uses", "accessed_bytes", 0), "x", r"uses.accessed_bytes\[0\]: expected a number .* found 'x'"),
    ],
)
def test_each_defect_has_its_line(path: tuple[Any, ...], odd: Any, message: str) -> None:
    value = copy.deepcopy(VALUE)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    with pytest.raises(BadInputError, match=message):
        from_json(value, "x.mgp")


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(BadInputError, match=f"its text is larger than {MAX_TEXT_BYTES} bytes"):
        from_bytes(packed(b" " * (MAX_TEXT_BYTES + 1)), "x.mgp")


def test_what_follows_the_end_is_refused() -> None:
    with pytest.raises(BadInputError, match="cut off, or something follows its end"):
        from_bytes(to_bytes(SMALL) + b"x", "x.mgp")


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    renamed = replace(SMALL.problem.tensors[1], instruction="other")
    problem = replace(SMALL.problem, tensors=(SMALL.problem.tensors[0], renamed))
    with pytest.raises(BadInputError, match="cannot be written without loss"):
        save_problem(content_of(problem, None), tmp_path / "x.mgp")
    assert list(tmp_path.iterdir()) == []


def test_the_commands_take_it(stored: Path, tmp_path: Path) -> None:
    loaded = load(stored)
    assert (loaded.problem, loaded.default, loaded.final) == (SMALL.problem, SMALL.default, None)
    solved = api.solve(stored, time_limit=1.0, out=tmp_path / "plan.json")
    check_plan(solved.named, SMALL.problem)
    assert (solved.named.versions, solved.named.scoped_vmem_kib) == ({"libtpu": "0.0.52"}, 16384)
    assert api.inspect(stored, target="v5e").default_seconds == 2.5e-6
    with pytest.raises(BadInputError, match="is for v5e, not for v5p"):
        load(stored, "v5p")


def test_solver_xla_gives_the_stored_placement(stored: Path) -> None:
    solution = api.solve(stored, solver="xla").solution
    assert solution.plan == small_plan()
    assert solution.seconds_under_m == replay_plan(SMALL.problem, small_plan(), "M").total


@pytest.mark.parametrize(
    ("plan", "error", "message"),
    [
        (None, NoAnswerError, "XLA's own placement is no plan of ours: no addresses found"),
        (
            Plan("f" * 64, stays=(Stay(1, 1, 2, 4097),)),
            BadInputError,
            "placement of the problem file is not valid: misal",
        ),
    ],
)
def test_solver_xla_without_a_valid_placement(
    tmp_path: Path, plan: Plan | None, error: type[Exception], message: str
) -> None:
    save_problem(content_of(SMALL.problem, plan), tmp_path / "x.mgp")
    with pytest.raises(error, match=message):
        api.solve(tmp_path / "x.mgp", solver="xla")
