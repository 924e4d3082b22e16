"""A batch of 40 files, 5 of them damaged, that is killed again and again and resumed: 35 answers, 5 lines, none twice.

    python -m benchmarks.robustness.batch [--kills 10] [--seed 0] [--out out/batch]

``mallocgame solve FOLDER`` is started and killed with SIGKILL, up to ten seconds after a random one of its jobs has
ended; the process alone, as a machine's killer of processes would. At last it runs to its end. Checked, from what it
said when jobs started and from its file of results:

- after each kill, nothing that it had started runs on;
- no program whose result was in the file is started again: only those that the kill had interrupted are;
- the file has one line a program; 35 have an answer, whose plan loads and is for that program; 5 have an error.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic, sleep

from mallocgame.plan.plan_file import check_plan, load_plan
from mallocgame.plan.problem_file import load_problem

PROBLEMS = Path(__file__).parents[2] / "workloads" / "problems"
WHOLE, DAMAGED = 35, 5
LONGEST_DELAY = 10.0
"""Seconds between the end of a job and the kill, at most: about a job's time."""


def make_files(folder: Path) -> None:
    """The 35 smallest shipped problem files, and 5 damaged in different ways."""
    folder.mkdir(parents=True)
    shipped = sorted(PROBLEMS.glob("*.mgp"), key=lambda path: (path.stat().st_size, path.name))
    for path in shipped[:WHOLE]:
        shutil.copy(path, folder)
    data = shipped[0].read_bytes()
    (folder / "cut.mgp").write_bytes(data[: len(data) // 2])
    (folder / "changed.mgp").write_bytes(data[:-6] + bytes([data[-6] ^ 1]) + data[-5:])
    (folder / "empty.mgz").write_bytes(b"")
    (folder / "later.mgp").write_bytes(gzip.compress(b'{"format": "mallocgame-problem", "version": 99}'))
    (folder / "bomb.mgp").write_bytes(gzip.compress(b" " * 2**27))


def start(files: Path, out: Path, log: Path) -> subprocess.Popen[bytes]:
    """The command, whose lines go to a file."""
    options = ("--time-limit", "1", "--processes", "2", "--out", str(out))
    with open(log, "wb") as lines:
        return subprocess.Popen(
            [sys.executable, "-m", "mallocgame", "solve", str(files), *options], stdout=lines, stderr=lines
        )


def started_in(log: Path) -> list[str]:
    """The programs whose jobs were started, in order."""
    lines = log.read_text().splitlines()
    return [line.removesuffix(": started") for line in lines if line.endswith(": started")]


def done_in(out: Path) -> list[str]:
    """The programs of the whole lines in the file of results."""
    file = out / "results.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [json.loads(line)["name"] for line in lines]


def orphans(folder: Path) -> int:
    """Processes whose command line names the folder."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += str(folder).encode() in entry.read_bytes() and b"solve" in entry.read_bytes()
        except OSError:
            continue
    return found


def wrong_answers(files: Path, out: Path) -> list[str]:
    """Plans that do not load, or are for another program."""
    wrong = []
    for line in (out / "results.jsonl").read_text().splitlines():
        result = json.loads(line)
        if result["code"] == 0:
            try:
                check_plan(load_plan(out / result["out"]), load_problem(files / result["name"]).problem)
            except Exception as error:
                wrong.append(f"{result['name']}: {error}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/batch"))
    options = parser.parse_args()
    rng, begun = random.Random(options.seed), monotonic()
    root = options.out.resolve()
    shutil.rmtree(root, ignore_errors=True)
    files, out, log = root / "files", root / "plans", root / "log.txt"
    make_files(files)
    moments = sorted(rng.sample(range(WHOLE + DAMAGED - 2), options.kills))
    starts: Counter[str] = Counter()
    kills, again, left = 0, 0, 0
    while True:
        before = set(done_in(out))
        process = start(files, out, log)
        started = monotonic()
        delay = rng.uniform(0.0, LONGEST_DELAY)
        while kills < options.kills and process.poll() is None and len(done_in(out)) < moments[kills]:
            sleep(0.1)
        try:
            code: int | None = process.wait(delay if kills < options.kills else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        begun_now = started_in(log)
        starts.update(begun_now)
        again += len(before.intersection(begun_now))
        if code is not None:
            break
        kills += 1
        waited = monotonic()
        while (running := orphans(files)) and monotonic() - waited < 10:
            sleep(0.2)
        left += running
        print(
            f"kill {kills} after {monotonic() - started:.0f} s: {len(begun_now)} started, "
            f"{len(done_in(out))} of 40 done",
            flush=True,
        )
    results = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    answers = [result for result in results if result["code"] == 0]
    failed = [result for result in results if result["code"] != 0]
    twice = len(results) - len({result["name"] for result in results})
    wrong = wrong_answers(files, out)
    for result in failed:
        print(f"no answer: {result['name']}: {result['error']}")
    interrupted = sum(starts.values()) - len(results)
    print(
        f"{kills} kills; {len(answers)} answers ({len(wrong)} of them wrong), {len(failed)} clear lines; "
        f"exit code {code}; {monotonic() - begun:.0f} s\n"
        f"{sum(starts.values())} jobs started, {interrupted} of them interrupted by a kill; done twice: {twice}; "
        f"started again after they were done: {again}; processes left by a kill: {left}"
    )
    for line in wrong:
        print(f"wrong: {line}")
    good = (len(answers), len(failed), code, twice, again, left, wrong, kills) == (
        WHOLE, DAMAGED, 3, 0, 0, 0, [], options.kills,
    )  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
