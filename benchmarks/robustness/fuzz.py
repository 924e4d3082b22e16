"""Fuzzing of everything that mallocgame reads from files.

    python -m benchmarks.robustness.fuzz [--minutes 1] [--cases N] [--seed 0] [--readers hlo capture ...]
        [--out out/fuzz]

Cases are made from the kept corpus in ``benchmarks/data/fuzz`` by changing bytes, lines, numbers and JSON values, in
archives too (`benchmarks.robustness.fuzzing.changes`), and read as the commands read them
(`benchmarks.robustness.fuzzing.readers`). A case that ends in anything but an answer or a documented error of one line,
computes for more than 10 s, takes more than 2 GiB, or ends the process, is a crash. Crashes are in ``OUT/crashes``, new
samples in ``OUT/new``. Exit code 1 if there was a crash. The cases follow from the seed; how many are run, from the
time, or from N, the most of each reader: with time enough for N of each, every run is the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

from benchmarks.robustness.fuzzing.readers import READERS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="the most of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    for name in ("crashes", "new"):
        (options.out / name).mkdir(parents=True)
    begun, seed = monotonic(), options.seed
    cases, crashes, outcomes, computed = Counter[str](), dict[str, str](), 0, 0.0
    while (left := 60 * options.minutes - (monotonic() - begun)) > 1:
        command = [
            sys.executable,
            "-m",
            "benchmarks.robustness.fuzzing.worker",
            str(left),
            str(options.cases),
            str(seed),
        ]
        worker = subprocess.run([*command, str(options.out), *options.readers], stdout=subprocess.PIPE, check=False)
        if worker.returncode == 0:
            report = json.loads(worker.stdout.splitlines()[-1])
            cases.update(report["cases"])
            crashes.update(report["crashes"])
            outcomes, computed = report["outcomes"], computed + report["cpu"]
            break
        last = max(options.out.glob("*.current"), key=lambda path: path.stat().st_mtime_ns)
        kept = shutil.copy(last, options.out / "crashes" / f"{last.stem}-death-{seed}")
        crashes[f"the process ended with status {worker.returncode}"] = str(kept)
        print(f"crash: {kept}: the process ended with status {worker.returncode}", file=sys.stderr, flush=True)
        seed += 1
    for name, count in sorted(cases.items()):
        print(f"{name:<18} {count:8d} cases")
    for wrong, name in crashes.items():
        print(f"crash: {name}: {wrong}")
    print(
        f"{sum(cases.values())} cases in {(monotonic() - begun) / 60:.1f} minutes ({computed / 60:.1f} of computing), "
        f"{len(cases)} readers, "
        f"{outcomes} different outcomes, {len(crashes)} crashes"
    )
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
