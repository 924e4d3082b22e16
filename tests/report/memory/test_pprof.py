"""The profile, read by protobuf with the fields of pprof's profile.proto, and by ``go tool pprof`` if there is one."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mallocgame.report.memory import Buffer, MemoryUse, Peak, SpaceUse, memory_use
from mallocgame.report.memory.pprof import to_pprof
from tests.report.memory.made import placed
from xla_dump_parser import SourceLine

FIELDS = {
    "ValueType": "1 type int64, 2 unit int64",
    "Label": "1 key int64, 2 str int64, 3 num int64",
    "Line": "1 function_id uint64, 2 line int64",
    "Function": "1 id uint64, 2 name int64, 3 system_name int64, 4 filename int64, 5 start_line int64",
    "Location": "1 id uint64, 2 mapping_id uint64, 3 address uint64, 4 line Line*",
    "Mapping": "1 id uint64, 5 filename int64, 7 has_functions bool, 8 has_filenames bool, 9 has_line_numbers bool",
    "Sample": "1 location_id uint64*, 2 value int64*, 3 label Label*",
    "Profile": "1 sample_type ValueType*, 2 sample Sample*, 3 mapping Mapping*, 4 location Location*, "
    "5 function Function*, 6 string_table string*, 14 default_sample_type int64",
}
"""Of https://github.com/google/pprof/blob/main/proto/profile.proto; a star stands for repeated."""


class Sample(NamedTuple):
    """Frames as (function, file, line), innermost first."""

    stack: list[tuple[str, str, int]]
    values: list[int]
    labels: dict[str, str]


def message() -> Any:
    """The class of the message ``Profile``."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="pprof", syntax="proto3")
    types = descriptor_pb2.FieldDescriptorProto
    for name, fields in FIELDS.items():
        made = file.message_type.add(name=name)
        for number, field, kind in (entry.split() for entry in fields.split(", ")):
            label = types.LABEL_REPEATED if kind.endswith("*") else types.LABEL_OPTIONAL
            kind = kind.removesuffix("*")
            if kind in FIELDS:
                made.field.add(
                    name=field, number=int(number), label=label, type=types.TYPE_MESSAGE, type_name=f".pprof.{kind}"
                )
            else:
                made.field.add(name=field, number=int(number), label=label, type=getattr(types, f"TYPE_{kind.upper()}"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pprof.Profile"))


def read(data: bytes) -> tuple[list[tuple[str, str]], list[Sample]]:
    """Types with their units, and samples; what the format asks of a profile is checked."""
    profile = message().FromString(gzip.decompress(data))
    from google.protobuf import unknown_fields

    texts = profile.string_table
    assert texts[0] == ""
    assert len(unknown_fields.UnknownFieldSet(profile)) == 0
    functions = {one.id: (texts[one.name], texts[one.filename]) for one in profile.function}
    mappings = {one.id for one in profile.mapping}
    assert all(one.mapping_id in mappings for one in profile.location)
    places = {one.id: (*functions[one.line[0].function_id], one.line[0].line) for one in profile.location}
    assert 0 not in functions.keys() | places.keys() | mappings
    assert texts[profile.default_sample_type] == "space"
    types = [(texts[one.type], texts[one.unit]) for one in profile.sample_type]
    assert all(len(one.value) == len(types) for one in profile.sample)
    return types, [
        Sample(
            [places[number] for number in one.location_id],
            list(one.value),
            {texts[label.key]: texts[label.str] for label in one.label},
        )
        for one in profile.sample
    ]


def test_by_hand() -> None:
    use = memory_use(placed())
    types, samples = read(to_pprof(use, {}))
    assert types == [("buffers", "count"), ("elements", "bytes"), ("space", "bytes")]
    assert [(one.stack, one.values) for one in samples] == [
        ([("step.py:4", "step.py", 4)], [1, 8192, 524288]),
        ([("step.py:3", "step.py", 3)], [1, 4096, 4096]),
        ([("c", "", 0), ("temporaries", "", 0)], [1, 4096, 4096]),
        ([("state['s']", "", 0), ("donated arguments", "", 0)], [1, 4096, 4096]),
        ([("x", "", 0), ("arguments", "", 0)], [1, 4096, 4096]),
        ([("t", "", 0), ("outputs", "", 0)], [1, 512, 512]),
    ]
    assert samples[0].labels["shape"] == "f32[1024,2]{1,0:T(8,128)}"
    assert {key: samples[0].labels[key] for key in ("buffer", "kind", "what")} == {
        "buffer": "b",
        "kind": "temporary",
        "what": "wide",
    }
    assert sum(one.values[2] for one in samples) == use.peaks[0].live


def _use(*names: str) -> MemoryUse:
    buffers = tuple(Buffer(name, "temporary", "", "", 300, 300, "", "", None, (0, 1)) for name in names)
    return MemoryUse("m", "v5e", (SpaceUse("HBM", 0, 900, None),), None, (Peak(0, 0, "x", buffers, 0),), ())


MAIN, STEP, LOSS, ATTEND = (
    SourceLine("train.py", "<module>", 9),
    SourceLine("train.py", "step", 5),
    SourceLine("model.py", "loss", 3),
    SourceLine("model.py", "attend", 1 << 20),
)


def test_frames_that_all_share_are_left_out() -> None:
    _, samples = read(to_pprof(_use("a", "b", "c"), {"a": (ATTEND, LOSS, STEP, STEP, MAIN), "b": (LOSS, STEP, MAIN)}))
    attend, loss = ("attend", "model.py", 1 << 20), ("loss", "model.py", 3)
    assert [one.stack for one in samples] == [[attend, loss], [loss], [("c", "", 0), ("temporaries", "", 0)]]


def test_each_keeps_a_frame() -> None:
    assert [one.stack for one in read(to_pprof(_use("a"), {"a": (LOSS, STEP)}))[1]] == [[("loss", "model.py", 3)]]
    assert read(to_pprof(MemoryUse("m", "", (), None, (), ()), {}))[1] == []


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no go here")
def test_pprof_itself_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "made.pb.gz"
    file.write_bytes(to_pprof(memory_use(placed()), {}))
    done = subprocess.run(
        ["go", "tool", "pprof", "-raw", str(file)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert re.search(r"^buffers/count elements/bytes space/bytes\[dflt\]$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +1 +8192 +524288: \d+", done.stdout, re.MULTILINE)
    assert "buffer:[b]" in done.stdout
