"""Flags of libtpu: every spelling is read back, and what is about files or the log is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mallocgame.plan.init_args import Flag, decode_init_args, is_passed_on, read_flags, split_option
from mallocgame.system.errors import BadInputError

NAMES = st.from_regex(r"xla_[a-z0-9_]{1,20}", fullmatch=True)
VALUES = st.from_regex(r"[!-~]{1,20}", fullmatch=True)
WORDS = st.from_regex(r"-?[0-9][!-~]{0,9}|[!-,.-~][!-~]{0,9}", fullmatch=True)


def attached(dashes: str, name: str, value: str) -> Flag:
    return Flag(name, value, (f"{dashes}{name}={value}",))


def apart(dashes: str, name: str, value: str) -> Flag:
    return Flag(name, value, (f"{dashes}{name}", value))


def switch(dashes: str, no: str, name: str) -> Flag:
    return Flag(no + name, None, (f"{dashes}{no}{name}",))


DASHES = st.sampled_from(("-", "--"))
FLAGS = st.one_of(
    st.builds(attached, DASHES, NAMES, VALUES),
    st.builds(apart, DASHES, NAMES, WORDS),
    st.builds(switch, DASHES, st.sampled_from(("", "no")), NAMES),
)


@given(st.lists(FLAGS))
def test_what_is_written_in_any_spelling_is_read_back(flags: list[Flag]) -> None:
    assert read_flags([word for flag in flags for word in flag.words]) == tuple(flags)


def test_words_that_are_no_flags_count_nothing() -> None:
    found = read_flags(["word", "--a", "1", "2", "-1", "-", "--b=", "3", "--c=x=y", "--", "--d"])
    assert found == (Flag("a", "1", ("--a", "1")), Flag("b", "", ("--b=",)), Flag("c", "x=y", ("--c=x=y",)))


@pytest.mark.parametrize(
    ("words", "split"),
    [
        ("", {}),
        ("--xla_tpu_scoped_vmem_limit_kib=1 -xla_tpu_scoped_vmem_limit_kib 2", {"xla_tpu_scoped_vmem_limit_kib": "2"}),
        ("--xla_tpu_scoped_vmem_limit_kib=1 --xla_tpu_scoped_vmem_limit_kib=many", {}),
        ("--xla_tpu_scoped_vmem_limit_kib", {}),
        ("-- --xla_tpu_scoped_vmem_limit_kib=1", {}),
    ],
)
def test_the_memory_split_is_that_of_the_last_flag(words: str, split: dict[str, str]) -> None:
    assert split_option(words.split()) == split


@pytest.mark.parametrize(
    "words",
    ["--xla_jf_dump_to=/etc", "-flagfile /etc/x", "--xla_a=1 --xla_tpu_profile_path=x", "--v=3", "--fromenv=xla_a"],
)
def test_flags_about_files_and_the_log(words: str) -> None:
    assert not is_passed_on(read_flags(words.split())[-1])
    with pytest.raises(BadInputError, match=r"^here: '[a-z_]+' is not a flag that a compile may have$"):
        decode_init_args(words.split(), "here")


def test_flags_of_a_compile_are_taken() -> None:
    words = ["--xla_sc_disjoint_spmem=false", "--xla_a", "-1", "-xla_v=2", "--noxla_b", "--xla_c=" + "1" * 100_000]
    assert decode_init_args(words, "here") == tuple(words)
