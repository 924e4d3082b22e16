"""Faults done to real commands, and what became of their files.

    python -m benchmarks.robustness.faults [--kills 5] [--seed 0] [--commands solve pack ...] [--out out/faults]

For every command: killed with SIGKILL at random moments of its run, ``--kills`` times; on a full disk; on a read-only
one; twice at once on one output. Each fault befalls an output that is there already, so that there is something to
lose, and that the command has something to add to: a job of two iterations finds a checkpoint of the first, a batch one
plan of three. Commands that write nothing befall the file that they read. After each: the output is whole (it is read
as the next command would read it) and has no less than before, nothing that the command had started runs on, and an
error is one line; after the kills the command gets through. ``lost`` counts outputs that cannot be read or have less.
The other faults are in tests/faults.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from benchmarks.robustness.training_kills import config
from mallocgame import api
from mallocgame.batch.results import open_results
from mallocgame.bench.rows_file import open_rows
from mallocgame.compiler.cache import CompileCache
from mallocgame.compiler.capture_file import load_capture
from mallocgame.offload.moves_file import load_moves
from mallocgame.optimizer import load_optimized
from mallocgame.packing import read_csv
from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.plan_file import load_plan
from mallocgame.problem.target_file import load_target
from mallocgame.system.progress import silent
from tests.faults.disks import NoDiskError, disk, fill, make_read_only

ROOT = Path(__file__).parents[2]
HEAT = ROOT / "workloads" / "problems" / "heat-v4.mgp"
CAPTURE = ROOT / "tests" / "bench" / "data" / "tiny-v4lite.mgz"
DISK_KIB = 1 << 14


@dataclass(frozen=True)
class Command:
    """A command that a fault befalls.

    Attributes:
        tokens: behind ``mallocgame``; OUT stands for the output, WORK for a folder that no fault befalls.
        read: reads the output as the next command does, and says how much is in it; raises where it is damaged.
        before: makes the output that the fault befalls; None where ``tokens`` do.
        start: what Python runs with the tokens.
    """

    tokens: tuple[str, ...]
    read: Callable[[Path], int]
    before: tuple[str, ...] | None = None
    start: tuple[str, ...] = ("-m", "mallocgame")


def _one(load: Callable[[Path], object]) -> Callable[[Path], int]:
    """A file that is one answer."""

    def read(path: Path) -> int:
        load(path)
        return 1

    return read


def _batch(folder: Path) -> int:
    with open_results(folder / "results.jsonl") as file:
        answers = [result for result in file.last.values() if result.code == 0]
        for result in answers:
            load_plan(folder / result.out)
        return len(answers)


def _bench(folder: Path) -> int:
    with open_rows(folder / "rows.jsonl") as file:
        assert all(row.failure is None for row in file.rows.values())
        return len(file.rows)


def _packed(path: Path) -> int:
    assert all(buffer.offset is not None for buffer in read_csv(path).buffers)
    return 1


def _trained(folder: Path) -> int:
    from muzero.training.checkpoint import newest
    from muzero.training.metrics import read_metrics

    found = newest(folder, silent)
    assert found is not None
    read_metrics(folder)
    return int(found[1].header["iteration"])


def _page(path: Path) -> int:
    assert path.read_text().rstrip().endswith("</html>")
    return 1


def _profile(path: Path) -> int:
    assert gzip.decompress(path.read_bytes())
    return 1


def _result(path: Path) -> int:
    return len(json.loads(path.read_text()))


def _compiles(folder: Path) -> int:
    return sum(1 for _ in CompileCache(folder).finished())


def _answers(folder: Path) -> int:
    return len([load_optimized(path) for path in folder.glob("*.json")])


def _demo(folder: Path) -> int:
    load_capture(folder / "tiny-v5e.mgz")
    load_answer(folder / "tiny-v5e.json")
    assert (folder / "tiny-v5e.png").read_bytes().endswith(b"IEND\xaeB`\x82")
    return 3


OPTIMIZE = """
import sys
import jax
import mallocgame, workloads

