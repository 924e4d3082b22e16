"""What collectives take by the links between chips: bytes, seconds, and that no placement goes below."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mallocgame.game import Game
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.replay import Model, relaxed_bound, replay_final, replay_plan, uncounted_of_plan
from mallocgame.plan.plan import Plan
from mallocgame.problem.build import build_problem
from mallocgame.problem.costs.collectives import collective_of, group_size
from mallocgame.problem.counted import shares
from mallocgame.problem.given import Given
from mallocgame.problem.links import links_of
from mallocgame.problem.problem_json import problem_from_json, problem_to_json
from mallocgame.problem.schema import Problem
from mallocgame.problem.targets import get_target
from mallocgame.report.limits import seconds_by_limit
from mallocgame.solvers import solve
from mallocgame.solvers.exact.bound import proven_bound
from mallocgame.system.errors import BadInputError
from xla_dump_parser import parse_hlo
from xla_dump_parser.hlo import HloModule

MIB = 1 << 20
PART, WHOLE = "bf16[1024,4096]{1,0:T(8,128)(2,1)}", "bf16[4096,4096]{1,0:T(8,128)(2,1)}"
"""8 and 32 MiB, no padding."""

MODELS: tuple[Model, ...] = ("E", "M")


def module_of(line: str, header: str = "", shape: str = WHOLE) -> HloModule:
    """A program of one collective: ``{p}`` is its operand of 8 MiB."""
    return parse_hlo(
        f"HloModule m, is_scheduled=true{header}\n\n%add (a: bf16[], b: bf16[]) -> bf16[] {{\n"
        "  %a = bf16[] parameter(0)\n  %b = bf16[] parameter(1)\n  ROOT %s = bf16[] add(%a, %b)\n}\n\n"
        f"ENTRY %main (p: bf16[1024,4096]) -> bf16[4096,4096] {{\n  %p = {PART} parameter(0)\n"
        f"  %x = {PART} negate(%p)\n  %c = {shape} {line}\n  ROOT %y = {shape} negate(%c)\n}}\n"
    )


GATHER = "all-gather(%x), channel_id=1, replica_groups={groups}, dimensions={{0}}, use_global_device_ids=true"


def gather(groups: str = "{{0,1,2,3}}", header: str = "") -> HloModule:
    return module_of(GATHER.format(groups=groups), header)


def incoming(module: HloModule, devices_per_chip: int = 1) -> float | None:
    found = collective_of(module, module.entry, module.entry.by_name["c"], devices_per_chip)
    assert found is not None
    return found.incoming


@pytest.mark.parametrize(
    ("line", "one", "two"),
    [
        # of 4 devices with 8 MiB each; then with two of these devices on a chip
        ("all-gather(%x), replica_groups={{0,1,2,3}}, dimensions={0}", 24, 16),
        ("all-reduce(%x), replica_groups={{0,1,2,3}}, to_apply=%add", 12, 8),
        ("reduce-scatter(%x), replica_groups={{0,1,2,3}}, dimensions={0}, to_apply=%add", 6, 4),
        ("all-to-all(%x), replica_groups={{0,1,2,3}}, dimensions={0}", 6, 8),
        ("collective-broadcast(%x), replica_groups={{0,1,2,3}}", 8, 8),
        ("collective-permute(%x), source_target_pairs={{0,1},{1,2},{2,3},{3,0}}", 8, 8),
        ("collective-permute(%x), source_target_pairs={{0,1},{1,0},{2,3},{3,2}}", 8, 0),
        ("collective-permute(%x), source_target_pairs={{0,0},{1,1}}", 0, 0),
        ("all-reduce(%x), replica_groups={{0,1},{2,3}}, to_apply=%add", 8, 0),
        ("all-reduce(%x), replica_groups={{0},{1}}, to_apply=%add", 0, 0),
        ("ragged-all-to-all(%x, %x, %x, %x, %x, %x), replica_groups={{0,1,2,3}}", None, None),
    ],
)  # fmt: skip
def test_bytes_into_a_chip(line: str, one: int | None, two: int | None) -> None:
    module = module_of(line)
    for devices, expected in ((1, one), (2, two)):
        assert incoming(module, devices) == (None if expected is None else expected * MIB)


@pytest.mark.parametrize(
    ("groups", "header", "size"),
    [
        ("{{0,1},{2,3}}", "", 2),
        ("{{0,1,2},{3}}", "", 3),
        ("[2,4]<=[8]", "", 4),
        ("[4,2]<=[2,2,2]T(2,1,0)", "", 2),
        ("mesh['axis_0'=2,'axis_1'=3] {'axis_1'}", "", 3),
        ("mesh['a'=2,'b'=3] {'a','b'}", "", 6),
        ("mesh['a'=8] {'a':(2)4}", "", 4),
        ("{}", ", num_partitions=4", 4),
        ("{}", ", replica_count=2, num_partitions=4", 8),
        ("{}", "", 1),
        ("mesh['a'=2] {'b'}", "", None),
        ("somehow", "", None),
    ],
)  # fmt: skip
def test_groups_as_xla_writes_them(groups: str, header: str, size: int | None) -> None:
    module = gather(groups, header)
    assert group_size(module, module.entry.by_name["c"]) == size


def test_without_channels_all_are_replicas() -> None:
    module = module_of("all-to-all(%x), dimensions={0}", ", replica_count=3, num_partitions=5")
    assert group_size(module, module.entry.by_name["c"]) == 3
    module = module_of("all-to-all(%x), dimensions={0}, channel_id=1", ", replica_count=3, num_partitions=5")
    assert group_size(module, module.entry.by_name["c"]) == 5


@pytest.mark.parametrize(
    ("target", "topology", "bandwidth"),
    [
        ("v5e", None, 200e9),
        ("v5e", "v5e:2x2", 100e9),
        ("v5e", "v5e:2x4", 150e9),
        ("v5e", "v5e:4x4", 200e9),
        ("v5e", "v5e:2x2@0,1,3,2", 100e9),
        ("v4", "v4:2x2x1", 100e9),
        ("v5p", "v5p:2x2x1", 200e9),
        ("v5p", "v5p:4x4x4", 600e9),
        ("v6e", None, 400e9),
        ("tpu7x", "tpu7x:2x2x2", 300e9),
        ("v5e", "v5e:2x2*2", None),
        ("v4 lite", None, None),
    ],
)  # fmt: skip
def test_links_of_a_slice(target: str, topology: str | None, bandwidth: float | None) -> None:
    assert links_of(target, topology).bandwidth == bandwidth


def problem_of(module: HloModule, target: str = "v5e", topology: str | None = "v5e:2x2") -> Problem:
    return build_problem(module, get_target(target), topology=topology)


def collective_in(problem: Problem) -> int:
    return next(time for time, step in enumerate(problem.instructions) if step.name == "c")


def all_fast(problem: Problem) -> Plan:
    """Everything in fast memory; the replay asks for no addresses."""
    return Plan(
        problem.fingerprint,
        frozenset(tensor.id for tensor in problem.tensors),
        frozenset((tensor.id, number) for tensor in problem.tensors for number in range(len(tensor.uses))),
    )


LEAST = 24 * MIB / 100e9
"""Seconds of ``gather`` on v5e:2x2: 252 us; its 40 MiB take 57 us of HBM."""


@pytest.mark.parametrize("model", MODELS)
def test_a_collective_takes_as_long_wherever_its_operands_lie(model: Model) -> None:
    problem = problem_of(gather())
    time = collective_in(problem)
    assert problem.instructions[time].compute_seconds == problem.target.min_seconds  # the compiler's own
    for plan in (Plan(problem.fingerprint), all_fast(problem)):
        rows = {row.name: row for row in replay_plan(problem, plan, model).rows}
        assert rows["c"].seconds == LEAST
    assert relaxed_bound(problem, model) > LEAST


def test_solvers_the_game_and_bounds_go_by_it() -> None:
    """Left to gain are the two negations: 16 and 64 MiB of HBM, of which 8 have to be read and 32 to be written."""
    problem = problem_of(gather())
    before = replay_plan(problem, Plan(problem.fingerprint), "M").total
    hbm, fast = problem.target.hbm_bandwidth, problem.target.fast_read_bandwidth
    assert before == pytest.approx(80 * MIB / hbm + LEAST)
    least = 40 * MIB / hbm + 40 * MIB / fast + LEAST
    assert proven_bound(problem, time_limit=20).seconds == pytest.approx(least)
    for solver in ("greedy", "local", "exact"):
        plan = solve(problem, solver, time_limit=5).plan
        assert replay_plan(problem, plan, "M").total == pytest.approx(least)
    state = (game := Game(problem)).start()
    gained = 0.0
    while not game.done(state):
        state, reward = game.step(state, min(game.legal(state), key=lambda move: move.name != "NO_COPY"))
        gained += reward
    assert replay_plan(problem, game.plan(state), "M").total == pytest.approx(before - gained)


def test_a_final_text_is_replayed_with_it_whatever_cycles_it_has() -> None:
    problem = problem_of(gather())
    text = (
        "HloModule m, is_scheduled=true\n\n"
        f"ENTRY %main (p: bf16[1024,4096]) -> bf16[4096,4096] {{\n  %p = {PART} parameter(0)\n"
        f"  %x = {PART.replace(')}', ')S(1)}')} negate(%p)\n"
        f"  %c = {WHOLE.replace(')}', ')S(1)}')} {GATHER.format(groups='{{0,1,2,3}}')}, "
        'backend_config={"window_config":{"estimated_cycles":"7"}}\n'
        f"  ROOT %y = {WHOLE} negate(%c)\n}}\n"
    )
    for model in MODELS:
        rows = {row.name: row.seconds for row in replay_final(problem, parse_hlo(text), model).rows}
        assert rows["c"] == LEAST
    table = CycleTable(problem)
    table.observe([0] * len(problem.instructions), [7] * len(problem.instructions))
    assert table.cycles(collective_in(problem), 0) is None
    assert table.cycles(collective_in(problem) + 1, 0) == 7


def test_what_is_told() -> None:
    problem = problem_of(gather())
    hbm = 80 * MIB / problem.target.hbm_bandwidth
    share, without = LEAST / (LEAST + hbm), hbm + 40 * MIB / problem.target.hbm_bandwidth
    assert problem.notes == (
        f"counted: {100 * (1 - share):.3g} % of the time and 66.7 % of the bytes by formulas from the HLO alone, "
        f"{100 * share:.3g} % of the time and 33.3 % of the bytes by what the links between chips take at least "
        "(1 collective)",
        f"links: collectives take at least {1e6 * LEAST:.4g} us of them; M in HBM is {1e6 * (LEAST + hbm):.4g} us, "
        f"without the links {1e6 * without:.4g} us",
        "links between chips: 2 of 4 of a chip, 50 GB/s each, one way (docs.cloud.google.com/tpu/docs/v5e: 400 GBps "
        "both ways a chip, 4 ports)",
    )
    assert problem.kernels == ((collective_in(problem), "links"),)
    assert shares(problem)["links"].time == pytest.approx(share)


def test_what_waits_for_links_is_no_computing() -> None:
    problem = problem_of(gather())
    limits = seconds_by_limit(problem, replay_plan(problem, Plan(problem.fingerprint), "M"))
    hbm = pytest.approx(80 * MIB / problem.target.hbm_bandwidth)
    assert limits == {"compute": 0.0, "HBM": hbm, "fast memory": 0.0, "links": LEAST, "waiting": 0.0}


@pytest.mark.parametrize(
    ("target", "topology", "why"),
    [
        ("v4 lite", None, "nothing is known of those of v4 lite"),
        ("v5e", "v5e:2x2*2", "nothing is known of the network between slices"),
    ],
)
def test_where_the_links_are_not_known_moving_its_operands_is_no_gain(
    target: str, topology: str | None, why: str
) -> None:
    problem = problem_of(gather(), target, topology)
    assert problem.kernels == ((collective_in(problem), "none"),)
    assert problem.notes[1:] == (
        "not counted: collectives of which nothing is known: c",
        f"links between chips: {why}",
    )
    assert problem.notes[0].endswith("33.3 % of the bytes not at all (1 instruction)")
    assert uncounted_of_plan(problem, all_fast(problem)) == ("c operand 0", "c")
    assert all(step.link_seconds == 0 for step in problem.instructions)


def test_the_users_word_goes_before_the_links() -> None:
    problem = Given({"c": 1e-3}).applied_to(problem_of(gather()))
    assert problem.kernels == ((collective_in(problem), "user"),)
    assert not any(note.startswith("links") for note in problem.notes)
    rows = {row.name: row.seconds for row in replay_plan(problem, all_fast(problem), "E").rows}
    assert rows["c"] == 1e-3


def test_files_keep_it() -> None:
    problem = problem_of(gather())
    value = json.loads(json.dumps(problem_to_json(problem)))
    assert value["links"] == {"time": [collective_in(problem)], "seconds": [LEAST]}
    assert problem_from_json(value, "file") == problem
    value["links"]["time"] = [99]
    with pytest.raises(BadInputError, match=r"links\.time"):
        problem_from_json(value, "file")
    del value["links"]
    old = problem_from_json(value, "file")
    assert old == replace(problem, instructions=tuple(replace(step, link_seconds=0.0) for step in problem.instructions))


STARTED = f"""HloModule m, is_scheduled=true

