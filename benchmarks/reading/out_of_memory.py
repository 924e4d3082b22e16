"""Does ``mallocgame memory`` name the cause where a program runs out of memory, in its first ten lines?

    python -m benchmarks.reading.out_of_memory [NAME...]

Each program of ``out_of_memory_programs`` is compiled for v5e by the command, which has to say that it does not fit,
the words of its cause, and the source line that is to blame, where one is. Exit code 1 where one does not.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LINES = 10
PROGRAMS = "benchmarks.reading.out_of_memory_programs"
SOURCE = Path(__file__).with_name("out_of_memory_programs.py")

CAUSES: dict[str, tuple[str, ...]] = {
    "gather": ("3 elements of dimension 1 are padded to 128", "with dimension 0 last"),
    "transpose": ("4 elements of dimension 2 are padded to 128", "with dimension 0 last"),
    "pairs": ("2 elements of dimension 1 are padded to 128", "with dimension 0 last"),
    "batch": (", saved activations; ", "take a smaller batch"),
    "scan": (", saved activations; ", "recompute or offload them"),
    "attention": ("16,16384,16384]", "make it in pieces"),
    "logits": ("65536,262144]", ", saved activations; "),
    "missing_donation": ("has the shape of an output and is not donated",),
    "donated_in_vain": (
        "is donated, and no output took its place: outputs of its dimensions are of another type, bf16",
    ),
    "copied_donation": ("is donated, and copied all the same",),
    "trajectory": ("donate an argument of its shape, or return less",),
    "replicated": ("are the same on 4 devices of axis data of the mesh", "(weights and optimizer state)"),
}
"""Words of the answer, by program."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what each program's first lines do not have, and the count."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading.out_of_memory")
    parser.add_argument("names", nargs="*", choices=[[], *CAUSES], metavar="NAME")
    names = parser.parse_args(arguments).names or list(CAUSES)
    named = 0
    for name in names:
        first = first_lines(name)
        missing = [words for words in (": does not fit, ", *CAUSES[name], *blamed(name)) if words not in first]
        named += not missing
        print(f"{name}: {f'does not say {missing}' if missing else 'named'}", flush=True)
    print(f"{named} of {len(names)} programs: the cause is named in the first {LINES} lines")
    return int(named < len(names))


def first_lines(name: str) -> str:
    """What the command prints first."""
    command = [sys.executable, "-m", "mallocgame", "memory", f"{PROGRAMS}:{name}", "--target", "v5e"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:
        raise SystemExit(f"{name}: {said.stderr}")
    return "\n".join(said.stdout.splitlines()[:LINES])


def blamed(name: str) -> list[str]:
    """``file:line`` of the line that is to blame; none where none is marked."""
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    marked = re.compile(rf"# cause {name}$")
    return [f"{SOURCE.name}:{number}" for number, line in enumerate(lines, 1) if marked.search(line)]


if __name__ == "__main__":
    sys.exit(main())