function, args = workloads.get("tiny")()
lowered = jax.jit(function).lower(*mallocgame.abstract("v5e", *args))
print(mallocgame.optimize(lowered, time_limit=1, compiles=1, seed=int(sys.argv[1]), cache=sys.argv[2]))
"""
SOLVE = ("solve", str(HEAT), "--time-limit", "1", "--out", "OUT")
TINY = ("capture", "--workload", "tiny", "--target", "v5e", "--out", "OUT")
BENCH = ("bench", "--workloads", "matmul-chain", "--targets", "v4 lite", "--captures", "WORK/captures", "--out", "OUT")
FIT = (
    "fit", "workloads.offload.convolutional:tiny_convolutional", "--target", "v5e", "--budget", "100%",
    "--time-limit", "1", "--compiles", "2", "--cache", "WORK/compiles", "--out", "OUT",
)  # fmt: skip
PROBE = ("probe", "tests.probe.models:hundred", "tests.probe.models:two_hundred", "--time-limit", "2", "--out", "OUT")

COMMANDS = {
    "capture --calibrate": Command((*TINY, "--calibrate", "1"), _one(load_capture)),
    "inspect": Command(("inspect", "OUT"), _one(load_capture), TINY),
    "memory": Command(("memory", "OUT"), _one(load_capture), TINY),
    "memory, page": Command(("memory", "WORK/tiny.mgz", "--out", "OUT"), _page),
    "memory, profile": Command(("memory", "WORK/tiny.mgz", "--format", "pprof", "--out", "OUT"), _profile),
    "memory, trace": Command(("memory", "WORK/tiny.mgz", "--format", "trace", "--out", "OUT"), _result),
    "memory --diff": Command(("memory", "OUT", "--diff", "WORK/tiny.mgz"), _one(load_capture), TINY),
    "solve": Command(SOLVE, _one(load_plan)),
    "solve --solver auto": Command(
        ("solve", str(CAPTURE), "--solver", "auto", "--compiles", "1", "--time-limit", "1", "--cache", "WORK/compiles",
         "--out", "OUT"),
        _one(load_answer),
    ),
    "solve, several": Command(
        ("solve", "WORK/*.mgp", "--time-limit", "1", "--out", "OUT"),
        _batch,
        ("solve", "WORK/h*.mgp", "--time-limit", "1", "--out", "OUT"),
    ),
    "export": Command(("export", "OUT"), _one(load_plan), SOLVE),
    "verify": Command(("verify", "WORK/tiny.json", "OUT"), _one(load_capture), TINY),
    "report": Command(("report", "WORK/tiny.json", "WORK/tiny.mgz", "--out", "OUT"), _page),
    "explain --verify": Command(
        ("explain", "WORK/tiny.json", "WORK/tiny.mgz", "--verify", "--cache", "OUT"),
        _compiles,
        ("solve", "WORK/tiny.mgz", "--solver", "auto", "--compiles", "1", "--time-limit", "1", "--cache", "OUT"),
    ),
    "optimize": Command(("1", "OUT"), _answers, ("0", "OUT"), ("-c", OPTIMIZE)),
    "pack": Command(("pack", "WORK/buffers.csv", "--time-limit", "1", "--out", "OUT"), _packed),
    "fit": Command(FIT, _one(load_moves)),
    "probe": Command(PROBE, _result),
    "probe --calibrate": Command(("probe", "--calibrate", "--time-limit", "2", "--out", "OUT"), _one(load_target)),
    "bench": Command(
        (*BENCH, "--methods", "xla default", "msa off"), _bench, (*BENCH, "--methods", "xla default")
    ),
    "train": Command(
        ("train", "WORK/two.toml", "--resume", "--out", "OUT"), _trained, ("train", "WORK/one.toml", "--out", "OUT")
    ),
    "demo": Command(
        ("demo", "--workload", "tiny", "--targets", "v5e", "--time-limit", "1", "--compiles", "1", "--out", "OUT"),
        _demo,
    ),
}  # fmt: skip


@dataclass
class Tally:
    """What the faults of one command did.

    Attributes:
        tries: faults.
        lost: outputs that cannot be read, or have less than before.
        unclear: ends that were neither an answer nor one line of error.
        left: processes that ran on.
    """

    tries: int = 0
    lost: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    left: int = 0


class Faults:
    """A command, its place, and what was done to it.

    Attributes:
        before: an output as the faults find it; each of them gets a copy.
        had: how much is in it.
    """

    def __init__(self, name: str, root: Path) -> None:
        """Make what the faults find.

        Raises:
            SystemExit: the command fails without a fault.
        """
        self.command, self.root, self.tally = COMMANDS[name], root, Tally()
        file = re.sub(r"\W+", "-", name)
        self.out, self.before = root / "out" / file, root / "before" / file
        self.environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(root / "compiled"), "TMPDIR": _mark(root)}
        self.had = 0
        self.get_through(self.command.before or self.command.tokens, self.before)
        self.had = self.command.read(self.before)

    def start(self, out: Path, tokens: tuple[str, ...] | None = None) -> subprocess.Popen[str]:
        """The command, on an output."""
        work = str(self.root / "work")
        filled = [token.replace("OUT", str(out)).replace("WORK", work) for token in tokens or self.command.tokens]
        return subprocess.Popen(
            [sys.executable, *self.command.start, *filled], cwd=ROOT, env=self.environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str], fault: str) -> int:
        """Its exit code; every end but an answer has to be one line."""
        errors = process.communicate()[1]
        lines = [line for line in errors.splitlines() if line.startswith("mallocgame: error: ")]
        clear = (process.returncode == 0 and not lines) or (process.returncode in (2, 3, 4, 5) and len(lines) == 1)
        if not clear or "Traceback" in errors:
            self.tally.unclear.append(f"{fault}: exit code {process.returncode}: {errors[-200:]!r}")
        return process.returncode

    def get_through(self, tokens: tuple[str, ...], out: Path) -> float:
        """Run without a fault; seconds."""
        begun = monotonic()
        process = self.start(out, tokens)
        errors = process.communicate()[1]
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(tokens)} fails without a fault: {errors[-500:]}")
        return monotonic() - begun

    def lay_out(self, folder: Path) -> Path:
        """The output as it was before, in a folder."""
        out = folder / self.out.name
        shutil.rmtree(out, ignore_errors=True)
        _copy(self.before, out)
        return out

    def check(self, out: Path, fault: str) -> None:
        """Whether the output is whole; a copy is read, for some readers open files for writing."""
        self.tally.tries += 1
        copy = self.root / "copy" / out.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        try:
            _copy(out, copy)
            has = self.command.read(copy)
            if has < self.had:
                self.tally.lost.append(f"{fault}: {has} where there were {self.had}")
        except Exception as error:
            self.tally.lost.append(f"{fault}: {type(error).__name__}: {error}")

    def kill(self, delay: float) -> None:
        """SIGKILL after ``delay`` seconds."""
        out = self.lay_out(self.out.parent)
        process = self.start(out)
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        begun = monotonic()
        while (running := _running(_mark(self.root))) and monotonic() - begun < 10:
            sleep(0.2)
        self.tally.left += running
        self.check(out, f"killed after {delay:.1f} s")

    def on_disk(self, folder: Path, harm: Callable[[Path], None]) -> None:
        """On a disk that is full or read-only, on which the output is already."""
        with disk(folder, DISK_KIB):
            out = self.lay_out(folder)
            harm(folder)
            self.finish(self.start(out), harm.__name__)
            self.check(out, harm.__name__)

    def twice(self) -> None:
        """Two at once on one output."""
        out = self.lay_out(self.out.parent)
        both = [self.start(out) for _ in range(2)]
        for process in both:
            self.finish(process, "two at once")
        self.check(out, "two at once")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _mark(root: Path) -> str:
    """The temporary folder of all commands, which tells their processes from others."""
    return str(root / "temporary")


def _running(mark: str) -> int:
    """Processes with a temporary folder."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += f"TMPDIR={mark}".encode() in entry.read_bytes().split(b"\0")
        except OSError:
            continue
    return found


