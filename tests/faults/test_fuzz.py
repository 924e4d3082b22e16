"""What the fuzzer found, in its smallest form, and the fuzzer itself: it runs, and it finds what is wrong."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.robustness.fuzzing import changes, worker
from benchmarks.robustness.fuzzing.readers import DOCUMENTED, FOLDER, READERS
from mallocgame.system.errors import BadInputError, MallocgameError
from tests.faults.sources import ROOT
from xla_dump_parser import ParseError


@pytest.fixture(autouse=True)
def timer() -> Iterator[None]:
    before = signal.signal(signal.SIGVTALRM, worker._on_timer)
    yield
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("name", READERS)
def test_the_kept_samples_are_read_or_refused(name: str) -> None:
    samples = worker.samples(name)
    assert samples
    assert [wrong for data in samples if (wrong := worker.run_case(READERS[name], data)[1]) is not None] == []


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 200_000


def test_a_column_with_a_long_name(tmp_path: Path) -> None:
    """The whole cell was in the message."""
    with pytest.raises(BadInputError) as caught:
        READERS["csv"](b"f32[" * 5000 + b"\n")
    assert len(str(caught.value)) < 1000


def test_a_header_of_an_array_that_is_an_unfinished_expression() -> None:
    """numpy's loader tried to mend it, and broke with a TokenError."""
    from mallocgame.system.arrays import array_of
    from tests.faults.test_untrusted_files import WHOLE

    with pytest.raises(ValueError, match="header is damaged"):
        array_of(WHOLE.replace(b"}", b"("))


@pytest.mark.parametrize("number", ["1*/", "", "x", "-1", "1" * 10, "\u0663"])
def test_a_parameter_without_a_number(number: str) -> None:
    """Only those of computations that the problem is made of were looked at; the costs took the others as they were."""
    text = (
        "HloModule m, is_scheduled=true\n\nfused (p: f32[8]) -> f32[8] {\n"
        "  %p = f32[8]{0} parameter(NUMBER)\n  ROOT %n = f32[8]{0} negate(%p)\n}\n\n"
        "ENTRY e (x: f32[8]) -> f32[8] {\n"
        "  %x = f32[8]{0} parameter(0)\n  ROOT %f = f32[8]{0} fusion(%x), kind=kLoop, calls=fused\n}\n"
    )
    READERS["hlo"](text.replace("NUMBER", "0").encode())
    with pytest.raises(ParseError, match=r"case:4:3: .*number of a parameter"):
        READERS["hlo"](text.replace("NUMBER", number).encode())


@pytest.mark.parametrize("text", ["iterations = " + "1" * 5000, "x = " + "[" * 5000, "x = [" * 3000])
def test_a_config_with_a_long_number_or_deep_brackets(text: str) -> None:
    """tomllib raised ValueError and RecursionError."""
    with pytest.raises(BadInputError, match=r"case: (not TOML|nested too deeply)"):
        READERS["config"](text.encode())


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("seen", "board"), [2**31 - 1, 4, 1]),
        (("seen", "uses"), [60_000, 60_000, 60_000]),
        (("seen", "uses"), []),
        (("seen", "supply"), [0, 1]),
        (("network", "layers"), 10**9),
        (("network", "tower_blocks"), 10**6),
        (("network", "latent"), 2**40),
        (("moves",), 2**40),
    ],
)
def test_an_agent_whose_network_is_too_large(at: tuple[str, ...], value: object) -> None:
    """Arrays of 32 GiB were made to ask what shapes its parameters have."""
    members = changes._unzip(worker.samples("agent")[0])
    assert members is not None
    header = json.loads(members["agent.json"])
    place = header
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    with pytest.raises(BadInputError, match="damaged"):
        READERS["agent"](changes._zip({**members, "agent.json": json.dumps(header).encode()}))


def test_a_memory_space_with_a_long_name() -> None:
    """The whole name was in the message."""
    name = "a" * 50_000
    with pytest.raises(ParseError, match=r"^case:1:1: memory space 'a{60}\.\.\.' has no 'Total bytes:'"):
        READERS["memory_usage"](f"Memory Space: {name} (color=1)".encode())


def test_a_plan_of_a_tensor_as_large_as_numbers_go() -> None:
    """Bytes times their times were more than 64 bits hold: OverflowError."""
    plan = next(plan for data in worker.samples("answer") if (plan := json.loads(data)).get("stays"))
    plan["tensors"][plan["stays"][0][0]]["size"] = 2**63 - 1
    with pytest.raises(BadInputError, match=r"stays\[0\] ends at byte \d+, which no fast memory has"):
        READERS["answer"](json.dumps(plan).encode())


class _AsItIsError(BadInputError):
    """An error that says a text as it is given."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.args = (text,)


def _bad(kind: str) -> worker.Reader:
    def read(data: bytes) -> str:
        if kind == "bug":
            raise KeyError("x")
        if kind == "lines":
            raise _AsItIsError("two\nlines")
        if kind == "long":
            raise _AsItIsError("x" * 2000)
        if kind == "report":
            raise MallocgameError("please report")
        if kind == "refused":
            raise BadInputError("case:3: no")
        while kind == "hang":
            pass
        return "well"

    return read


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("bug", "KeyError at test_fuzz.py:"),
        ("lines", "not one line"),
        ("long", "not one line"),
        ("report", "asks for a report"),
        ("hang", "computes"),
    ],
)
def test_what_is_a_crash(monkeypatch: pytest.MonkeyPatch, kind: str, words: str) -> None:
    monkeypatch.setattr(worker, "CPU_SECONDS", 0.2)
    wrong = worker.run_case(_bad(kind), b"")[1]
    assert wrong is not None
    assert words in wrong


def test_what_is_none() -> None:
    assert worker.run_case(_bad("refused"), b"") == ("BadInputError: case no", None)
    assert worker.run_case(_bad(""), b"") == ("read: well", None)
    assert BadInputError in (kind for base in DOCUMENTED for kind in (base, *base.__subclasses__()))


@pytest.mark.parametrize("name", READERS)
def test_changes_reach_into_archives_and_are_the_same_for_a_seed(name: str) -> None:
    samples = worker.samples(name)
    first, again = (
        [changes.change(samples[0], samples[-1], rng) for _ in range(20)] for rng in map(random.Random, (7, 7))
    )
    assert first == again
    assert len(set(first)) > 5
    assert all(len(case) <= changes.MAX_CASE_BYTES for case in first)


def test_the_command_makes_the_same_cases_again(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.robustness.fuzz",
        "--minutes",
        "5",
        "--cases",
        "150",
        "--readers",
        "mlir",
        "rows",
    ]
    found = []
    for folder in (tmp_path / "first", tmp_path / "again"):
        done = subprocess.run(
            [*command, "--out", str(folder)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "300 cases in" in done.stdout
        assert " 2 readers" in done.stdout
        assert "0 crashes" in done.stdout
        found.append({path.name: path.read_bytes() for path in (folder / "new").iterdir()})
    assert found[0] == found[1]
    assert len(found[0]) > 3
