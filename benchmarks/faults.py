"""Faults done to real commands, and what became of their files.

    python -m benchmarks.faults [--kills 5] [--seed 0] [--commands solve pack ...] [--out out/faults]

For every command that writes: killed with SIGKILL at random moments of its run, ``--kills`` times; on a full disk; on a
read-only one; twice at once on one output. Before each fault its output is there already, from a run without faults, so
that there is something to lose. After each: the output is whole (it is read as the next command would read it), nothing
that the command had started runs on, and an error is one line. ``lost`` counts outputs that cannot be read. The other
faults are in tests/faults.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from mallocgame.batch.results import open_results
from mallocgame.bench.rows_file import open_rows
from mallocgame.compiler import load_capture
from mallocgame.options_file import load_answer
from mallocgame.packing import read_csv
from mallocgame.plan_file import load_plan
from mallocgame.progress import silent
from tests.faults.disks import NoDiskError, disk, fill, make_read_only

ROOT = Path(__file__).parents[1]
HEAT = ROOT / "workloads" / "problems" / "heat-v4.mgp"
CAPTURE = ROOT / "tests" / "bench" / "data" / "tiny-v4lite.mgz"


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        tokens: of ``mallocgame``; OUT stands for the output, WORK for a folder that no fault befalls.
        read: the output as the next command reads it; raises where it is damaged.
    """

    tokens: tuple[str, ...]
    read: Callable[[Path], object]


def _batch(folder: Path) -> None:
    with open_results(folder / "results.jsonl") as file:
        for result in file.last.values():
            if result.code == 0:
                load_plan(folder / result.out)


def _bench(folder: Path) -> None:
    with open_rows(folder / "rows.jsonl") as file:
        assert all(row.failure is None for row in file.rows.values())


def _packed(path: Path) -> None:
    assert all(buffer.offset is not None for buffer in read_csv(path).buffers)


def _trained(folder: Path) -> None:
    from muzero.training.checkpoint import newest
    from muzero.training.metrics import read_metrics

    assert newest(folder, silent) is not None
    read_metrics(folder)


COMMANDS = {
    "solve": Command(("solve", str(HEAT), "--time-limit", "1", "--out", "OUT"), load_plan),
    "pack": Command(("pack", "WORK/buffers.csv", "--time-limit", "1", "--out", "OUT"), _packed),
    "solve, several": Command(("solve", "WORK/*.mgp", "--time-limit", "1", "--out", "OUT"), _batch),
    "capture": Command(("capture", "--workload", "tiny", "--target", "v5e", "--out", "OUT"), load_capture),
    "solve --solver auto": Command(
        ("solve", str(CAPTURE), "--solver", "auto", "--compiles", "1", "--time-limit", "1", "--cache", "WORK/compiles",
         "--out", "OUT"),
        load_answer,
    ),
    "bench": Command(
        ("bench", "--workloads", "matmul-chain", "--targets", "v4 lite", "--methods", "xla default", "--captures",
         "WORK/captures", "--out", "OUT"),
        _bench,
    ),
    "train": Command(("train", "WORK/config.toml", "--resume", "--out", "OUT"), _trained),
}  # fmt: skip


@dataclass
class Tally:
    """What the faults of one command did.

    Attributes:
        tries: faults.
        lost: outputs that were there, or that the command said to have written, and cannot be read.
        unclear: ends that were neither an answer nor one line of error.
        left: processes that ran on.
    """

    tries: int = 0
    lost: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    left: int = 0


class Faults:
    """A command, its place, and what was done to it."""

    def __init__(self, command: Command, work: Path) -> None:
        self.command, self.work, self.tally = command, work, Tally()
        self.environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(work.parent / "compiled")}

    def start(self, out: Path) -> subprocess.Popen[str]:
        """The command, on an output."""
        tokens = [token.replace("OUT", str(out)).replace("WORK", str(self.work)) for token in self.command.tokens]
        return subprocess.Popen(
            [sys.executable, "-m", "mallocgame", *tokens], env=self.environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str], fault: str) -> int:
        """Its exit code; every end but an answer has to be one line."""
        errors = process.communicate()[1]
        lines = [line for line in errors.splitlines() if line.startswith("mallocgame: error: ")]
        clear = (process.returncode == 0 and not lines) or (process.returncode in (2, 3, 4) and len(lines) == 1)
        if not clear or "Traceback" in errors:
            self.tally.unclear.append(f"{fault}: exit code {process.returncode}: {errors[-200:]!r}")
        return process.returncode

    def check(self, out: Path, fault: str) -> None:
        """Whether the output is whole; a copy is read, for some readers open files for writing."""
        self.tally.tries += 1
        copy = self.work.parent / "copy" / out.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        try:
            _copy(out, copy)
            self.command.read(copy)
        except Exception as error:
            self.tally.lost.append(f"{fault}: {type(error).__name__}: {error}")

    def kill(self, out: Path, delay: float) -> None:
        """SIGKILL after ``delay`` seconds."""
        process = self.start(out)
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        begun = monotonic()
        while (running := _running(self.work.parent)) and monotonic() - begun < 10:
            sleep(0.2)
        self.tally.left += running
        self.check(out, f"killed after {delay:.1f} s")

    def on_disk(self, whole: Path, folder: Path, harm: Callable[[Path], None]) -> None:
        """On a disk that is full or read-only, on which the output is already."""
        with disk(folder, 1 << 12):
            out = folder / whole.name
            _copy(whole, out)
            harm(folder)
            self.finish(self.start(out), harm.__name__)
            self.check(out, harm.__name__)

    def twice(self, out: Path) -> None:
        """Two at once on one output."""
        both = [self.start(out) for _ in range(2)]
        for process in both:
            self.finish(process, "two at once")
        self.check(out, "two at once")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def _running(folder: Path) -> int:
    """Processes whose command line names a folder, this one apart."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += int(entry.parent.name) != os.getpid() and f"{folder}/".encode() in entry.read_bytes()
        except OSError:
            continue
    return found


def _prepare(work: Path) -> None:
    """What the commands read."""
    work.mkdir(parents=True)
    rows = "".join(f"b{number},{number},{number + 9},{4 + number % 7}\n" for number in range(60))
    (work / "buffers.csv").write_text("id,lower,upper,size\n" + rows)
    for name in ("heat-v4", "sinkhorn-v5p", "matmul-chain-v5e"):
        shutil.copy(ROOT / "workloads" / "problems" / f"{name}.mgp", work)
    from benchmarks.training_kills import config

    (work / "config.toml").write_text(config(2).to_toml())


def inflict(name: str, root: Path, kills: int, rng: random.Random) -> Tally:
    """All faults on one command."""
    work, out = root / "work", root / "out" / name.replace(" ", "-").replace(",", "")
    faults = Faults(COMMANDS[name], work)
    begun = monotonic()
    code = faults.finish(faults.start(out), "no fault")
    seconds = monotonic() - begun
    if code != 0:
        raise SystemExit(f"{name} fails without a fault: {faults.tally.unclear or code}")
    faults.check(out, "no fault")
    faults.tally.tries = 0
    for _ in range(kills):
        faults.kill(out, rng.uniform(0.1, seconds))
    faults.twice(out)
    small = root / "disk"
    small.mkdir(exist_ok=True)
    for harm in (fill, make_read_only):
        try:
            faults.on_disk(out, small, harm)
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
    _prepare(root / "work")
    (root / "out").mkdir()
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