ENTRY %main (p: bf16[1024,4096]) -> bf16[4096,4096] {{
  %p = {PART} parameter(0)
  %s = ({PART}, {WHOLE}) all-gather-start(%p), channel_id=1, replica_groups={{{{0,1,2,3}}}}, dimensions={{0}}, use_global_device_ids=true
  %x = {PART} negate(%p)
  ROOT %d = {WHOLE} all-gather-done(%s)
}}
"""  # noqa: E501


def test_what_runs_beside_the_program_is_told_and_not_counted() -> None:
    problem = problem_of(parse_hlo(STARTED))
    assert problem.notes == (
        "beside the program: collectives that no model counts, 1; one run of each takes at least "
        f"{1e6 * LEAST:.4g} us of the links",
    )
    assert (problem.kernels, sum(step.link_seconds for step in problem.instructions)) == ((), 0.0)
    assert replay_plan(problem, Plan(problem.fingerprint), "M").total == 16 * MIB / problem.target.hbm_bandwidth


FUSED = """HloModule m, is_scheduled=true

%start (a: PART) -> (PART, WHOLE) {
  %a = PART parameter(0)
  %g = WHOLE all-gather(%a), channel_id=1, replica_groups={{0,1,2,3}}, dimensions={0}, use_global_device_ids=true, backend_config={"async_collective_fusion_config":{"flag_end":"-1","flag_start":"-1"}}
  ROOT %t = (PART, WHOLE) custom-call(%g), custom_call_target="AsyncCollectiveStart"
}

