"""The process that runs cases: ``python -m benchmarks.robustness.fuzzing.worker SECONDS CASES SEED FOLDER READER...``

The cases of a reader follow from the seed alone; how many of them are run is a matter of CASES, the most of each
reader, and of time.

A case is written to ``FOLDER/READER.current`` before it is run, so that one that ends the process is not lost. A case
that ends in anything but an answer or a documented error of one line, takes more than ``CPU_SECONDS`` of computing, or
more memory than ``MEMORY`` beyond what the process had at first, is a crash: it goes to ``FOLDER/crashes``. A case with
an outcome that was not seen before joins the samples, and goes to ``FOLDER/new``. The last line on stdout is JSON:
cases, crashes, outcomes, seconds of computing.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
import resource
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path
from time import monotonic, process_time
from types import FrameType

from benchmarks.robustness.fuzzing.changes import MAX_CASE_BYTES, change
from benchmarks.robustness.fuzzing.readers import DOCUMENTED, FOLDER, READERS, Reader, scratch
from mallocgame.system.errors import MallocgameError

CPU_SECONDS = 10.0
MEMORY = 2 << 30
LARGEST_NEW = 4096
LONGEST_MESSAGE = 1200
"""Characters of an error: a message and its place."""
_PLAIN = re.compile(r"[\d\W_]+|0x[0-9a-f]+")


class _Hang(BaseException):
    """A case computes for too long."""


def _on_timer(_: int, __: FrameType | None) -> None:
    raise _Hang


def samples(name: str) -> list[bytes]:
    """The kept corpus of a reader; ``.txt.gz`` and ``.log.gz`` are unpacked, all others are as they are."""
    found = []
    for path in sorted((FOLDER / name).iterdir()):
        data = path.read_bytes()
        found.append(gzip.decompress(data) if path.name.endswith((".txt.gz", ".log.gz")) else data)
    return found


def run_case(read: Reader, data: bytes) -> tuple[str, str | None]:
    """What a case ends in, with numbers and names left out, and what is wrong with it if anything is."""
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)  # not ITIMER_PROF: libtpu, once loaded, sends SIGPROF itself
    try:
        outcome = f"read: {read(data)}"
    except DOCUMENTED as error:
        text = str(error).replace(str(scratch()), "case")
        outcome = f"{type(error).__name__}: {_PLAIN.sub(' ', text)[:60]}"
        if "\n" in text or len(text) > LONGEST_MESSAGE or not text:
            return outcome, f"not one line: {text[:100]!r}"
        if isinstance(error, MallocgameError) and error.exit_code == 1:
            return outcome, f"an error that asks for a report: {text[:100]!r}"
    except _Hang:
        return "hang", f"computes for more than {CPU_SECONDS:g} s"
    except BaseException as error:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where is not None else ""
        return type(error).__name__, f"{type(error).__name__} at {place}: {str(error)[:100]!r}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return outcome, None


def main(seconds: float, most: int, seed: int, folder: Path, names: list[str]) -> None:
    warnings.simplefilter("error")
    signal.signal(signal.SIGVTALRM, _on_timer)
    rngs, begun = {name: random.Random(f"{seed} {name}") for name in names}, monotonic()
    corpus = {name: samples(name) for name in names}
    seen: dict[str, set[str]] = {name: set() for name in names}
    for name in names:  # before memory is bounded: imports and what they start
        for data in corpus[name]:
            seen[name].add(run_case(READERS[name], data)[0])
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    cases, crashes, taken = Counter[str](), dict[str, str](), Counter[str]()
    told = begun
    while monotonic() - begun < seconds and (left := [name for name in names if cases[name] < most]):
        name = min(left, key=lambda each: taken[each])  # each reader gets the same share of the time
        rng = rngs[name]
        for _ in range(min(20, most - cases[name])):
            first, second = rng.choice(corpus[name]), rng.choice(corpus[name])
            data = change(first, second, rng)
            (folder / f"{name}.current").write_bytes(data)
            start = process_time()
            outcome, wrong = run_case(READERS[name], data)
            taken[name] += process_time() - start + 1e-5  # type: ignore[assignment]
            cases[name] += 1
            if wrong is not None and wrong not in crashes:
                digest = hashlib.sha256(data).hexdigest()[:12]
                crashes[wrong] = f"{name}-{digest}"
                (folder / "crashes" / f"{name}-{digest}").write_bytes(data)
                print(f"crash: {name}-{digest}: {wrong}", file=sys.stderr, flush=True)
            elif wrong is None and outcome not in seen[name] and len(data) <= MAX_CASE_BYTES // 4:
                seen[name].add(outcome)
                corpus[name].append(data)
                if len(data) <= LARGEST_NEW:
                    (folder / "new" / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
        if monotonic() - told > 60:
            told = monotonic()
            print(f"{(told - begun) / 60:.0f} min: {sum(cases.values())} cases", file=sys.stderr, flush=True)
    outcomes = sum(map(len, seen.values()))
    print(json.dumps({"cases": cases, "crashes": crashes, "outcomes": outcomes, "cpu": process_time()}))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
