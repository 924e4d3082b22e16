"""What ``mallocgame memory`` says of captures, beside the compiler's own report: the same bytes?

    python -m benchmarks.reading.memory CAPTURE...

Each memory's total is compared with the figure that stands in the capture's memory-usage report, read here by a regular
expression of its own; the kinds of HBM are added up; what is live at its peak cannot be more than its total. Exit code
1 where one differs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from mallocgame import api
from mallocgame.compiler.capture_file import load_capture

TOTAL = re.compile(r"Memory Space: \S+ \(color=(\d+)\)\nTotal bytes: (\d+) ")
HBM = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what differs, and the counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading.memory")
    parser.add_argument("captures", nargs="+", type=Path)
    targets: Counter[str] = Counter()
    memories = findings = differ = 0
    for path in parser.parse_args(arguments).captures:
        capture, found = load_capture(path), api.memory(path)
        reported = {int(color): int(total) for color, total in TOTAL.findall(capture.memory_usage)}
        told = {space.memory_space: space.total for space in found.spaces if space.memory_space in reported}
        kinds = 0 if found.kinds is None else sum(astuple(found.kinds))
        live = sum(buffer.size for peak in found.peaks if peak.memory_space == HBM for buffer in peak.buffers)
        if told != reported or kinds != reported[HBM] or not 0 < live <= reported[HBM]:
            print(f"{path}: told {told}, reported {reported}, kinds {kinds}, live at the peak {live}")
            differ += 1
        targets[capture.target] += 1
        memories += len(reported)
        findings += len(found.findings)
    counts = ", ".join(f"{target} {count}" for target, count in sorted(targets.items()))
    print(
        f"{sum(targets.values())} captures ({counts}): {memories} memories, {differ} captures differ from the "
        f"compiler's report; {findings} findings"
    )
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
