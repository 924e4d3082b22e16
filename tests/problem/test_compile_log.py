"""The compile-log reader on lines written by hand, on real logs and on noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.problem.captured import ALL, SCAN, Captured
from xla_dump_parser import ParseError
from xla_dump_parser.compile_log import parse_compile_log, reduce_compile_log
from xla_dump_parser.log_records import InitialResource, LoggedValue, Reduction
from xla_dump_parser.msa_tables import (
    AllocationInfo,
    OperandSite,
    parse_allocinfo,
    parse_bufferinfo,
    parse_scheduleinfo,
)

PREFIX = "I1122 14:26:41.258473    2457 op_cost.cc:571] "
COST = "Cost for <type={},computation=main.1,instruction=fusion.2,operand_num={},shape_index={}> is {}"


def test_costs() -> None:
    lines = [
        COST.format("compute-seconds", "-", "-", "1.5e-06"),
        COST.format("total-bytes-accessed", "-", "-", "1.04858e+06"),
        COST.format("operand-bytes-accessed", 3, "{1,0}", "512"),
        COST.format("output-bytes-accessed", "-", "{}", "1024"),
    ]
    log = parse_compile_log("\n".join(PREFIX + line for line in lines))
    cost = log.costs["main.1", "fusion.2"]
    assert cost.compute_seconds == 1.5e-6
    assert cost.total_bytes == 1048580
    assert cost.operand_bytes == {(3, (1, 0)): 512}
    assert cost.output_bytes == {(): 1024}


def test_a_prefetch_belongs_to_the_use_before_it() -> None:
    log = parse_compile_log(
        "Finding allocation for computation = b, position = p {2}, value = <59 ws.1> [13, 21] latest prefetch = 21 "
        "last use = 22 use = fusion.21, operand 1 {0}. Size = 3670016, def pos = wide.arg_tuple.0 {2}\n"
        "Trying prefetch picker = Async copy elapsed (s) = 4.97521e-06, inst elapsed reduction (s) = 6.79156e-07, "
        "logical interval elapsed (s) = 1.42763e-06, interval = (13, 21)\n"
    )
    assert log.reductions == (Reduction(OperandSite("fusion.21", 1, (0,)), 3670016, 4.97521e-06, 6.79156e-07),)


def test_values_options_and_required_assignments() -> None:
    log = parse_compile_log(
        "memory_space_assignment_options::Options:\nmax_size_in_bytes: 117440512\nverify: 0\nsomething else\n"
        "Adding required assignment for value : <83 cond.1{0} (phi)> required assignment: RequiredMemoryAssignment("
        "memory_space=def, time=38, offset=null, message=Program output.)\n"
        "Skip <4 tuple.3{}> because it is not allowed in the alternate memory.\n"
        "  buffer: HloBuffer 51, values: <53 fusion.21>, <58 copy.11> value: <53 fusion.21>: (21, 22) off: 0, size: 5\n"
    )
    assert log.options == {"max_size_in_bytes": "117440512", "verify": "0"}
    assert log.required[0].value == LoggedValue(83, "cond.1", (0,), True)
    assert (log.required[0].space, log.required[0].time, log.required[0].message) == ("def", 38, "Program output.")
    assert log.skips == ((LoggedValue(4, "tuple.3", (), False), "it is not allowed in the alternate memory"),)


def test_tables() -> None:
    buffers = parse_bufferinfo(
        "buffer_id,buffer_name,alt_mem_benefit,size,definition_time,use_times,use_names,is_scoped\n"
        '51,"<58 copy.11>",1.0e-08,524288,5,"20;23","copy.13, operand 0;while.2, operand 0 {1}",0\n'
    )
    assert buffers[0].use_times == (20, 23)
    assert buffers[0].uses == (OperandSite("copy.13", 0, ()), OperandSite("while.2", 0, (1,)))
    assert parse_allocinfo("buffer_id,size,offset,start_time,end_time\n-3,4096,0,1,2\n") == (
        AllocationInfo(-3, 4096, 0, 1, 2),
    )
    assert parse_scheduleinfo('time,instruction_name\n7,"fusion.1"\n')[0].instruction == "fusion.1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table header"),
        ("buffer_id,size\n", "lacks offset"),
        ("buffer_id,size,offset,start_time,end_time\n1,2,3\n", "3 cells"),
        ("buffer_id,size,offset,start_time,end_time\n1,2,x,4,5\n", "bad table row"),
        (f"buffer_id,size,offset,start_time,end_time\n1,{'9' * 30},0,4,5\n", "30 characters"),
    ],
)
def test_damaged_tables(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse_allocinfo(text)


def test_two_compiles_in_one_log() -> None:
    text = SCAN.text("log")
    with pytest.raises(ParseError, match="more than one compile"):
        parse_compile_log(text + text)


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_real_logs(captured: Captured) -> None:
    log = captured.log
    assert len(log.resources) == len(log.sequence) == len(captured.problem.instructions)
    assert [resource.instruction for resource in log.resources] == [name for _, name in log.sequence]
    assert log.reductions
    assert log.buffers
    assert int(log.options["alignment_in_bytes"]) == 4096
    first = log.resources[0]
    assert first == InitialResource(0, first.seconds, log.sequence[0][1])


@pytest.mark.parametrize("captured", ALL, ids=str)
def test_reducing_keeps_every_record(captured: Captured) -> None:
    text = captured.text("log")
    noisy = "".join(
        f"{PREFIX}{line}\nsome other line\n" if line[:1] != " " else line + "\n" for line in text.split("\n")
    )
    reduced = reduce_compile_log(text)
    assert parse_compile_log(reduced) == captured.log
    assert reduce_compile_log(reduced) == reduced
    assert parse_compile_log(noisy).costs == captured.log.costs


_WORDS = st.sampled_from(SCAN.text("log").split("\n")[::7])


@given(st.lists(_WORDS | st.text(max_size=40), max_size=30), st.integers(0, 60))
def test_noise_ends_in_a_parse_or_one_line(lines: list[str], cut: int) -> None:
    text = "\n".join(line[: cut or None] for line in lines)
    assert "\n" not in _refusal(text)


def _refusal(text: str) -> str:
    try:
        parse_compile_log(text)
    except ParseError as error:
        return str(error)
    return ""
