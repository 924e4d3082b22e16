"""Our HLO reader against XLA's own (``jaxlib._hlo.hlo_module_from_text``) on the same texts, in one run.

    python -m benchmarks.reading.parser [--megabytes 1 10 100] [--rounds 3]

The texts are real dumps (a transformer compiled for v5e with libtpu 0.0.52, before and after memory space assignment),
grown to the size: all computations and the entry's instructions are repeated under new names, which XLA's reader takes
as one valid module. Each figure comes from a child process of its own, the best of the rounds; readers take turns.

- lazy: the module's computations found, and name, opcode and operands of every entry instruction read;
- whole: of every instruction of every computation the name, opcode, operands, users, shape, attributes and called
  computations;
- oracle: the text to XLA's module; nothing is asked of it after that.

Memory is the growth of the peak resident size, the text itself included, from before the file is read. Exit code 1 if
lazy is slower than the oracle, whole slower than a third of it, or a peak of ours is over 20 times the text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import resource
import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

from xla_dump_parser import parse_hlo, read_text

DATA = Path(__file__).parents[2] / "tests" / "parser" / "data"
TEXTS = ("v5e_transformer_before_msa", "v5e_transformer_final")
READERS = ("lazy", "whole", "oracle")
MEMORY_LIMIT = 20.0

_NAME = re.compile(r"%([\w.\-]+)")
_PARAMETER = re.compile(r" parameter\((\d+)\)")


def grow(text: str, megabytes: float) -> str:
    """A valid module of at least so many megabytes out of copies of ``text``'s computations and entry instructions."""
    head, _, entry = text.partition("\nENTRY ")
    first = re.search(r"^%", head, re.MULTILINE)
    assert first is not None, "the text has no computation beside the entry"
    tables, computations = head[: first.start()], head[first.start() :]
    header, _, body = entry.partition("\n")
    body = body[: body.rindex("\n}") + 1]
    parameters = len(_PARAMETER.findall(body))
    copies = max(1, -(-int(megabytes * 1e6 - len(tables)) // (len(computations) + len(body))))
    pieces = [re.sub(r", entry_computation_layout=.*", "", tables, count=1)]
    pieces += [_NAME.sub(rf"%\1.c{copy}", computations) for copy in range(copies)]
    pieces.append(f"\nENTRY {header.split(' ', 1)[0]} {{\n")
    for copy in range(copies):
        renamed = _NAME.sub(rf"%\1.c{copy}", body)
        renamed = _renumber(renamed, copy * parameters)
        pieces.append(renamed if copy == copies - 1 else renamed.replace("  ROOT ", "  ", 1))
    pieces.append("}\n")
    return "".join(pieces)


def _renumber(text: str, first: int) -> str:
    return _PARAMETER.sub(lambda match: f" parameter({int(match[1]) + first})", text)


def _peak_bytes() -> int:
    """Peak resident bytes of this process alone; ru_maxrss would start from the parent's (Linux keeps it over exec)."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(reader: str, file: str) -> dict[str, float]:
    """In this process: read one file with one reader. Seconds, bytes of growth of the peak, instructions read."""
    oracle = import_module("jaxlib._hlo") if reader == "oracle" else None
    before = _peak_bytes()
    text = read_text(file)
    start = perf_counter()
    instructions = 0
    if oracle is not None:
        kept = oracle.hlo_module_from_text(text)
    else:
        kept = parse_hlo(text, file)
        computations = [kept.entry] if reader == "lazy" else list(kept.computations.values())
        for computation in computations:
            instructions += len(computation.instructions)
            if reader == "whole":
                _ = computation.users, computation.root
                for instruction in computation.instructions:
                    _ = instruction.shape, instruction.attributes, instruction.called
    seconds = perf_counter() - start
    peak = _peak_bytes()
    del kept
    return {"seconds": seconds, "bytes": peak - before, "instructions": instructions}


def _child(reader: str, file: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.reading.parser", "--child", reader, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{reader} failed on {file}: {done.stderr.strip().splitlines()[-1:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _compare(file: str, megabytes: float, rounds: int) -> bool:
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for reader in READERS:
            figures = _child(reader, file)
            if reader not in best or figures["seconds"] < best[reader]["seconds"]:
                best[reader] = figures
    size = Path(file).stat().st_size
    oracle = best["oracle"]["seconds"]
    passed = True
    for reader in READERS:
        figures = best[reader]
        ratio, memory = oracle / figures["seconds"], figures["bytes"] / size
        ours = reader != "oracle"
        good = not ours or (ratio >= (1.0 if reader == "lazy" else 1 / 3) and memory < MEMORY_LIMIT)
        passed = passed and good
        read = f"{figures['instructions']:>9.0f}" if ours else "        -"
        print(
            f"{Path(file).stem:<28} {size / 1e6:7.1f} {reader:<7} {figures['seconds']:8.3f} "
            f"{size / 1e6 / figures['seconds']:8.1f} {ratio:7.2f} {memory:7.1f} {read}{'' if good else '  MISSED'}",
            flush=True,
        )
    return passed


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[1, 10, 100])
    parser.add_argument("--rounds", type=int, default=3, help="for texts up to 10 MB; larger ones get one")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(*options.child)))
        return 0
    print(f"Python {sys.version.split()[0]}, jaxlib {version('jaxlib')}")
    print(f"{'text':<28} {'MB':>7} {'reader':<7} {'s':>8} {'MB/s':>8} {'/oracle':>7} {'x text':>7} {'instr.':>9}")
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        for name in TEXTS:
            with gzip.open(DATA / f"{name}.txt.gz", "rt", encoding="utf-8") as packed:
                text = packed.read()
            for megabytes in options.megabytes:
                file = Path(folder) / f"{name}.txt"
                file.write_text(grow(text, megabytes), encoding="utf-8")
                passed &= _compare(str(file), megabytes, options.rounds if megabytes <= 10 else 1)
    print("speed: lazy >= oracle, whole >= oracle / 3; memory < 20 x text:", "passed" if passed else "MISSED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
