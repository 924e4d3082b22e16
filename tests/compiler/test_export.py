"""Overrides as text: what a plan becomes, read back by an independent reader of text protos."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mallocgame.compiler.export.formats import to_flags, to_json, to_libtpu_init_args, to_python
from mallocgame.compiler.export.options import (
    GLOBAL_OPTIONS,
    REPACKS,
    SORT_ORDER,
    TENSOR_OVERRIDES,
    allocation_of,
    compiler_options,
)
from mallocgame.compiler.export.overrides import SHORT, InexpressibleError
from mallocgame.compiler.export.text import patterns
from mallocgame.plan.named_plan import NamedTensor, NamedUse
from mallocgame.plan.plan import Copy, Stay
from mallocgame.system.errors import BadInputError
from tests.compiler.plans import MIB, plan, tensor, use
from tests.compiler.text_proto import parse


def overrides(text: str) -> list[dict[str, Any]]:
    message = parse(text)
    assert set(message) <= {"overrides"}
    return message.get("overrides", [])


def actions(named: Any) -> list[tuple[str, str, tuple[int, ...], int | None, str]]:
    """(matcher, name pattern, tuple index, operand, action) of every override."""
    found = []
    for entry in overrides(compiler_options(named)[TENSOR_OVERRIDES]):
        (matcher,) = {"hlo_position_matcher", "hlo_operand_filter"} & entry.keys()
        (action,) = entry.keys() - {matcher}
        fields = entry[matcher][0]
        index = tuple(fields["tuple_index"][0].get("index", ())) if "tuple_index" in fields else ()
        found.append(
            (matcher, fields["instruction_name_regex"][0], index, fields.get("operand_number", [None])[0], action)
        )
    return found


def test_everything_in_hbm_is_one_keep_per_tuple_index() -> None:
    named = plan([tensor(0, "a.1", [use("f")]), tensor(1, "f", index=(1,)), tensor(2, "b")])
    assert actions(named) == [
        ("hlo_position_matcher", "a[.]1|b", (), None, "keep_in_default_memory"),
        ("hlo_position_matcher", "f", (1,), None, "keep_in_default_memory"),
    ]
    assert SORT_ORDER not in compiler_options(named)
    assert compiler_options(named).items() >= GLOBAL_OPTIONS.items()


def test_pinned_group_pins_every_position() -> None:
    named = plan(
        [
            tensor(0, "copy.1", [use("while.2", fast=True)], fast=True),
            tensor(1, "arg", [use("f", fast=True)], fast=True, group=0, index=(3,)),
        ],
        [Stay(0, 1, 4, 0), Stay(1, 5, 9, 0)],
    )
    assert actions(named) == [
        ("hlo_position_matcher", "copy[.]1", (), None, "pin_in_alternate_memory"),
        ("hlo_position_matcher", "arg", (3,), None, "pin_in_alternate_memory"),
    ]
    order = overrides(compiler_options(named)[SORT_ORDER])
    assert [entry["hlo_position_matcher"][0]["instruction_name_regex"][0] for entry in order] == ["copy[.]1", "arg"]
    assert all(entry["override_options"] == [{"assign_first": [1]}] for entry in order)
    assert SORT_ORDER not in compiler_options(replace(named, tiers=((0,),)))


def returned(name: str, uses: list[NamedUse], group: int, id: int) -> NamedTensor:
    """A result that the root reads at 9."""
    return tensor(id, name, [*uses, replace(use("tuple"), time=9)], fast=True, group=group)


def test_an_evicted_result_has_no_override() -> None:
    carried = tensor(0, "body", [use("root", True)], fast=True)
    stays = [Stay(0, 1, 4, 0), Stay(1, 5, 8, 0), Stay(2, 1, 2, MIB)]
    copies = [Copy(2, "eviction", 1, 8), Copy(1, "eviction", 5, 8)]
    named = plan([carried, returned("while", [], 0, 1), returned("f", [use("g", True)], 2, 2)], stays, copies)
    assert actions(named) == [("hlo_position_matcher", "body", (), None, "pin_in_alternate_memory")]


def test_an_evicted_product_is_kept_for_its_next_use_alone() -> None:
    """The first use follows from where it is made; of the last one only the prefetch has to be told."""
    uses = [replace(use("f", True), time=2), replace(use("g"), time=6), replace(use("h", True, 7), time=9)]
    root = tensor(1, "h", [replace(use("tuple"), time=10)])
    stays = [Stay(0, 1, 3, 0), Stay(0, 8, 9, 0)]
    named = plan([tensor(0, "p", uses, fast=True), root], stays, [Copy(0, "eviction", 1, 3), Copy(0, "prefetch", 7, 9)])
    assert actions(named) == [
        ("hlo_position_matcher", "h", (), None, "keep_in_default_memory"),
        ("hlo_operand_filter", "g", (), 0, "keep_in_default_memory"),
        ("hlo_operand_filter", "h", (), None, "prefetch"),
    ]


def test_a_donated_weight_is_prefetched_for_its_update() -> None:
    weight = tensor(0, "w", [use("f"), use("update", True, 3)])
    stays = [Stay(0, 4, 6, 0), Stay(1, 6, 8, 0)]
    copies = [Copy(0, "prefetch", 3, 6), Copy(1, "eviction", 6, 8)]
    assert actions(plan([weight, returned("update", [], 0, 1)], stays, copies)) == [
        ("hlo_operand_filter", "f", (), 0, "keep_in_default_memory"),
        ("hlo_operand_filter", "update", (), None, "prefetch"),
    ]


def test_a_donated_weight_may_be_updated_in_hbm() -> None:
    weight = tensor(0, "w", [use("f", True, 1), use("update")])
    named = plan(
        [weight, tensor(1, "update", [use("tuple")], group=0)], [Stay(0, 2, 4, 0)], [Copy(0, "prefetch", 1, 4)]
    )
    assert actions(named) == [
        ("hlo_position_matcher", "update", (), None, "keep_in_default_memory"),
        ("hlo_operand_filter", "update", (), 0, "keep_in_default_memory"),
        ("hlo_operand_filter", "f", (), None, "prefetch"),
    ]


def test_prefetch_keeps_the_other_uses() -> None:
    uses = [use("u0"), use("u1"), use("u2", True, 7, operand=4), use("u3", True), use("u4"), use("u5")]
    named = plan([tensor(0, "w", uses)], [Stay(0, 8, 12, 0)], [Copy(0, "prefetch", 7, 10)])
    assert actions(named) == [
        ("hlo_operand_filter", "u[0145]", (), 0, "keep_in_default_memory"),
        ("hlo_operand_filter", "u2", (), None, "prefetch"),
    ]
    (prefetch,) = [e["prefetch"][0] for e in overrides(compiler_options(named)[TENSOR_OVERRIDES]) if "prefetch" in e]
    assert prefetch == {"logical_time": [7], "strict_timing": [1]}
    assert "size_" not in compiler_options(named)[TENSOR_OVERRIDES]


def test_a_kept_use_tells_its_size_where_an_output_must_not_be_kept() -> None:
    weight = tensor(0, "w", [use("u"), use("v", True, 3)])
    fast = tensor(1, "u", [use("v", True, operand=1)], fast=True, size=2 * MIB)
    (kept,) = [
        entry["hlo_operand_filter"][0]
        for entry in overrides(compiler_options(plan([weight, fast]))[TENSOR_OVERRIDES])
        if "keep_in_default_memory" in entry
    ]
    assert kept["instruction_name_regex"] == ["u"]
    assert (kept["size_gte"], kept["size_lte"]) == ([MIB], [MIB])


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (plan([tensor(0, "a")], [], [Copy(0, "eviction", 1, 2)]), "evicts a"),
        (plan([tensor(0, "a", [use("f")], fast=True)]), "partly"),
        (plan([tensor(0, "w", [use("u")]), returned("u", [], 0, 1)], [], [Copy(1, "eviction", 1, 2)]), "evicts u"),
        (plan([tensor(0, "a", [use("f", True)], fast=True), tensor(1, "b", group=0)]), "partly"),
        (plan([tensor(0, "a", [use("f", True)])]), "nothing brings a to fast memory for f"),
        (plan([tensor(0, "a", [use("f", False, 1)])]), "reads HBM"),
        (
            plan([tensor(0, "a", [use("g", True, 1), use("f")]), tensor(1, "f", [use("h", True)], fast=True)]),
            "also keeps f there",
        ),
    ],
)
def test_what_cannot_be_expressed_is_refused_in_one_line(named: Any, words: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(words)) as caught:
        compiler_options(named)
    assert "\n" not in str(caught.value)


def test_fast_output_of_another_size_may_stand_beside_a_kept_use() -> None:
    tensors = [
        tensor(0, "a", [use("g", True, 1), use("f")]),
        tensor(1, "f", [use("h", True)], fast=True, size=2 * MIB),
        tensor(2, "f", [use("h", True)], fast=True, index=(0,)),
    ]
    assert compiler_options(plan(tensors, [Stay(0, 2, 3, 0), Stay(1, 2, 3, MIB), Stay(2, 2, 3, 4 * MIB)]))


def test_a_copy_before_a_loop_serves_the_uses_in_its_body() -> None:
    loop = NamedUse("while.2", ((0, (4,)),), True, 3, "x")
    named = plan([tensor(0, "w", [use("f", True), use("g", True), loop])], [Stay(0, 4, 20, 0)])
    assert actions(named) == [("hlo_operand_filter", "while[.]2", (), None, "prefetch")]


def test_a_loop_that_passes_on_what_is_copied_later_has_no_keep() -> None:
    loop = NamedUse("while.2", ((0, (4,)),), False)
    named = plan([tensor(0, "w", [use("f"), loop, use("g", True, 9), use("h")])], [Stay(0, 10, 20, 0)])
    assert [(name, action) for _, name, _, _, action in actions(named)] == [
        ("[fh]", "keep_in_default_memory"),
        ("g", "prefetch"),
    ]


def test_a_copy_that_a_second_loop_would_hold_on_to_is_inexpressible() -> None:
    """The second loop needs the keep, which also keeps what it gives back, and that is copied again later."""
    first, second = NamedUse("while.1", ((0, (4,)),), True, 3, "x"), NamedUse("while.2", ((0, (4,)),), False, loop=True)
    stays = [Stay(0, 4, 8, 0), Stay(0, 21, 30, 0)]
    with pytest.raises(
        InexpressibleError, match=r"keeping w in HBM for while\.2 also keeps there what that loop gives"
    ):
        compiler_options(plan([tensor(0, "w", [first, second, use("g", True, 20)])], stays))
    last = plan([tensor(0, "w", [first, second, use("g")])], stays[:1])
    assert [(name, action) for _, name, _, _, action in actions(last)] == [
        ("while[.]2", "keep_in_default_memory"),
        ("g", "keep_in_default_memory"),
        ("while[.]1", "prefetch"),
    ]


def test_what_the_compiler_places_by_its_own_hint_gets_no_override() -> None:
    tensors = [tensor(0, "a", [use("f")]), replace(tensor(1, "b", [use("g")]), hinted=True)]
    assert [entry[1] for entry in actions(plan(tensors, []))] == ["a"]


def test_a_keep_that_would_touch_a_pinned_output_is_left_out_before_any_copy() -> None:
    named = plan([tensor(0, "a", [use("f"), use("g", True, 1)]), tensor(1, "f", [use("h", True)], fast=True)])
    assert [entry[1] for entry in actions(named)] == ["f", "g"]
    assert [entry[4] for entry in actions(named)] == ["pin_in_alternate_memory", "prefetch"]


def test_formats_carry_the_same_options() -> None:
    named = plan([tensor(0, "a.1", [use("f", fast=True)], fast=True), tensor(1, "b-2")], [Stay(0, 1, 2, 0)])
    options = compiler_options(named)
    assert json.loads(to_json(named)) == options
    scope: dict[str, Any] = {}
    exec(to_python(named), scope)
    assert scope["COMPILER_OPTIONS"] == options
    export, assignment = shlex.split(to_libtpu_init_args(named))
    name, _, value = assignment.partition("=")
    assert (export, name) == ("export", "LIBTPU_INIT_ARGS")
    assert dict(argument.removeprefix("--").split("=", 1) for argument in value.split()) == options


def test_what_jax_has_settings_for_is_no_flag_and_levels_are_numbers() -> None:
    options = {"optimization_level": "39", "xla_disable_hlo_passes": "rematerialization", "xla_a": "1"}
    assert to_flags(options) == "--xla_a=1"
    assert json.loads(to_json(options)) == options | {"optimization_level": 39}
    assert "'optimization_level': 39," in to_python(options)


@pytest.mark.parametrize("spare", [0, -1])
def test_flags_that_no_process_starts_with(spare: int) -> None:
    """Linux: 131,072 bytes with the name, an equals sign and the zero at the end."""
    room = 131_072 - len("LIBTPU_INIT_ARGS=--xla_a=") - 1 - spare
    if spare:
        with pytest.raises(BadInputError, match=r"would have 131073 bytes.*--format compiler-options or python"):
            to_libtpu_init_args({"xla_a": "1" * room})
    else:
        flags = to_libtpu_init_args({"xla_a": "1" * room}).splitlines()[-1].removeprefix("export ")
        name, _, value = flags.partition("=")
        subprocess.run(["true"], env={name: value}, check=True)


names = (
    st.text(min_size=1, max_size=30)
    | st.from_regex(r"[\w.\-]{1,20}", fullmatch=True)
    | st.text('.*"\\{}|[]()^$ \n', min_size=1)
)


@settings(deadline=None)
@given(names, names)
def test_name_matches_itself_alone_or_is_refused(name: str, other: str) -> None:
    try:
        (pattern,) = patterns([name])
    except BadInputError:
        return
    assert re.fullmatch(pattern, name)
    assert (re.fullmatch(pattern, other) is not None) == (other == name)
    assert not re.search(r'["\\\s]', pattern)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=6), st.integers(0, 2**40))
def test_no_name_breaks_out_of_the_text(texts: list[str], size: int) -> None:
    tensors = [
        tensor(number, name, [use(name + "u"), use(name + "v", True, number)], size=size)
        for number, name in enumerate(dict.fromkeys(texts))
    ]
    try:
        options = compiler_options(plan(tensors))
    except BadInputError:
        return
    entries = overrides(options[TENSOR_OVERRIDES])
    assert len(entries) == 1 + len(tensors)
    for entry in entries:
        assert set(entry) in ({"hlo_operand_filter", "keep_in_default_memory"}, {"hlo_operand_filter", "prefetch"})
    assert set(options) <= {*GLOBAL_OPTIONS, REPACKS, TENSOR_OVERRIDES, SORT_ORDER}


few_characters = st.text("ab1.-", min_size=1, max_size=5)
numbered = st.builds(
    "{}{}{}{}.{}".format, *[st.sampled_from(["", "1", "21", "w", "w_3", "_bias"])] * 4, st.integers(0, 3)
)


@settings(deadline=None)
@given(st.sets(few_characters | numbered, min_size=1, max_size=40), st.lists(few_characters | numbered))
def test_patterns_match_exactly_the_names(found: set[str], others: list[str]) -> None:
    regexes = list(patterns(found))
    for name in (*found, *others):
        assert sum(re.fullmatch(regex, name) is not None for regex in regexes) == (name in found)


@pytest.mark.parametrize(
    ("found", "pattern"),
    [
        (["f.1", "f.2", "f.3", "f.4", "f.12", "f"], "f([.](12?|[234]))?"),
        (["a.1", "a.2", "a.3", "a.4"], "a[.][1-4]"),
        (["ab", "ac", "bb", "bc"], "[ab][bc]"),
        (["x", "x-", "x.", "x_"], "x[._-]?"),
        (["a", "ab", "abc"], "a(bc?)?"),
        (["copy.1", "fusion.1"], "copy[.]1|fusion[.]1"),
        (["l_1_bias.1", "l_2_bias.1", "l_12_bias.1", "l_7_w.1"], "l_(7_w[.]1|(12?|2)_bias[.]1)"),
        (["l_1_bias.1", "l_2_bias.1", "m_2_bias.1"], "l_[12]_bias[.]1|m_2_bias[.]1"),
        (["1_bias", "2_bias"], "[12]_bias"),
    ],
)
def test_what_names_have_in_common_is_written_once(found: list[str], pattern: str) -> None:
    assert list(patterns(found)) == [pattern]


def test_long_lists_are_split_and_deep_ones_stay_flat() -> None:
    scattered = [f"some_rather_long_fusion_name.{number * number % 99991}" for number in range(3000)]
    deep = ["a" * length for length in range(1, 200)]
    for found in (scattered, deep):
        regexes = list(patterns(found))
        assert len(regexes) > 1
        assert all(len(regex) <= 2000 for regex in regexes)
        assert all(sum(re.fullmatch(regex, name) is not None for regex in regexes) == 1 for name in found[::7])
    depths = [max(accumulate((c == "(") - (c == ")") for c in regex)) for regex in patterns(deep)]
    assert max(depths) <= 51


def fits(entry: dict[str, Any], name: str, operand: int, index: tuple[int, ...], size: int) -> bool:
    """Whether a filter is for an operand, as xla-msa.md says."""
    (fields,) = entry["hlo_operand_filter"]
    return (
        re.fullmatch(fields["instruction_name_regex"][0], name) is not None
        and fields.get("operand_number", [operand]) == [operand]
        and ("tuple_index" not in fields or tuple(fields["tuple_index"][0].get("index", ())) == index)
        and fields.get("size_gte", [0])[0] <= size <= fields.get("size_lte", [size])[0]
    )


@settings(deadline=None)
@given(st.dictionaries(numbered, st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=40))
def test_what_is_kept_or_pinned_is_told_once_and_nothing_else(found: dict[str, tuple[bool, int]]) -> None:
    """However many names: long patterns have bounds of size, within which the half of what we take it for is, too."""
    tensors = [
        tensor(id, name * 3, [use(f"g.{id}", fast)], fast=fast, size=1024 << power)
        for id, (name, (fast, power)) in enumerate(found.items())
    ]
    entries = overrides(compiler_options(plan(tensors))[TENSOR_OVERRIDES])
    for one in tensors:
        for bytes_ in (one.size, one.size // 2):
            met = [
                "pin_in_alternate_memory" in entry
                for entry in entries
                if "hlo_position_matcher" in entry and placed(entry, one.instruction, bytes_)
            ]
            assert met == [one.fast_definition]
    long = [entry for entry in entries if len(pattern_of(entry)) > SHORT]
    assert all({"size_gte", "size_lte"} <= entry["hlo_position_matcher"][0].keys() for entry in long)


def placed(entry: dict[str, Any], name: str, size: int) -> bool:
    """Whether a matcher is for a value of an empty tuple index, as xla-msa.md says."""
    (fields,) = entry["hlo_position_matcher"]
    bounds = fields.get("size_gte", [0])[0], fields.get("size_lte", [size])[0]
    return re.fullmatch(fields["instruction_name_regex"][0], name) is not None and bounds[0] <= size <= bounds[1]


def pattern_of(entry: dict[str, Any]) -> str:
    return str(entry["hlo_position_matcher"][0]["instruction_name_regex"][0])


operands = st.tuples(
    st.sampled_from(["f.1", "f.2", "g"]), st.integers(0, 3), st.sampled_from([None, None, 2, 3]), st.integers(1, 4)
)


@settings(deadline=None)
@given(st.lists(operands, min_size=1, max_size=10, unique_by=lambda one: one[:2]))
def test_prefetches_are_told_for_what_asks_for_them_and_nothing_else(
    found: list[tuple[str, int, int | None, int]],
) -> None:
    """Whether the compiler takes a value for as large as we do, or for half as large."""
    tensors = [
        tensor(id, f"w.{id}", [use(name, after is not None, after, operand)], size=4096 << size)
        for id, (name, operand, after, size) in enumerate(found)
    ]
    entries = [one for one in overrides(compiler_options(plan(tensors))[TENSOR_OVERRIDES]) if "prefetch" in one]
    for name, operand, after, size in found:
        for bytes_ in (4096 << size, 2048 << size):
            met = [one["prefetch"][0] for one in entries if fits(one, name, operand, (), bytes_)]
            assert {one["logical_time"][0] for one in met} == ({after} if after is not None else set())


def test_prefetches_that_start_together_are_one_override() -> None:
    """Two operands of ``f`` and one of ``g``; ``f`` reads a large one, too, that is not copied."""
    small = [tensor(id, f"w.{id}", [use(name, True, 3, operand)], size=2048) for id, name, operand in SITES]
    large = tensor(3, "x", [use("f", True, operand=2)], fast=True)
    (entry,) = [
        entry["hlo_operand_filter"][0]
        for entry in overrides(compiler_options(plan([*small, large]))[TENSOR_OVERRIDES])
        if "prefetch" in entry
    ]
    assert entry == {"instruction_name_regex": ["[fg]"], "size_lte": [2048]}


SITES = [(0, "f", 0), (1, "f", 1), (2, "g", 0)]


def test_what_finds_no_room_is_told() -> None:
    large = 80 * MIB
    tensors = [tensor(0, "a", [use("c", fast=True)], fast=True, size=large)]
    tensors += [tensor(1, "b", [use("c", fast=True, operand=1)], fast=True, size=large)]
    apart = plan(tensors, [Stay(0, 0, 1, 0), Stay(1, 2, 3, 0)])
    assert allocation_of(apart).missed == []
    together = plan(tensors, [Stay(0, 0, 2, 0), Stay(1, 1, 2, 0)])
    assert len(allocation_of(together).missed) == 1
    # Where all is foreseen to have its place, the compiler shall not move it; else a repack may help.
    assert compiler_options(apart)[REPACKS] == "0"
    assert REPACKS not in compiler_options(apart, first=[1])
    assert REPACKS not in compiler_options(together)


def test_a_recorded_order_is_taken() -> None:
    uses = [replace(use("c", True, operand=operand), time=2) for operand in range(2)]
    tensors = [tensor(id, name, [uses[id]], fast=True) for id, name in enumerate("ab")]
    named = plan(tensors, [Stay(0, 0, 2, 0), Stay(1, 1, 2, MIB)])
    for order, expected in (((), (0, 1)), ((1, 0), (1, 0)), ((1,), (1, 0))):
        found = allocation_of(replace(named, order=order))
        assert (found.fitting, found.rest, found.missed) == (expected, [], [])
