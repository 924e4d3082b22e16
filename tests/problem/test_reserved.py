"""Reservations as the tables of a compile log tell them."""

from __future__ import annotations

from mallocgame.problem.reserved import reserved_in
from mallocgame.problem.schema import Reservation
from tests.problem.captured import ALL
from xla_dump_parser.compile_log import parse_compile_log, reduce_compile_log

HEADER = "buffer_id,buffer_name,alt_mem_benefit,size,definition_time,use_times,use_names"


def log_of(buffers: str, allocations: str, header: str = HEADER + ",is_scoped") -> str:
    """The two tables of a log."""
    return f"{header}\n{buffers}\nbuffer_id,size,offset,start_time,end_time\n{allocations}\n"


SCOPED = log_of(
    """-8,"scoped allocation for c",0,4096,2,"","",1
-0,"scoped allocation for a",0,4096,0,"","",1
-5,"scoped allocation for b",0,4096,1,"","",1
-9,"scoped allocation for k",0,65536,3,"","",1
-9,"scoped allocation for k",0,65536,4,"","",1
0,"<0 a>",0,4096,0,"2","c, operand 0",0""",
    """-8,4096,0,2,2
0,4096,0,0,0
-5,4096,0,1,1
-9,65536,0,3,3
-9,65536,0,4,4
0,4096,8192,0,2""",
)
"""In no order, as MSA has it; one time after the last instruction; the id 0 has no negative."""


def test_neighbours_that_are_alike_are_one_and_times_beyond_the_end_are_none() -> None:
    log = parse_compile_log(SCOPED)
    assert reserved_in(log, 4) == (Reservation(0, 2, 0, 4096), Reservation(3, 3, 0, 65536))
    assert reserved_in(log, 2) == (Reservation(0, 1, 0, 4096),)


def test_a_reduced_log_tells_the_same() -> None:
    noise = "I1122 14:26:41.258473    2457 algorithm.cc:571] something else\n"
    assert reserved_in(parse_compile_log(reduce_compile_log(noise + SCOPED + noise)), 4) == reserved_in(
        parse_compile_log(SCOPED), 4
    )


def test_tables_of_versions_that_do_not_say_what_is_scoped() -> None:
    log = parse_compile_log(log_of('-3,"scoped",0,64,1,"",""', "-3,64,128,1,1\n7,64,0,0,3", HEADER))
    assert reserved_in(log, 4) == (Reservation(1, 1, 128, 64),)


def test_programs_without_large_kernels_reserve_nothing() -> None:
    for captured in ALL:
        assert captured.problem.reserved == ()
