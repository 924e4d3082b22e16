"""The table of targets against itself, against logs, and against a fresh compile of each target."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.reading.costs import elapsed_error, reduction_error
from mallocgame.compiler.described import describe, place_of
from mallocgame.problem.target_log import target_from_log
from mallocgame.problem.targets import TARGETS, TOPOLOGIES, get_target, topology_for
from mallocgame.problem.topologies import Place, Topology, parse_topology, topology_of
from mallocgame.system.errors import BadInputError
from tests.problem.captured import ALL, Captured
from xla_dump_parser.compile_log import parse_compile_log

FAST_BYTES_ELSEWHERE = {("tpu7x", "0.0.50.1"): 67_043_328}
"""Heaps of other versions than libtpu 0.0.52, which the table is of; a capture's own log always comes first."""


def test_names() -> None:
    assert TARGETS.keys() == TOPOLOGIES.keys()
    assert all(name == target.name for name, target in TARGETS.items())
    assert all(text.startswith(name + ":") for name, sizes in TOPOLOGIES.items() for text in sizes.values())
    with pytest.raises(BadInputError, match="unknown target 'v3'"):
        get_target("v3")


def test_the_smallest_topology_with_enough_devices() -> None:
    assert topology_for("v5e", 1) == "v5e:1x1"
    assert topology_for("v5e", 3) == topology_for("v5e", 4) == "v5e:2x2"
    assert topology_for("v4", 1) == topology_for("v4", 8) == "v4:2x2x1"
    assert topology_for("v5p", 8) == "v5p:2x2x2"
    assert topology_for("v6e", 17) == topology_for("v6e", 32) == "v6e:4x8"
    assert topology_for("v5e", 256) == "v5e:16x16"
    assert topology_for("v5p", 64) == "v5p:4x4x4"
    assert topology_for("tpu7x", 64) == "tpu7x:2x4x4"
    with pytest.raises(BadInputError, match="the program is for 257 devices; v6e is known with up to 256"):
        topology_for("v6e", 257)


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_bandwidth_beside_a_sparse_core(captured: Captured) -> None:
    """There ``Initial resource`` has 0.8 of the time: as if HBM were 1.25 times as fast."""
    table, log = get_target(captured.target), captured.log
    names = [resource.instruction for resource in log.resources]
    beside = {name for number, name in enumerate(names) if number % 8}
    slower = [replace(one, seconds=one.seconds * (0.8 if one.instruction in beside else 1.0)) for one in log.resources]
    scaled = replace(log, resources=tuple(slower))
    assert math.isclose(target_from_log(table, scaled, beside).hbm_bandwidth, table.hbm_bandwidth, rel_tol=1e-5)


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_bandwidth_where_all_instructions_are_bound_by_computing(captured: Captured) -> None:
    """Their bytes over their time are no bandwidth, even if they are all alike."""
    table, log = get_target(captured.target), captured.log
    costs = {key: replace(cost, compute_seconds=1e-4, total_bytes=1e6) for key, cost in log.costs.items()}
    busy = tuple(replace(resource, seconds=1e-4) for resource in log.resources)
    bound = replace(log, costs=costs, resources=busy)
    assert math.isclose(target_from_log(table, bound, ()).hbm_bandwidth, table.hbm_bandwidth, rel_tol=1e-5)


def test_a_topology_is_one_text() -> None:
    for text, topology in (
        ("v4 lite:1x1", Topology("v4 lite:1x1")),
        ("v5e:2x2*3", Topology("v5e:2x2", 3)),
        ("v5e:2x2@0,1,3,2", Topology("v5e:2x2", 1, (0, 1, 3, 2))),
        ("v5e:1x1*2@1,0", Topology("v5e:1x1", 2, (1, 0))),
    ):
        assert parse_topology(text) == topology
        assert str(topology) == text
    for text in ("", "v5e:2x2*0", "v5e:2x2@", "v5e:2x2@0,", "v5e:2x2@0*2"):
        with pytest.raises(BadInputError, match="is no topology"):
            parse_topology(text)


@pytest.mark.parametrize(
    ("target", "places", "text"),
    [
        ("v5e", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], "v5e:2x2"),
        ("v5e", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], "v5e:2x2@0,1,3,2"),
        ("v5e", [(x, y, 0) for y in range(2) for x in range(4)], "v5e:4x2"),
        ("v5p", [(x, y, z) for z in range(4) for y in range(2) for x in range(2)], "v5p:2x2x4"),
    ],
)
def test_places_of_devices_are_a_topology(target: str, places: list[tuple[int, int, int]], text: str) -> None:
    devices = [Place(0, place, 0) for place in places]
    assert str(topology_of(target, devices)) == text
    twice = [Place(slice, place, 0) for slice in (3, 7) for place in places]
    assert str(topology_of(target, twice)).startswith(text.partition("@")[0] + "*2")


def test_places_that_fill_no_topology() -> None:
    one, other, third = (Place(0, (x, 0, 0), 0) for x in range(3))
    for target, devices in (
        ("v5e", [one, third]),  # one is left out
        ("v5e", [one, one]),
        ("v5e", [one, other, replace(one, slice=1)]),  # slices of two shapes
        ("v4", [one, other]),  # a chip has two devices
    ):
        assert topology_of(target, devices) is None
    assert (
        str(topology_of("v4", [replace(place, core=core) for place in (one, other) for core in (0, 1)])) == "v4:2x1x1"
    )


@pytest.mark.libtpu
@pytest.mark.parametrize("name", list(TARGETS))
def test_topologies_are_what_libtpu_describes(name: str) -> None:
    for count, topology in TOPOLOGIES[name].items():
        if count <= 1024:  # larger ones take seconds
            devices = describe(topology)
            assert len(devices) == count
            assert str(topology_of(name, [place_of(device) for device in devices])) == topology
    two = describe(f"{topology_for(name, 8)}*2")
    assert len(two) == 16
    assert len({device.id for device in two}) == 16


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_the_table_is_what_logs_say(captured: Captured) -> None:
    _same(captured.target, captured.text("log"))


@pytest.mark.libtpu
@pytest.mark.parametrize("name", list(TARGETS))
def test_the_table_is_what_a_fresh_compile_says(name: str) -> None:
    from mallocgame.compiler.capturing import capture

    fresh = capture("workloads.tiny:tiny", None, name)
    log = parse_compile_log(fresh.log)
    _same(name, fresh.log, FAST_BYTES_ELSEWHERE.get((name, fresh.versions["libtpu"])))
    assert elapsed_error(fresh.problem(), log)[0] <= 1e-5
    assert any(reduction.seconds for reduction in log.reductions)
    assert reduction_error(fresh.problem(), log) <= 1e-5


def _same(name: str, log: str, fast_bytes: int | None = None) -> None:
    table = get_target(name)
    logged = target_from_log(table, parse_compile_log(log), ())
    assert (logged.fast_space, logged.fast_bytes, logged.alignment) == (
        table.fast_space,
        fast_bytes or table.fast_bytes,
        table.alignment,
    )
    for field in ("hbm_bandwidth", "fast_read_bandwidth", "fast_write_bandwidth"):
        assert math.isclose(getattr(logged, field), getattr(table, field), rel_tol=1e-5), field
    assert f"is {table.min_seconds:.6g}\n" in log
