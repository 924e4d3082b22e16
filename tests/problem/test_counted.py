"""What figures rest on: shares by source, loops of unknown length, and the user's word on both."""

from __future__ import annotations

import json

import pytest

from mallocgame.models.replay import replay_plan
from mallocgame.plan.plan import Plan
from mallocgame.problem.build import build_problem
from mallocgame.problem.counted import Share, counted_words, shares, shares_document, time_within
from mallocgame.problem.given import ALL_LOOPS, Given, given_of, recorded_in
from mallocgame.problem.problem_json import problem_from_json, problem_to_json
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from mallocgame.system.errors import BadInputError
from xla_dump_parser import parse_hlo

ARRAY = "f32[1024,1024]{1,0:T(8,128)}"
CARRY = f"(s32[], s32[], {ARRAY})"


def loop_of(bound: str, kernel: str = "") -> Problem:
    """Negates an array once before a loop and once in each of its trips; it runs from 0 to ``bound``."""
    text = f"""HloModule m, is_scheduled=true

%cond (c: {CARRY}) -> pred[] {{
  %c = {CARRY} parameter(0)
  %ci = s32[] get-tuple-element(%c), index=0
  %cn = s32[] get-tuple-element(%c), index=1
  ROOT %less = pred[] compare(%ci, %cn), direction=LT
}}

%body (b: {CARRY}) -> {CARRY} {{
  %b = {CARRY} parameter(0)
  %bi = s32[] get-tuple-element(%b), index=0
  %bn = s32[] get-tuple-element(%b), index=1
  %bx = {ARRAY} get-tuple-element(%b), index=2
  %one = s32[] constant(1)
  %next = s32[] add(%bi, %one)
  %inner = {ARRAY} negate(%bx)
  ROOT %bt = {CARRY} tuple(%next, %bn, %inner)
}}

ENTRY %main (x: {ARRAY}, n: s32[]) -> {ARRAY} {{
  %x = {ARRAY} parameter(0)
  %n = s32[] parameter(1)
  %zero = s32[] constant(0)
  %seven = s32[] constant(7)
  %outer = {ARRAY} negate(%x)
{kernel}  %init = {CARRY} tuple(%zero, %{bound}, %{"kernel" if kernel else "outer"})
  %while.3 = {CARRY} while(%init), condition=%cond, body=%body
  ROOT %res = {ARRAY} get-tuple-element(%while.3), index=2
}}
"""
    return build_problem(parse_hlo(text), get_target("v5e"))


def seconds(problem: Problem) -> float:
    return replay_plan(problem, Plan(problem.fingerprint), "M").total


def loop_time(problem: Problem) -> int:
    return next(time for time, step in enumerate(problem.instructions) if step.opcode == "while")


def test_a_loop_of_unknown_length_is_told_with_the_trips_that_are_assumed() -> None:
    unknown, known = loop_of("n"), loop_of("seven")
    assert unknown.loops == ((loop_time(unknown), "assumed"),)
    assert [it.trips for it in unknown.computations] == [1, 5, 5]
    assert (known.loops, known.notes) == ((), ())
    assert [it.trips for it in known.computations] == [1, 7, 7]
    (note,) = unknown.notes
    assert note.startswith("loops: 5 trips are assumed where nobody knows how many there are: while.3 (83.")


def test_the_users_trips_go_before_what_is_assumed_or_known() -> None:
    """The two negations take the same; the counters of a trip some nanoseconds."""
    unknown, known = loop_of("n"), loop_of("seven")
    for said in (Given(trips={ALL_LOOPS: 9}), Given(trips={"while.3": 9}), Given(trips={"while": 9})):
        said.check(unknown)
        given = said.applied_to(unknown)
        assert [it.trips for it in given.computations] == [1, 9, 9]
        assert given.loops == ((loop_time(unknown), "user"),)
        assert given.notes[0].startswith("loops: 9 trips by the user's word: while.3 (90")
        assert seconds(given) / seconds(unknown) == pytest.approx(10 / 6, rel=1e-3)
        assert time_within(given, [loop_time(given)]) == pytest.approx(9 / 10, rel=1e-3)
    assert Given(trips={ALL_LOOPS: 9}).applied_to(known) == known
    assert [it.trips for it in Given(trips={"while.3": 9}).applied_to(known).computations] == [1, 9, 9]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Given(trips={"whale": 3}), r"no loop whale: it has while\.3"),
        (Given(trips={"while.3": -1}), "trips of while.3 have to be from 0"),
        (Given(trips={ALL_LOOPS: 10**12}), "trips of loops have to be"),
        (Given(kernels={"any": 1.0}), "no kernel or collective any: it has none"),
    ],
)
def test_what_cannot_be_said(said: Given, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        said.check(loop_of("n"))


def test_files_keep_what_is_assumed() -> None:
    for problem in (loop_of("n"), Given(trips={ALL_LOOPS: 2}).applied_to(loop_of("n"))):
        value = json.loads(json.dumps(problem_to_json(problem)))
        assert problem_from_json(value, "file") == problem
    value["loops"]["source"] = [2]
    with pytest.raises(BadInputError, match=r"loops\.source"):
        problem_from_json(value, "file")
    assert "loops" not in problem_to_json(loop_of("seven"))


def test_what_the_user_says_is_recorded_and_read_again() -> None:
    for said in (Given(), Given({"k": 0.5}), Given({"k": 0.5}, {"while.3": 4}), given_of(None, 7)):
        assert recorded_in({"seed": 1, **said.recorded()}, "plan") == said
    with pytest.raises(BadInputError, match=r"plan: options\.trips"):
        recorded_in({"trips": "{"}, "plan")


def test_shares_of_time_and_bytes_by_source() -> None:
    """Before the loop a negation (8 MiB of HBM traffic) and a kernel of as many bytes that takes 1 ms; 0 trips."""
    kernel = f'  %kernel = {ARRAY} custom-call(%outer), custom_call_target="tpu_custom_call"\n'
    problem = Given(trips={ALL_LOOPS: 0}).applied_to(loop_of("n", kernel))
    found = shares(problem)
    assert {source: share.bytes for source, share in found.items()} == {"analytic": 0.5, "none": 0.5}
    assert (found["none"].time, found["none"].instructions) == (0.0, 1)
    assert counted_words(shares_document(problem)) == (
        "100 % of the time and 50 % of the bytes by formulas from the HLO alone, "
        "50 % of the bytes not at all (1 instruction)"
    )
    timed = Given({"kernel": 1e-3}).applied_to(problem)
    negation = 2**23 / timed.target.hbm_bandwidth
    assert shares(timed)["user"] == Share(pytest.approx(1e-3 / (1e-3 + negation), rel=1e-5), 0.5, 1)
    assert timed.notes[0] == (
        "counted: 1.12 % of the time and 50 % of the bytes by formulas from the HLO alone, "
        "98.9 % of the time and 50 % of the bytes by the user's word (1 instruction)"
    )
