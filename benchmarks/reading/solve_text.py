"""``mallocgame solve`` on a pre-MSA text of ResNet-50's size, from the text alone: time, memory, share of M saved.

    python -m benchmarks.reading.solve_text [FILE] [--target v5e] [--time-limit 30]

The default text was made by compiling the workload ``resnet50`` for v5e with libtpu 0.0.52. The solve runs in a child
process of its own, whose wall time and peak resident memory are those of the whole command. Exit code 1 if the plan is
not validated or a limit (60 s, 2 GiB) is passed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from time import monotonic

TEXT = Path(__file__).parents[1] / "data" / "resnet50-v5e.hlo.gz"
SECONDS_LIMIT = 60.0
BYTES_LIMIT = 2 * 2**30


def main() -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=TEXT)
    parser.add_argument("--target", default="v5e")
    parser.add_argument("--time-limit", type=float, default=30.0)
    options = parser.parse_args()
    command = [sys.executable, "-m", "mallocgame", "solve", str(options.file), "--target", options.target]
    command += ["--time-limit", str(options.time_limit), "--json"]
    start = monotonic()
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    seconds = monotonic() - start
    if child.returncode:
        return child.returncode
    answer = json.loads(child.stdout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    ok = answer["validated"] and seconds < SECONDS_LIMIT and peak < BYTES_LIMIT
    print(f"text        {options.file.name}: {answer['tensors']} tensors, {answer['uses']} uses, {answer['target']}")
    print(f"costs       {answer['costs']}")
    print(f"wall        {seconds:.1f} s (limit {SECONDS_LIMIT:.0f} s)")
    print(f"peak RSS    {peak / 2**20:.0f} MiB (limit {BYTES_LIMIT / 2**20:.0f} MiB)")
    print(f"validated   {'yes' if answer['validated'] else 'no'}")
    print(f"M           all in HBM {1e3 * answer['m_all_hbm']:.4f} ms, plan {1e3 * answer['m_plan']:.4f} ms")
    print(f"saved       {100 * answer['m_saved_share']:.1f} % of M")
    print("within limits" if ok else "NOT within limits")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
