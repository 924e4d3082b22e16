"""The table of targets against itself, against logs, and against a fresh compile of each target."""

from __future__ import annotations

import math

import pytest

from benchmarks.reading.costs import elapsed_error, reduction_error
from mallocgame.problem.target_log import target_from_log
from mallocgame.problem.targets import TARGETS, TOPOLOGIES, get_target, topology_for
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
    with pytest.raises(BadInputError, match="the program is for 17 devices; v6e is known with up to 16"):
        topology_for("v6e", 17)


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
    logged = target_from_log(table, parse_compile_log(log))
    assert (logged.fast_space, logged.fast_bytes, logged.alignment) == (
        table.fast_space,
        fast_bytes or table.fast_bytes,
        table.alignment,
    )
    for field in ("hbm_bandwidth", "fast_read_bandwidth", "fast_write_bandwidth"):
        assert math.isclose(getattr(logged, field), getattr(table, field), rel_tol=1e-5), field
    assert f"is {table.min_seconds:.6g}\n" in log