def _prepare(root: Path) -> None:
    """What the commands read."""
    work = root / "work"
    for folder in (work, root / "out", root / "before", root / "disk", Path(_mark(root))):
        folder.mkdir(parents=True)
    rows = "".join(f"b{number},{number},{number + 9},{4 + number % 7}\n" for number in range(60))
    (work / "buffers.csv").write_text("id,lower,upper,size\n" + rows)
    for name in ("heat-v4", "sinkhorn-v5p", "matmul-chain-v5e"):
        shutil.copy(ROOT / "workloads" / "problems" / f"{name}.mgp", work)
    for name, iterations in (("one", 1), ("two", 2)):
        (work / f"{name}.toml").write_text(config(iterations).to_toml())
    api.capture("tiny", workload=True, target="v5e", out=work / "tiny.mgz")
    api.solve(work / "tiny.mgz", time_limit=1.0, out=work / "tiny.json")


def inflict(name: str, root: Path, kills: int, rng: random.Random) -> Tally:
    """All faults on one command."""
    faults = Faults(name, root)
    seconds = faults.get_through(faults.command.tokens, faults.lay_out(faults.out.parent))
    for _ in range(kills):
        faults.kill(rng.uniform(0.1, seconds))
    faults.get_through(faults.command.tokens, faults.out)
    faults.twice()
    for harm in (fill, make_read_only):
        try:
            faults.on_disk(root / "disk", harm)
        except NoDiskError as error:
            print(f"{name}: {harm.__name__} left out: {error}", flush=True)
    return faults.tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    options = parser.parse_args()
    root = options.out.resolve()
    shutil.rmtree(root, ignore_errors=True)
    _prepare(root)
    rng, tallies = random.Random(options.seed), dict[str, Tally]()
    for name in options.commands:
        begun = monotonic()
        tally = tallies[name] = inflict(name, root, options.kills, rng)
        print(
            f"{name:<20} {tally.tries:3d} faults; lost: {len(tally.lost)}, unclear ends: {len(tally.unclear)}, "
            f"processes left: {tally.left}; {monotonic() - begun:.0f} s",
            flush=True,
        )
        for line in (*tally.lost, *tally.unclear):
            print(f"    {line}", flush=True)
    lost, unclear = (sum(len(getattr(tally, kind)) for tally in tallies.values()) for kind in ("lost", "unclear"))
    left = sum(tally.left for tally in tallies.values())
    tries = sum(tally.tries for tally in tallies.values())
    print(
        f"{tries} faults on {len(tallies)} commands; data lost: {lost}; unclear ends: {unclear}; processes left: {left}"
    )
    return 1 if lost or unclear or left else 0


if __name__ == "__main__":
    sys.exit(main())