%between (b: PART, c: WHOLE, d: PART) -> (PART, PART, WHOLE) {
  %b = PART parameter(0)
  %c = WHOLE parameter(1)
  %d = PART parameter(2)
  %h = WHOLE all-gather(%b), channel_id=1, replica_groups={{0,1,2,3}}, dimensions={0}, use_global_device_ids=true, backend_config={"async_collective_fusion_config":{"flag_end":"15","flag_start":"2"}}
  %n = PART negate(%d)
  ROOT %u = (PART, PART, WHOLE) tuple(%n, %b, %h)
}

%done (e: PART, f: WHOLE) -> WHOLE {
  %e = PART parameter(0)
  %f = WHOLE parameter(1)
  %i = WHOLE all-gather(%e), channel_id=1, replica_groups={{0,1,2,3}}, dimensions={0}, use_global_device_ids=true, backend_config={"async_collective_fusion_config":{"flag_end":"15","flag_start":"2"}}
  ROOT %v = WHOLE custom-call(%e, %f, %i), custom_call_target="AsyncCollectiveDone"
}

ENTRY %main (p: PART) -> WHOLE {
  %p = PART parameter(0)
  %start.1 = (PART, WHOLE) fusion(%p), kind=kCustom, calls=%start
  %part = PART get-tuple-element(%start.1), index=0
  %whole = WHOLE get-tuple-element(%start.1), index=1
  %middle = (PART, PART, WHOLE) fusion(%part, %whole, %p), kind=kOutput, calls=%between
  %part.1 = PART get-tuple-element(%middle), index=1
  %whole.1 = WHOLE get-tuple-element(%middle), index=2
  ROOT %done.1 = WHOLE fusion(%part.1, %whole.1), kind=kCustom, calls=%done
}
""".replace("PART", PART).replace("WHOLE", WHOLE)  # noqa: E501


def test_a_fused_one_that_runs_beside_fusions_is_charged_at_both_ends() -> None:
    problem = problem_of(parse_hlo(FUSED))
    charged = {step.name: step.link_seconds for step in problem.instructions if step.link_seconds}
    assert charged == {"start.1": LEAST / 2, "done.1": LEAST / 2}


SCATTERED = """HloModule m, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %s = f32[] add(%a, %b)
}

