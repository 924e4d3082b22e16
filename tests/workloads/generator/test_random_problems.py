"""Random problems: the same for the same seed, and what their recipe asks for."""

from __future__ import annotations

from hashlib import sha256

from workloads.generator import Recipe, random_problem, tiny_recipe, varied_recipe


def test_the_same_seed_gives_the_same_problem() -> None:
    assert random_problem(3) == random_problem(3)
    assert random_problem(3) != random_problem(4)


def test_seeds_that_tests_and_rows_name_mean_what_they_always_did() -> None:
    digest = sha256()
    for seed in range(300):
        for recipe in (None, varied_recipe(seed), tiny_recipe(seed)):
            problem = random_problem(seed, recipe)
            assert not problem.reserved
            text = repr(problem)
            for later in (", reserved=()", ", kernels=()", ", loops=()", ", link_seconds=0.0"):
                text = text.replace(later, "")
            digest.update(text.encode())
    assert digest.hexdigest() == "f7f81c3c470d3c918b53fea85fc052e66655c156fd5f3e19a1b5fafba21569d6"


def test_contention_and_aliasing_follow_the_recipe() -> None:
    plain = random_problem(1, Recipe(instructions=50, fast_bytes=8192, nesting=0.0, aliasing=0.0))
    assert plain.target.fast_bytes == 8192
    assert len(plain.computations) == 1
    assert all(len(group.tensors) == 1 for group in plain.groups)
    assert len(plain.instructions) >= 50
    tangled = random_problem(1, Recipe(instructions=50, nesting=0.3, aliasing=0.9))
    assert {"body", "condition", "branch"} <= {computation.kind for computation in tangled.computations}
    assert sum(len(group.tensors) > 1 for group in tangled.groups) >= 5
