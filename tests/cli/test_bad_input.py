"""Whatever is wrong with the input: one line, exit code 2, no traceback, and no output file."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.support import BIG, PROGRAM, Outcome

Run = Callable[..., Outcome]
ENTRY = PROGRAM.index("ENTRY")


def _swap_lines(text: str) -> str:
    """The schedule with a use before its definition."""
    lines = text.splitlines(keepends=True)
    here = next(number for number, line in enumerate(lines) if "%multiply.1 =" in line)
    lines[here], lines[here + 1] = lines[here + 1], lines[here]
    return "".join(lines)


TEXTS = {
    "empty": "",
    "blank": "\n \n",
    "prose": "Dear compiler,\nplease put everything in VMEM.\n",
    "truncated in a line": PROGRAM[: PROGRAM.index("subtract(") + 4],
    "truncated between lines": PROGRAM[: PROGRAM.index("  %subtract.1")],
    "truncated header": PROGRAM[:40],
    "reordered": _swap_lines(PROGRAM),
    "missing operand": PROGRAM.replace("add(%x, %w)", "add(%x, %nowhere)"),
    "defined twice": PROGRAM.replace("%multiply.1 =", "%add.1 ="),
    "no entry": PROGRAM.replace("ENTRY ", ""),
    "two modules": PROGRAM + PROGRAM,
    "copied from fast memory to fast memory": PROGRAM.replace(
        "  %multiply.1 =",
        "  %copy-start = (bf16[1024,1024]{1,0:T(8,128)(2,1)S(1)}, bf16[1024,1024]{1,0:T(8,128)(2,1)}, u32[]{:S(2)}) "
        "copy-start(%v)\n  %copy-done = bf16[1024,1024]{1,0:T(8,128)(2,1)S(1)} copy-done(%copy-start)\n"
        "  %again = (bf16[1024,1024]{1,0:T(8,128)(2,1)S(1)}, bf16[1024,1024]{1,0:T(8,128)(2,1)S(1)}, u32[]{:S(2)}) "
        "copy-start(%copy-done)\n  %done = bf16[1024,1024]{1,0:T(8,128)(2,1)S(1)} copy-done(%again)\n"
        "  %multiply.1 =",
    ),
    "overflowing size": PROGRAM.replace("bf16[1024,1024]", "bf16[9223372036854775807,9223372036854775807]"),
    "number beyond 64 bits": PROGRAM.replace("bf16[1024,1024]", f"bf16[{'9' * 400}]"),
    "negative size": PROGRAM.replace("bf16[1024,1024]", "bf16[-1024,1024]"),
    "unknown type": PROGRAM.replace("bf16[", "bf17["),
    "unknown called computation": PROGRAM.replace(
        f"{BIG} multiply(%add.1, %v)", f"{BIG} fusion(%add.1, %v), kind=kLoop, calls=%nowhere"
    ),
    "a computation that calls itself": PROGRAM.replace(
        f"{BIG} multiply(%add.1, %v)", f"{BIG} call(%add.1, %v, %w), to_apply=%main.1"
    ),
    "deep brackets": PROGRAM.replace("bf16[1024,1024]{", "(" * 100_000 + "bf16[1024,1024]{", 1),
    "deep tuple shape": PROGRAM.replace(f"= {BIG} multiply", f"= {'(' * 50_000}{BIG}{')' * 50_000} multiply"),
    "deep attribute": PROGRAM.replace("multiply(%add.1, %v)", "multiply(%add.1, %v), x=" + "{" * 100_000),
    "control characters": PROGRAM.replace("%multiply.1", "%mul\x1b[31m\x00tiply.1", 1),
    "unfinished string": PROGRAM.replace("multiply(%add.1, %v)", 'multiply(%add.1, %v), metadata={op_name="x'),
}


@pytest.mark.parametrize("command", ["solve", "inspect"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_damaged_text(run: Run, tmp_path: Path, command: str, text: str) -> None:
    file = tmp_path / "program.txt"
    file.write_text(text)
    outcome = run(command, file, "--target", "v5e")
    assert outcome.code == 2
    assert "unexpected" not in outcome.error
    assert len(outcome.error) < 700


def test_a_parse_error_names_file_line_and_column(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "program.txt"
    file.write_text(PROGRAM.replace("%multiply.1 = ", "%multiply.1 ? "))
    line = PROGRAM[: PROGRAM.index("%multiply.1 =")].count("\n") + 1
    assert f"{file}:{line}:" in run("inspect", file, "--target", "v5e").error


@pytest.mark.parametrize("command", ["solve", "inspect"])
def test_binary(run: Run, tmp_path: Path, command: str) -> None:
    file = tmp_path / "program.txt"
    file.write_bytes(bytes(range(256)) * 64)
    outcome = run(command, file, "--target", "v5e")
    assert (outcome.code, bool(outcome.error)) == (2, True)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", gzip.compress(PROGRAM.encode())[:-20]], ids=["empty", "2", "cut"])
def test_damaged_gzip(run: Run, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "program.txt.gz"
    file.write_bytes(data)
    outcome = run("solve", file, "--target", "v5e")
    assert (outcome.code, bool(outcome.error)) == (2, True)


def test_gzip_bomb(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "program.txt.gz"
    file.write_bytes(gzip.compress(b" " * 2**20) * 5000)  # 5 GB of text: gzip members may follow each other
    outcome = run("inspect", file, "--target", "v5e")
    assert (outcome.code, bool(outcome.error)) == (2, True)


@pytest.mark.parametrize("command", ["solve", "inspect"])
def test_no_such_file(run: Run, tmp_path: Path, command: str) -> None:
    outcome = run(command, tmp_path / "nowhere", "--target", "v5e")
    assert outcome.code == 2
    assert "no such file or folder" in outcome.error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "program.txt"
    file.write_text(PROGRAM)
    file.chmod(0)
    outcome = run("solve", file, "--target", "v5e")
    assert outcome.code == 2
    assert "cannot be read" in outcome.error


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs")
def test_a_path_that_is_neither_file_nor_folder(run: Run, tmp_path: Path) -> None:
    fifo = tmp_path / "program.txt"
    os.mkfifo(fifo)
    outcome = run("inspect", fifo, "--target", "v5e")
    assert outcome.code == 2
    assert "not a file" in outcome.error


def test_a_name_too_long(run: Run) -> None:
    outcome = run("inspect", "x" * 5000, "--target", "v5e")
    assert (outcome.code, bool(outcome.error)) == (2, True)


@pytest.mark.parametrize("command", ["solve", "inspect"])
def test_folder_without_a_dump(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    outcome = run(command, tmp_path, "--target", "v5e")
    assert outcome.code == 2
    assert str(tmp_path) in outcome.error


def _before_msa(module: str) -> str:
    return f"{module}.0001.Pre_memory_space_assignment.after_plumb-vmem-info.before_next.txt"


def test_folder_with_two_modules(run: Run, tmp_path: Path) -> None:
    for module in ("module_0001.jit_f.cl_1", "module_0002.jit_g.cl_1"):
        (tmp_path / _before_msa(module)).write_text(PROGRAM)
        (tmp_path / f"{module}.after_codegen.txt").write_text(PROGRAM)
    outcome = run("inspect", tmp_path, "--target", "v5e", "--module", "jit_h")
    assert outcome.code == 2
    assert "no module 'jit_h'; there are: jit_f, jit_g" in outcome.error


def test_folder_without_the_schedule(run: Run, tmp_path: Path) -> None:
    (tmp_path / "module_0001.jit_f.cl_1.after_codegen.txt").write_text(PROGRAM)
    outcome = run("solve", tmp_path, "--target", "v5e")
    assert (outcome.code, bool(outcome.error)) == (2, True)


@pytest.mark.parametrize("command", ["solve", "inspect"])
def test_unknown_target_lists_the_known(run: Run, program: Path, command: str) -> None:
    outcome = run(command, program, "--target", "v9000")
    assert outcome.code == 2
    assert all(name in outcome.error for name in ("v9000", "v4 lite", "v4", "v5e", "v5p", "v6e", "tpu7x"))


def test_unknown_solver_lists_the_known(run: Run, program: Path) -> None:
    outcome = run("solve", program, "--target", "v5e", "--solver", "oracle")
    assert outcome.code == 2
    assert "local" in outcome.error


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "soon"])
def test_time_limit(run: Run, program: Path, limit: str) -> None:
    assert run("solve", program, "--target", "v5e", f"--time-limit={limit}").code == 2


@pytest.mark.parametrize("budget", ["0", "-1m", "nan", "inf", "ten minutes", "10 d", "0s"])
def test_compile_time(run: Run, program: Path, budget: str) -> None:
    outcome = run("solve", program, "--solver", "auto", f"--compile-time={budget}")
    assert outcome.code == 2
    assert f"--compile-time has to be a duration like 90s, 10m or 1h, not {budget!r}" in outcome.error


def test_out_is_checked_before_the_work(run: Run, program: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "missing" / "plan.json", tmp_path, program / "plan.json"):
        outcome = run("solve", program, "--target", "v5e", "--out", out)
        assert outcome.code == 2
        assert "cannot be written" in outcome.error


def test_out_is_left_alone_when_the_input_is_bad(run: Run, tmp_path: Path) -> None:
    out, bad = tmp_path / "plan.json", tmp_path / "bad.txt"
    out.write_text("precious")
    bad.write_text("HloModule")
    assert run("solve", bad, "--target", "v5e", "--out", out).code == 2
    assert out.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt", "plan.json"]


@pytest.mark.parametrize(
    "tokens",
    [
        ("capture", "nocolon", "--target", "v5e", "--out", "OUT"),
        ("capture", "--workload", "resnet51", "--target", "v5e", "--out", "OUT"),
        ("capture", "--target", "v5e", "--out", "OUT"),
        ("capture", "a:b", "--workload", "tiny", "--target", "v5e", "--out", "OUT"),
        ("capture", "--workload", "tiny", "--target", "v9000", "--out", "OUT"),
        ("capture", "--workload", "tiny", "--target", "v5e", "--out", "OUT/is/not/there"),
        ("capture", "--workload", "tiny"),
        ("frobnicate",),
        ("solve",),
        ("solve", "a", "b"),
        ("solve", "a", "--nonsense"),
        ("export", "nowhere.json", "--format", "python"),
        ("export", "nowhere.json", "--format", "yaml"),
        ("verify", "nowhere.json", "nowhere.mgz"),
        ("verify", "nowhere.json"),
    ],
    ids=" ".join,
)
def test_bad_arguments(run: Run, tmp_path: Path, tokens: tuple[str, ...]) -> None:
    outcome = run(*(token.replace("OUT", str(tmp_path / "out.mgz")) for token in tokens))
    assert (outcome.code, bool(outcome.error)) == (2, True)
    assert not list(tmp_path.iterdir())


def test_hundred_megabytes_of_text(tmp_path: Path) -> None:
    """A whole module of 100 MB that is damaged at its end: refused in bounded time and memory."""
    file = tmp_path / "program.txt"
    filler = f"  %add.1 = {BIG} add(%x, %w)\n"
    with file.open("w") as out:
        out.write(PROGRAM[: PROGRAM.index("  %add.1 =")])
        for number in range(100 * 2**20 // (len(filler) + 6)):
            out.write(f"  %pad.{number:06} = {BIG} add(%x, %w)\n")
        out.write("  %add.1 = bf16[10")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)); "
        "from mallocgame.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "inspect", str(file), "--target", "v5e"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    assert (outcome.code, bool(outcome.error)) == (2, True)


def _plan(program: Path, tmp_path: Path, run: Run) -> Path:
    out = tmp_path / "plan.json"
    solved = run("solve", program, "--target", "v5e", "--solver", "local", "--time-limit", "0.2", "--out", out)
    assert solved.code == 0
    return out


FITTING: dict[str, tuple[object, ...]] = {
    "fingerprint": ("x",),
    "module": ("x",),
    "target": ("x",),
    "solver": ("x",),
    "seed": (-1,),
    "options": ({},),
    "versions": ({},),
    "tiers": ([], [[1]]),
    "scoped_vmem_kib": (None,),
    "order": ([],),
    "reach": (None, 1.5),
    "stays": ([],),
}


def test_plan_with_wrong_types(run: Run, program: Path, tmp_path: Path) -> None:
    plan = _plan(program, tmp_path, run)
    value = json.loads(plan.read_text())
    for key in value:
        for wrong in (None, [], {}, "x", -1, 1.5, [[1]], [{}], True):
            if any(type(wrong) is type(fit) and wrong == fit for fit in FITTING.get(key, ())):
                continue
            plan.write_text(json.dumps({**value, key: wrong}))
            outcome = run("export", plan, "--format", "compiler-options")
            assert (outcome.code, bool(outcome.error)) == (2, True), (key, wrong)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, "\ud800", '{"format": "mallocgame-plan"}'])
def test_damaged_plan(run: Run, tmp_path: Path, text: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_bytes(text.encode("utf-8", "surrogatepass"))
    outcome = run("export", plan, "--format", "python")
    assert (outcome.code, bool(outcome.error)) == (2, True)


def test_damaged_captures(run: Run, program: Path, tmp_path: Path) -> None:
    plan = _plan(program, tmp_path, run)
    file = tmp_path / "program.mgz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("something.txt", "else")
    for data in (file.read_bytes(), file.read_bytes()[:-10], gzip.compress(b"{}"), b"PK\x03\x04", b"", b"{}"):
        file.write_bytes(data)
        for tokens in (("solve", file), ("inspect", file), ("verify", plan, file)):
            outcome = run(*tokens)
            assert (outcome.code, bool(outcome.error)) == (2, True)
