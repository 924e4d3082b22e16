"""Kernels in problems: where their costs are from, and what they come to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mallocgame.compiler.verification import Row, best_of
from mallocgame.models.replay import replay_plan, uncounted_of_plan
from mallocgame.plan.plan import Plan
from mallocgame.plan.verdict import verdict
from mallocgame.problem.build import build_problem
from mallocgame.problem.chips import CHIPS
from mallocgame.problem.costs.kernels import Access, KernelCost, decode, digest_of, encode
from mallocgame.problem.counted import Share, shares
from mallocgame.problem.given import Given
from mallocgame.problem.problem_json import problem_from_json, problem_to_json
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from mallocgame.system.errors import BadInputError
from xla_dump_parser import parse_hlo
from xla_dump_parser.compile_log import parse_compile_log

SIZE = 1024 * 1024 * 2
"""Bytes of each array of the text: bf16[1024,1024], no padding."""

ESTIMATE = '"cost_estimate":{"bytes_accessed":6291456,"flops":2147483648,"transcendentals":0},'
BODY = "Q09ERQ=="
READ = KernelCost(2 * 1024**3, 0, 0, (Access(1024 * 1024, 8 * 1024 * 1024), Access(None, None), Access(512 * 1024, 0)))
"""A product that writes half of its result."""

LOG = "\n".join(
    f"Cost for <type={kind},computation=main,instruction=kernel,operand_num={number},shape_index={index}> is {value}"
    for kind, number, index, value in (
        ("total-bytes-accessed", "-", "-", "0"),
        ("compute-seconds", "-", "-", "6.66667e-10"),
        ("operand-bytes-accessed", "0", "{}", "2.09715e+06"),
        ("operand-bytes-accessed", "1", "{}", "2.09715e+06"),
        ("output-bytes-accessed", "-", "{}", "2.09715e+06"),
    )
)


def text_of(estimate: str) -> str:
    config = f'{{"custom_call_config":{{"body":"{BODY}",{estimate}"serialization_format":1}}}}'
    array = "bf16[1024,1024]{1,0:T(8,128)(2,1)}"
    return (
        "HloModule m, is_scheduled=true\n\n"
        f"ENTRY %main (x: bf16[1024,1024], w: bf16[1024,1024]) -> bf16[1024,1024] {{\n"
        f"  %x = {array} parameter(0)\n"
        f"  %w = {array} parameter(1)\n"
        f'  ROOT %kernel = {array} custom-call(%x, %w), custom_call_target="tpu_custom_call", backend_config={config}\n'
        "}\n"
    )


def problem_of(estimate: str = "", kernels: dict[str, KernelCost] | None = None) -> Problem:
    return build_problem(parse_hlo(text_of(estimate)), get_target("v5p"), kernels=kernels)


def bytes_of(problem: Problem) -> tuple[list[float], list[float]]:
    read = [problem.tensors[tensor].uses[use].accessed_bytes for tensor, use in problem.uses_at[2]]
    return read, [problem.tensors[tensor].defined_bytes for tensor in problem.definitions_at[2]]


def test_the_estimate_comes_first() -> None:
    problem = problem_of(ESTIMATE, {digest_of(BODY): READ})
    assert problem.kernels == ((2, "estimate"),)
    kernel = problem.instructions[2]
    assert kernel.compute_seconds == 2 * 1024**3 / CHIPS["v5p"].rates.flops
    assert kernel.total_bytes == 3 * SIZE
    assert bytes_of(problem) == ([SIZE, SIZE], [SIZE])


def test_then_the_kernel_itself_each_place_once() -> None:
    problem = problem_of("", {digest_of(BODY): READ})
    assert problem.kernels == ((2, "kernel"),)
    kernel = problem.instructions[2]
    assert kernel.compute_seconds == 2 * 1024**3 / CHIPS["v5p"].rates.flops
    assert kernel.total_bytes == 2.5 * SIZE
    assert bytes_of(problem) == ([SIZE, SIZE], [SIZE / 2])
    replays = [replay_plan(problem, Plan(problem.fingerprint), model).total for model in ("E", "M")]
    assert replays[0] == replays[1] == max(kernel.compute_seconds, 2.5 * SIZE / problem.target.hbm_bandwidth)


def test_else_it_is_not_counted() -> None:
    problem = problem_of()
    assert (problem.kernels, problem.uncounted) == (((2, "none"),), (2,))
    assert problem.instructions[2].compute_seconds == problem.target.min_seconds


def test_a_kernel_of_other_operands_is_whole() -> None:
    other = KernelCost(10**9, 0, 0, READ.accesses[:2])
    assert bytes_of(problem_of("", {digest_of(BODY): other})) == ([SIZE, SIZE], [SIZE])


def test_bounds_of_the_grid_come_before_other_operands() -> None:
    bounded = KernelCost(10**9, 0, 1, (Access(512 * 1024, 0), Access(256 * 1024, 0)))
    assert bytes_of(problem_of("", {digest_of(BODY): bounded})) == ([SIZE, SIZE / 2], [SIZE / 4])


@pytest.mark.parametrize("source", ["estimate", "kernel", "none"])
def test_files_keep_where_costs_are_from(source: str) -> None:
    problem = {
        "estimate": problem_of(ESTIMATE),
        "kernel": problem_of("", {digest_of(BODY): READ}),
        "none": problem_of(),
    }[source]
    value = json.loads(json.dumps(problem_to_json(problem)))
    assert problem_from_json(value, "file") == problem
    value["kernels"]["source"] = [9]
    with pytest.raises(BadInputError, match=r"kernels\.source"):
        problem_from_json(value, "file")


def test_costs_as_text() -> None:
    costs = {digest_of(BODY): READ, "other": KernelCost(1, 2, 3, (), ("a guess",))}
    assert decode(encode(costs), "text") == costs
    assert encode({}) == ""
    assert decode("", "text") == {}


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"a":1}', '{"a":{"flops":-1,"transcendentals":0,"bounds":0,"accesses":[],"guesses":[]}}',
     '{"a":{"flops":1,"transcendentals":0,"bounds":0,"accesses":[[1]],"guesses":[]}}'],
)  # fmt: skip
def test_texts_that_are_no_costs(text: str) -> None:
    with pytest.raises(BadInputError):
        decode(text, "text")


def test_the_log_of_such_a_kernel_has_nothing() -> None:
    resources = "".join(f"Initial resource[{time}] = 0 ({name})\n" for time, name in enumerate(("x", "w", "kernel")))
    log = parse_compile_log(resources + LOG + "\n")
    assert log.costs["main", "kernel"].total_bytes == 0
    for kernels, total in ((None, 0.0), ({digest_of(BODY): READ}, 2.5 * SIZE)):
        problem = build_problem(parse_hlo(text_of("")), get_target("v5p"), log, kernels=kernels)
        assert (problem.costs, problem.instructions[2].total_bytes) == ("log", total)


def test_what_is_not_counted_is_told_with_its_share_of_the_bytes() -> None:
    problem = problem_of()
    assert shares(problem) == {"none": Share(0.0, 1.0, 1)}
    assert problem.notes == (
        "counted: nothing (1 instruction)",
        "not counted: kernels of which nothing is known: kernel",
    )
    guessed = replace(READ, guesses=("a loop runs once",))
    read = problem_of("", {digest_of(BODY): guessed})
    assert shares(read) == {"kernel": Share(1.0, 1.0, 1)}
    assert read.notes == ("guessed in reading kernels: a loop runs once (1)",)
    assert problem_of("", {digest_of(BODY): READ}).notes == ()


def test_where_it_has_something_else_in_fast_memory_nothing_is_told() -> None:
    """Its log gives it no time: moving what it takes and gives must not count, either way."""
    problem = problem_of()
    assert uncounted_of_plan(problem, Plan(problem.fingerprint)) == ()
    read, written = problem.uses_at[2], problem.definitions_at[2]
    moved = Plan(problem.fingerprint, fast_definitions=frozenset(written), fast_uses=frozenset(read[1:]))
    assert uncounted_of_plan(problem, moved) == ("kernel operand 1", "kernel")
    known = problem_of("", {digest_of(BODY): READ})
    assert uncounted_of_plan(known, moved) == ()
    default = Row("xla default", 2.0, 0.0, 2.0, 0.0, 0, 0, (), True, ("kernel operand 1",))
    for seconds in (1.0, 2.0, 3.0):
        row = replace(default, name="plan", e_seconds=seconds, m_seconds=seconds)
        assert verdict(replace(row, uncounted=()), default) == "cannot tell"
        assert verdict(row, default) == {1.0: "better", 2.0: "equal", 3.0: "worse"}[seconds]
    gained = replace(default, name="plan", e_seconds=1.0, m_seconds=1.0, uncounted=())
    assert best_of((default, gained)) == "xla default"


@pytest.mark.parametrize("whole", [problem_of(), problem_of(ESTIMATE), problem_of("", {digest_of(BODY): READ})])
def test_the_users_word_goes_before_all_else(whole: Problem) -> None:
    problem = Given({"kernel": 0.25}).applied_to(whole)
    assert (problem.kernels, problem.notes) == (((2, "user"),), ())
    read, written = bytes_of(problem)
    assert problem.instructions[2].total_bytes == sum(read) + sum(written)  # what moving its operands changes counts
    for model in ("E", "M"):
        assert replay_plan(problem, Plan(problem.fingerprint), model).total == 0.25
    assert Given({"other": 0.25}).applied_to(whole) == whole


def test_a_kernel_is_named_with_or_without_its_number() -> None:
    numbered = build_problem(parse_hlo(text_of("").replace("%kernel", "%kernel.12")), get_target("v5p"))
    for name in ("kernel", "kernel.12"):
        Given({name: 1.0}).check(numbered)
        assert Given({name: 1.0}).applied_to(numbered).kernels == ((2, "user"),)
    with pytest.raises(BadInputError, match=r"no kernel or collective kern: it has kernel\.12"):
        Given({"kern": 1.0}).check(numbered)
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(BadInputError, match="positive number"):
            Given({"kernel": seconds}).check(numbered)
