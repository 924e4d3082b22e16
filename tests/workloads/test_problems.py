"""The shipped problems: complete, balanced, small, and nothing of one side of the split on another."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import pytest

from mallocgame.models.replay import relaxed_bound, replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.problem_file import SUFFIX
from mallocgame.plan.validate import validate
from mallocgame.problem.targets import TARGETS
from mallocgame.system.errors import BadInputError
from workloads import BENCHMARK, problems
from workloads.problems import FOLDER, INDEX, Entry, read_index, splits
from workloads.problems.likeness import likeness, runs
from workloads.problems.make import Candidate, choose, leaks
from workloads.problems.splits import FAMILIES, QUOTAS, split_of


def all_candidates() -> list[Candidate]:
    """One for each program and target, none of them a real file."""
    return [
        Candidate(workload, target, (number + place) % 4, Path(f"{workload.name}-{target.replace(' ', '')}.mgz"))
        for number, workload in enumerate(BENCHMARK)
        for place, target in enumerate(TARGETS)
    ]


def test_every_family_has_one_side_and_each_side_is_varied() -> None:
    sides = {family: split_of(family) for family in FAMILIES}
    assert set(FAMILIES) >= splits._TEST | splits._VALIDATION, "no slip of the pen"
    assert {"mobile convnet", "llama", "recurrent", "stencil"} <= {
        family for family in sides if sides[family] == "test"
    }
    for side in ("validation", "test"):
        assert len({workload.phase for workload in BENCHMARK if sides[workload.family] == side}) >= 3
    with pytest.raises(KeyError, match="unknown family 'magic'"):
        split_of("magic")


def test_choice_is_balanced_and_the_same_for_the_same_seed() -> None:
    pool = all_candidates()
    chosen = choose(pool, 0)
    assert chosen == choose(list(reversed(pool)), 0)
    assert chosen != choose(pool, 1)
    assert Counter(split_of(one.workload.family) for one in chosen) == QUOTAS
    assert {one.workload.name for one in chosen} == {workload.name for workload in BENCHMARK}
    for what in (Counter(one.target for one in chosen), Counter(one.size for one in chosen)):
        assert max(what.values()) - min(what.values()) <= 4
    assert max(Counter(one.workload.name for one in chosen).values()) <= 2


def test_choice_from_few_takes_all() -> None:
    few = all_candidates()[:5]
    assert sorted(one.name for one in choose(few, 0)) == sorted(one.name for one in few)


def test_index_says_what_is_shipped() -> None:
    entries = problems.index()
    assert len(entries) == sum(QUOTAS.values()) == 60
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {file.stem for file in FOLDER.glob(f"*{SUFFIX}")} == set(problems.names())
    assert Counter(entry.split for entry in entries) == QUOTAS
    assert sum(len(problems.names(split)) for split in problems.SPLITS) == 60
    by_name = {workload.name: workload for workload in BENCHMARK}
    for entry in entries:
        workload = by_name[entry.workload]
        assert (entry.family, entry.phase) == (workload.family, workload.phase)
        assert entry.name == f"{entry.workload}-{entry.target.replace(' ', '')}"
        assert entry.split == split_of(entry.family)


def test_every_family_and_every_program_is_there() -> None:
    entries = problems.index()
    assert {entry.family for entry in entries} == set(FAMILIES)
    assert {entry.workload for entry in entries} == {workload.name for workload in BENCHMARK}
    assert {entry.target for entry in entries} >= {"v4 lite", "v4", "v5e", "v5p", "v6e"}
    assert {entry.phase for entry in entries} == {workload.phase for workload in BENCHMARK}


def test_the_set_is_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.glob(f"*{SUFFIX}")) < 2_000_000


def test_the_split_leaks_nothing() -> None:
    """No family on two sides; no module or schedule on two sides, nor one that is nearly the same."""
    assert leaks(problems.index(), FOLDER) == []


def test_a_leak_is_found() -> None:
    """The same problem put on two sides, under its own and under another family's name."""
    entry = problems.index()[0]
    other = replace(entry, split=next(split for split in problems.SPLITS if split != entry.split))
    assert leaks([entry, other], FOLDER)[0].endswith("one family")
    assert leaks([entry, replace(other, family="another")], FOLDER)[0].endswith("one module")


def test_likeness_by_hand() -> None:
    """a b c d has two runs of three; a b c e d shares one of them, and of its own three that is a third."""
    one, other = Counter({("abc",): 1, ("bcd",): 1}), Counter({("abc",): 1, ("bce",): 1, ("ced",): 1})
    assert likeness(one, other) == 0.5  # type: ignore[arg-type]
    assert likeness(one, Counter()) == 0.0  # type: ignore[arg-type]
    problem = problems.load(problems.names()[0]).problem
    assert likeness(runs(problem), runs(problem)) == 1.0


def test_one_program_on_two_targets_is_alike() -> None:
    """What the measure is for: it sees through targets."""
    by_workload: dict[str, list[Entry]] = {}
    for entry in problems.index():
        by_workload.setdefault(entry.workload, []).append(entry)
    twice = [pair for entries in by_workload.values() for pair in combinations(entries, 2)]
    assert twice
    alike = [likeness(*(runs(problems.load(entry.name).problem) for entry in pair)) for pair in twice]
    assert sum(alike) / len(alike) > 0.3


def test_each_problem_is_whole() -> None:
    for entry in problems.index():
        content = problems.load(entry.name)
        problem, default = content.problem, content.default
        assert (content.workload, content.family, content.phase) == (entry.workload, entry.family, entry.phase)
        assert (problem.target.name, len(problem.instructions)) == (entry.target, entry.instructions)
        assert problem.costs == "log"
        assert content.versions.keys() >= {"jax", "jaxlib", "libtpu"}
        assert default.plan is None or validate(problem, default.plan) == ()
        all_hbm = replay_plan(problem, Plan(problem.fingerprint), "M").total
        assert relaxed_bound(problem, "M") <= all_hbm * (1 + 1e-9)
        assert relaxed_bound(problem, "M") <= default.m_seconds * (1 + 1e-9)
        assert 0 < default.m_seconds < 1.5 * all_hbm


def test_unknown_problem() -> None:
    with pytest.raises(KeyError, match="unknown problem 'magic'; known: "):
        problems.load("magic")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected an object, found a list"),
        ('{"format": "mallocgame-problems", "version": 2, "seed": 0, "problems": []}', "of version 1"),
        ('{"format": "mallocgame-problems", "version": 1, "seed": 0, "problems": [{}]}', "'name' is missing"),
    ],
)
def test_a_damaged_index_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(BadInputError, match=message) as caught:
        read_index(tmp_path / INDEX)
    assert "\n" not in str(caught.value)


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    import json

    row = {**asdict(problems.index()[0]), "split": "exam"}
    value = {"format": "mallocgame-problems", "version": 1, "seed": 0, "problems": [row]}
    (tmp_path / INDEX).write_text(json.dumps(value))
    with pytest.raises(BadInputError, match=r"problems\[0\].split: expected one of train, validation, test"):
        read_index(tmp_path / INDEX)
