"""The CSV files: what is read, what is written, and one clear line for each kind of bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.packing import Buffer, format_csv, parse_csv, read_csv, write_csv
from mallocgame.system.errors import BadInputError


def test_all_columns_in_any_order() -> None:
    header = "size,gaps,id,upper,lower,hint,offset,alignment,separation,cost,colocation"
    table = parse_csv(f"{header}\n6,3-5 7-8,b1,9,0,16,,2, left  right left,250,one x\n4,,b2,9,1,,8,,,,\n", "f")
    separations = ("left", "right")
    assert table.buffers == (
        Buffer("b1", 0, 9, 6, 2, ((3, 5), (7, 8)), 16, colocation="one x", separations=separations, cost=250),
        Buffer("b2", 1, 9, 4, offset=8),
    )


def test_closed_ranges() -> None:
    """With ``end``, the last time belongs to the live range and to the gaps."""
    table = parse_csv("buffer,start,end,size,gaps\nBig,6,11,18,7-7 9-9\n", "f")
    assert table.buffers == (Buffer("Big", 6, 12, 18, gaps=((7, 8), (9, 10))),)


def test_rows_stay_as_they_are() -> None:
    table = parse_csv('id,lower,upper,size,gaps\n"a, b", 0,4,07,1-2 \n\nc,0,4,1,\n', "f")
    assert format_csv(table, (8, 0)) == 'id,lower,upper,size,gaps,offset\n"a, b", 0,4,07,1-2 ,8\nc,0,4,1,,0\n'


def test_offset_column_is_filled_in_place() -> None:
    table = parse_csv("id,offset,lower,upper,size\na,,0,4,2\nb,6,0,4,2\n", "f")
    assert format_csv(table, (0, 6)) == "id,offset,lower,upper,size\na,0,0,4,2\nb,6,0,4,2\n"


def test_written_file_reads_back_as_fixed(tmp_path: Path) -> None:
    table = parse_csv("\ufeffid,lower,upper,size\r\na,0,4,2\r\n".removeprefix("\ufeff"), "f")
    write_csv(tmp_path / "out.csv", table, (5,))
    assert read_csv(tmp_path / "out.csv").buffers == (Buffer("a", 0, 4, 2, offset=5),)
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


HEADER = "id,lower,upper,size\n"
BAD = {
    "empty": ("", "f.csv:1: no header"),
    "no size": ("id,lower,upper\n", "f.csv:1: no column for the size"),
    "unknown column": ("id,lower,upper,size,alignement\n", "f.csv:1: unknown column 'alignement'"),
    "column twice": ("id,lower,upper,size,end\n", "f.csv:1: two columns for the upper"),
    "too few cells": (HEADER + "a,0,1\n", "f.csv:2: 3 cells under a header of 4"),
    "too many cells": (HEADER + "a,0,1,1\nb,0,1,1,5\n", "f.csv:3: 5 cells under a header of 4"),
    "no id": (HEADER + ",0,1,1\n", "f.csv:2: the id is empty"),
    "id twice": (HEADER + "a,0,1,1\nb,0,1,1\na,0,1,1\n", "f.csv:4: the id 'a' is there twice"),
    "word": (HEADER + "a,0,1,big\n", "f.csv:2: size 'big' is not a whole number"),
    "fraction": (HEADER + "a,0,1.5,1\n", "f.csv:2: upper '1.5' is not a whole number"),
    "missing": (HEADER + "a,,1,1\n", "f.csv:2: lower '' is not a whole number"),
    "long": (HEADER + f"a,0,1,{'9' * 5000}\n", "is not a whole number"),
    "out of range": (HEADER + "a,0,1,9007199254740992\n", "f.csv:2: buffer 'a': size 9007199254740992 is out of range"),
    "negative": (HEADER + "a,0,1,-1\n", "f.csv:2: buffer 'a': size -1 is out of range"),
    "never live": (HEADER + "a,3,3,1\n", "f.csv:2: buffer 'a': its live range is empty: lower 3, upper 3"),
    "sum": (HEADER + "".join(f"{k},0,1,9007199254740990\n" for k in "ab"), "f.csv:3: the sum of all sizes"),
    "quote": (HEADER + '"a,0,1,1\n', "f.csv:2: "),
    "alignment": ("id,lower,upper,size,alignment\na,0,1,1,0\n", "f.csv:2: buffer 'a': alignment 0 is out of range"),
    "hint": ("id,lower,upper,size,hint\na,0,1,1,-1\n", "f.csv:2: buffer 'a': hint -1 is out of range"),
    "misaligned": ("id,lower,upper,size,alignment,offset\na,0,1,1,4,6\n", "f.csv:2: buffer 'a': its fixed offset 6"),
    "clash": (
        "id,lower,upper,size,offset\na,0,5,64,0\nb,3,8,64,32\n",
        "f.csv:3: the fixed offsets clash whatever the capacity: buffers 'a' and 'b' share bytes 32 to 64 at time 3",
    ),
    "colocation live": (
        "id,lower,upper,size,colocation\na,0,5,4,x\nb,0,9,1,\nc,4,6,2,x\n",
        "f.csv:4: colocation 'x' cannot be at one offset: buffers 'a' and 'c' share bytes 0 to 2 at time 4",
    ),
    "colocation fixed": (
        "id,lower,upper,size,offset,colocation\na,0,5,4,0,x\nc,5,6,2,8,x\n",
        "f.csv:3: buffers 'a' and 'c' are fixed at 0 and 8, colocation 'x'",
    ),
    "colocation misaligned": (
        "id,lower,upper,size,alignment,offset,colocation\na,0,5,4,,2,x\nc,5,6,2,4,,x\n",
        "f.csv:2: buffer 'a' is fixed at 2, not a multiple of 4, the alignment of colocation 'x'",
    ),
    "colocation clash": (
        "id,lower,upper,size,offset,colocation\na,0,5,4,0,x\nb,5,9,4,,x\nc,8,9,4,2,\n",
        "f.csv:4: the fixed offsets clash whatever the capacity: buffers 'b' and 'c' share bytes 2 to 4 at time 8",
    ),
    "both": (
        "id,lower,upper,size,colocation,separation\na,0,5,4,x,p q\nb,5,9,4,x,r q\n",
        "f.csv:3: buffers 'a' and 'b' have colocation 'x' and separation 'q'",
    ),
    "separation fixed": (
        "id,lower,upper,size,offset,separation\na,0,5,4,0,q\nb,5,9,4,3,q\n",
        "f.csv:3: the fixed offsets clash whatever the capacity: buffers 'a' and 'b' share bytes 3 to 4, separation",
    ),
    "cost": ("id,lower,upper,size,cost\na,0,5,4,-1\n", "f.csv:2: buffer 'a': cost -1 is out of range"),
    "gap": ("id,lower,upper,size,gaps\na,0,9,1,1-2-3\n", "f.csv:2: gap '1-2-3' is not TIME-TIME"),
    "gap outside": ("id,lower,upper,size,gaps\na,0,9,1,8-10\n", "f.csv:2: buffer 'a': gap 8-10"),
    "partial gap": ("id,lower,upper,size,gaps\na,0,9,9,1-2@1:3\n", "f.csv:2: gap '1-2@1:3' keeps a part"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_text(case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(BadInputError) as raised:
        parse_csv(text, "f.csv")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        read_csv(tmp_path / "nowhere.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BadInputError, match="is not text"):
        read_csv(tmp_path / "binary.csv")