%all-reduce-scatter (input: f32[1000,1024]) -> f32[256,1024] {
  %input = f32[1000,1024]{1,0:T(8,128)} parameter(0)
  %zero = f32[] constant(0)
  %padded = f32[1024,1024]{1,0:T(8,128)} pad(%input, %zero), padding=0_24x0_0
  %all-reduce = f32[1024,1024]{1,0:T(8,128)} all-reduce(%padded), channel_id=1, replica_groups={{0,1,2,3}}, use_global_device_ids=true, to_apply=%add
  %id = u32[] partition-id()
  %from = u32[] constant(0)
  ROOT %slice = f32[256,1024]{1,0:T(8,128)} dynamic-slice(%all-reduce, %id, %from), dynamic_slice_sizes={256,1024}
}

ENTRY %main (p: f32[1000,1024]) -> f32[256,1024] {
  %p = f32[1000,1024]{1,0:T(8,128)} parameter(0)
  ROOT %c = f32[256,1024]{1,0:T(8,128)} fusion(%p), kind=kCustom, calls=%all-reduce-scatter
}
"""  # noqa: E501


def test_a_fusion_that_keeps_a_slice_of_a_sum_is_a_reduce_scatter() -> None:
    """Three quarters of what is not padding."""
    assert incoming(parse_hlo(SCATTERED)) == 3 / 4 * 1000 * 1024 * 4
